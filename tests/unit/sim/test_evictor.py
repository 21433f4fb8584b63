"""The agent's evictor over simulated pods: the same runner, the same words."""

from __future__ import annotations

from memqos.agent.evict import RunnerEvictor
from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.model.plan import Eviction
from memqos.model.pods import Container, Pod
from memqos.runner.rules import KubeletRules
from memqos.runner.status import ContainerEvent, Termination
from memqos.sim.files import Files
from memqos.sim.machine import Machine
from memqos.sim.node import SimNode
from memqos.sim.pods import SimPods
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import NodeSpec
from memqos.units import MIB


def running(policy: str) -> tuple[SimPods, RunnerEvictor]:
    machine = Machine(PROFILES["6.12"], NodeSpec(memory=64 * MIB))
    rules = KubeletRules(KubeletConfig(), NodeCapacity(64 * MIB, 0))
    pods = SimPods(SimNode(machine), rules, Files(machine, {}))
    pods.create(Pod("ns", "p", "u", (Container("c", command=("sleep", "600")),), restart_policy=policy))
    pods.start("u")
    pass_time(pods, 1)
    return pods, RunnerEvictor(pods)


def pass_time(pods: SimPods, seconds: int) -> list[ContainerEvent]:
    events, end = [], pods.now_us() + seconds * 10**6
    while pods.now_us() < end:
        events += pods.poll()
        pods.wait((end - pods.now_us()) / 1e6)
    return events + pods.poll()


def test_an_evicted_pod_goes_and_its_status_says_who_and_why() -> None:
    pods, evictor = running("Always")
    evictor.evict(Eviction("u", "ns/p", "it held most", grace=0.0))
    pass_time(pods, 2)
    (status,) = pods.pods()
    assert (status.phase, status.reason, status.message) == ("Failed", "Evicted", "memqos: it held most")
    assert pods.placed == ()


def test_a_killed_container_is_started_again_by_its_restart_policy() -> None:
    pods, evictor = running("Always")
    evictor.evict(Eviction("u", "ns/p", "it leaks", container="c"))
    ends = [event.termination for event in pass_time(pods, 5) if event.termination]
    assert [(how.exit_code, how.message) for how in ends] == [(137, "memqos: it leaks")]
    assert isinstance(ends[0], Termination)
    (status,) = pods.statuses()
    assert (status.state, status.restarts) == ("running", 1)
