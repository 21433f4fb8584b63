"""The runner over a temp-file tree and stub processes: order, restarts, endings, what is written where."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memqos.errors import Busy, InputError, KnobMissing, LockHeld, NodeError, Unsupported
from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.linux.runner import KubeletRules, PodRunner
from memqos.linux.runner.spawn import Launch
from memqos.linux.runner.tree import OWNER
from memqos.model.plan import Write
from memqos.model.pods import Container, Pod, Resources
from memqos.runner.world import NotStarted
from memqos.units import GIB, MIB, parse_quantity

SECOND = 10**6
RULES = KubeletRules(KubeletConfig(), NodeCapacity(GIB, GIB))


class StubProcess:
    """A process that ends when it is told to, or on SIGTERM if it is polite; its fd is never ready."""

    def __init__(self, launch: Launch, *, polite: bool = True) -> None:
        self.pid = 4711
        self.launch = launch
        self.polite = polite
        self.exit_code: int | None = None
        self.received: list[int] = []
        self.read, self.write = os.pipe()

    def fileno(self) -> int:
        return self.read

    def poll(self) -> int | None:
        return self.exit_code

    def send(self, number: int) -> None:
        self.received.append(number)
        if self.polite:
            self.exit_code = 128 + number

    def close(self) -> None:
        os.close(self.read)
        os.close(self.write)


class World:
    """A runner over `root`, its clock and its processes in our hands."""

    def __init__(self, root: Path) -> None:
        self.now = 1000 * SECOND
        self.root = root
        self.started: list[StubProcess] = []
        self.written: list[Write] = []
        self.refuse: NotStarted | None = None
        self.polite = True
        self.fault: NodeError | None = None
        (root / "cgroup.controllers").write_text("cpu io memory pids\n")
        self.runner = self.run()

    def run(self, **settings: Any) -> PodRunner:
        return PodRunner(
            RULES,
            self.root / "logs",
            cgroup_root=self.root,
            clock=lambda: self.now,
            start=self.start,
            write=self.write,
            **settings,
        )

    def write(self, root: str, write: Write) -> None:
        if self.fault is not None:
            raise self.fault
        self.written.append(write)

    def start(self, launch: Launch) -> StubProcess | NotStarted:
        if self.refuse is not None:
            return self.refuse
        self.started.append(StubProcess(launch, polite=self.polite))
        return self.started[-1]

    def kinds(self) -> list[str]:
        return [f"{event.kind} {event.container}".strip() for event in self.runner.poll()]

    @property
    def names(self) -> list[str]:
        return [process.launch.cgroup.name for process in self.started]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    try:
        os.setxattr(tmp_path, OWNER, b"1")
        os.removexattr(tmp_path, OWNER)
    except OSError:
        pytest.skip("this file system has no user.* extended attributes; set TMPDIR to one that has (ext4)")
    world = World(tmp_path)
    yield world
    for process in world.started:
        if process.exit_code is None:
            process.close()


def a_pod(name: str = "web", **fields: Any) -> Pod:
    container = Container("app", Resources({}, {"memory": parse_quantity("64Mi")}), command=("sleep", "1"))
    return Pod(
        **{"namespace": "default", "name": name, "uid": f"uid-{name}", "containers": (container,)} | fields
    )


def test_create_makes_the_cgroups_and_writes_the_kubelets_values_and_starts_nothing(world: World) -> None:
    placed = world.runner.create(a_pod())
    assert placed.cgroup == "kubepods/burstable/poduid-web"
    assert placed.containers == {"app": "kubepods/burstable/poduid-web/app"}
    assert (world.root / placed.containers["app"]).is_dir()
    assert (world.root / "kubepods/besteffort").is_dir()
    written = {(write.cgroup, write.knob): write.value for write in world.written}
    assert written["kubepods", "memory.max"] == GIB
    assert written["kubepods/burstable/poduid-web", "memory.max"] == 64 * MIB
    assert written["kubepods/burstable/poduid-web/app", "memory.max"] == 64 * MIB
    assert written["kubepods/burstable/poduid-web/app", "memory.swap.max"] == 0
    world.runner.poll()
    assert world.started == []


def test_a_second_pod_leaves_the_first_ones_knobs_alone(world: World) -> None:
    world.runner.create(a_pod())
    world.written.clear()
    world.runner.create(a_pod("other"))
    assert not [write for write in world.written if "uid-web" in write.cgroup]


def test_a_started_pod_gets_its_program_its_adjustment_and_its_log(world: World) -> None:
    world.runner.create(a_pod())
    world.runner.start("uid-web")
    assert world.kinds() == ["created app", "started app"]
    launch = world.started[0].launch
    assert launch.command.argv == ("sleep", "1")
    assert launch.oom_score_adj == 999
    assert launch.log == world.root / "logs/default_web_uid-web/app/0.log"
    (status,) = world.runner.statuses()
    assert (status.state, status.pid, status.restarts) == ("running", 4711, 0)


def test_a_container_that_ends_is_made_anew_first_and_started_by_the_next_poll(world: World) -> None:
    placed = world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    os.setxattr(world.root / placed.containers["app"], "user.mark", b"of the first")
    world.written.clear()
    world.started[0].exit_code = 1
    assert world.kinds() == ["exited app", "created app"]
    assert {write.cgroup for write in world.written} == {placed.containers["app"]}
    assert os.listxattr(world.root / placed.containers["app"]) == []
    assert world.runner.next_due_us() == world.now
    assert world.kinds() == ["started app"]
    assert world.started[1].launch.log.name == "1.log"


def test_a_crash_loop_waits_its_back_off(world: World) -> None:
    world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    for process in range(2):
        world.started[process].exit_code = 1
        world.runner.poll()
        world.runner.poll()
    assert len(world.started) == 2
    (status,) = world.runner.statuses()
    assert (status.state, status.reason, status.restarts) == ("waiting", "CrashLoopBackOff", 1)
    assert world.runner.next_due_us() == world.now + 10 * SECOND
    world.now += 10 * SECOND
    assert world.kinds() == ["started app"]


def test_the_back_off_can_be_scaled(world: World) -> None:
    world.runner.stop()
    world.runner = world.run(scale=0.01)
    world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    for process in range(2):
        world.started[process].exit_code = 1
        world.runner.poll()
        world.runner.poll()
    assert world.runner.next_due_us() == world.now + SECOND // 10


def test_an_oom_kill_is_told_from_another_sigkill(world: World) -> None:
    placed = world.runner.create(a_pod(restart_policy="Never"))
    world.runner.start("uid-web")
    world.runner.poll()
    events = world.root / placed.containers["app"] / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 3\noom_group_kill 1\n")
    world.started[0].exit_code = 137
    (event,) = world.runner.poll()
    assert event.termination is not None
    assert (event.termination.reason, event.termination.exit_code) == ("OOMKilled", 137)
    (pod,) = world.runner.pods()
    assert (pod.phase, pod.containers[0].reason, pod.containers[0].oom_kills) == ("Failed", "OOMKilled", 1)
    events.unlink()


def test_a_program_that_cannot_be_started_is_reported_and_tried_again(world: World) -> None:
    world.refuse = NotStarted('exec: "nothing": executable file not found in $PATH', 127)
    world.runner.create(a_pod())
    world.runner.start("uid-web")
    assert world.kinds() == ["created app", "failed app", "created app"]
    assert world.kinds() == ["failed app", "backoff app", "created app"]
    (status,) = world.runner.statuses()
    assert status.last is not None
    assert (status.last.exit_code, status.last.reason) == (127, "StartError")
    assert (status.state, status.reason) == ("waiting", "CrashLoopBackOff")


def test_init_containers_then_sidecars_then_containers(world: World) -> None:
    inits = (
        Container("setup", command=("true",)),
        Container("side", command=("true",), restart_policy="Always"),
    )
    world.runner.create(a_pod(init_containers=inits, restart_policy="Never"))
    world.runner.start("uid-web")
    world.runner.poll()
    assert world.names == ["setup"]
    world.started[0].exit_code = 0
    for _ in range(3):
        world.runner.poll()
    assert world.names == ["setup", "side", "app"]
    world.started[2].exit_code = 0
    world.runner.poll()
    assert world.started[1].received == [signal.SIGTERM]
    world.runner.poll()
    (pod,) = world.runner.pods()
    assert pod.phase == "Succeeded"
    assert [status.state for status in pod.containers] == ["terminated"] * 3


def test_an_evicted_pod_gets_sigterm_is_not_started_again_and_leaves_no_cgroup(world: World) -> None:
    placed = world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    world.runner.evict("uid-web", "Evicted", grace=5)
    assert world.started[0].received == [signal.SIGTERM]
    assert world.kinds() == ["evicted", "exited app", "gone"]
    assert placed.cgroup is not None
    assert not (world.root / placed.cgroup).exists()
    (pod,) = world.runner.pods()
    assert (pod.phase, pod.reason) == ("Failed", "Evicted")
    assert world.runner.placed == ()


def test_an_evicted_pod_keeps_the_message_of_who_evicted_it(world: World) -> None:
    world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    world.runner.evict("uid-web", "Evicted", grace=5, message="memqos: it held most")
    (event, *_) = world.runner.poll()
    assert (event.kind, event.message) == ("evicted", "Evicted: memqos: it held most")
    (pod,) = world.runner.pods()
    assert (pod.reason, pod.message) == ("Evicted", "memqos: it held most")


def test_a_container_killed_on_purpose_says_why_and_is_started_again(world: World) -> None:
    world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    world.runner.kill("uid-web", "app", "memqos: it leaks")
    world.started[0].exit_code = 137
    events = world.runner.poll()
    how = events[0].termination
    assert how is not None
    assert (how.exit_code, how.reason, how.message) == (137, "Error", "memqos: it leaks")
    world.runner.poll()
    assert world.names == ["app", "app"]
    world.started[1].exit_code = 1
    how = world.runner.poll()[0].termination
    assert how is not None
    assert how.message == ""


def test_only_a_container_that_runs_is_killed(world: World) -> None:
    world.runner.create(a_pod())
    with pytest.raises(InputError, match="container 'app' of default/web does not run"):
        world.runner.kill("uid-web", "app")


def test_who_ignores_sigterm_is_killed_when_the_grace_period_is_over(world: World) -> None:
    world.polite = False
    placed = world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    kill = world.root / placed.containers["app"] / "cgroup.kill"
    kill.write_text("")
    world.runner.evict("uid-web", grace=5)
    world.now += 5 * SECOND - 1
    world.runner.poll()
    assert kill.read_text() == ""
    world.now += 1
    world.runner.poll()
    assert kill.read_text() == "1"
    assert world.runner.next_due_us() == world.now + SECOND  # and not at once, again and again
    kill.unlink()
    world.started[0].exit_code = 137
    assert world.kinds()[-2:] == ["exited app", "gone"]


def test_stop_ends_every_pod_and_removes_the_tree(world: World) -> None:
    for name in ("a", "b"):
        world.runner.create(a_pod(name))
        world.runner.start(f"uid-{name}")
    world.runner.poll()
    kinds = [event.kind for event in world.runner.stop(grace=1)]
    assert kinds.count("gone") == 2
    assert not (world.root / "kubepods").exists()


def test_who_is_in_a_hurry_while_pods_stop_waits_for_no_grace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.polite = False
    world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    (process,) = world.started
    monkeypatch.setattr(world.runner.tree, "kill", lambda _: setattr(process, "exit_code", 137))
    asked = iter([False, True, True])
    kinds = [event.kind for event in world.runner.stop(grace=3600, hurried=lambda: next(asked))]
    assert kinds[-2:] == ["exited", "gone"]


def test_a_pod_that_is_created_but_never_started_can_leave(world: World) -> None:
    world.runner.create(a_pod())
    world.runner.evict("uid-web")
    assert world.kinds() == ["created app", "evicted", "gone"]


def test_the_same_pod_twice_is_refused_and_one_that_is_gone_may_come_again(world: World) -> None:
    world.runner.create(a_pod())
    with pytest.raises(InputError, match="runs already"):
        world.runner.create(a_pod())
    world.runner.evict("uid-web")
    world.runner.poll()
    world.runner.create(a_pod())


def test_a_pod_that_is_not_here_is_said_so(world: World) -> None:
    with pytest.raises(InputError, match="no pod with uid 'x'"):
        world.runner.start("x")


def test_another_runner_that_lives_is_respected(world: World) -> None:
    with pytest.raises(LockHeld, match=f"process {os.getpid()}"):
        world.run()


def test_what_a_dead_runner_left_is_cleaned_away(world: World) -> None:
    world.runner.create(a_pod())
    os.setxattr(world.root / "kubepods", OWNER, f"{os.getpid()} 1".encode())  # our pid, an earlier process
    world.runner = world.run()
    assert not (world.root / "kubepods/burstable/poduid-web").exists()


def test_a_kubelets_own_tree_is_refused(world: World) -> None:
    world.runner.stop()
    (world.root / "kubepods/burstable").mkdir(parents=True)
    with pytest.raises(Unsupported, match="a kubelet manages this node"):
        world.run()


def test_a_systemd_kubelets_tree_is_refused(world: World) -> None:
    world.runner.stop()
    (world.root / "kubepods.slice").mkdir()
    with pytest.raises(Unsupported, match="a kubelet manages this node"):
        world.run()


def test_a_machine_without_the_memory_controller_is_refused(world: World) -> None:
    world.runner.stop()
    (world.root / "cgroup.controllers").write_text("cpu\n")
    with pytest.raises(Unsupported, match="without the memory controller"):
        world.run()


def test_a_knob_that_this_kernel_has_not_is_left_out(world: World) -> None:
    world.fault = KnobMissing("no such file", cgroup="kubepods", knob="memory.swap.max")
    world.runner.create(a_pod())


def test_a_refusal_at_create_leaves_nothing_behind(world: World) -> None:
    world.fault = Busy("not now", cgroup="kubepods", knob="memory.max")
    with pytest.raises(Busy):
        world.runner.create(a_pod())
    assert not (world.root / "kubepods/burstable/poduid-web").exists()
    assert world.runner.placed == ()


def test_a_refusal_at_a_restart_is_an_event_and_tried_again_after_the_back_off(world: World) -> None:
    world.runner.create(a_pod())
    world.runner.start("uid-web")
    world.runner.poll()
    world.started[0].exit_code = 1
    world.fault = Busy("not now", cgroup="kubepods", knob="memory.max")
    assert world.kinds() == ["exited app", "failed app", "backoff app"]
    assert world.runner.statuses()[0].last is not None
    assert world.kinds() == []
    world.fault = None
    assert world.runner.next_due_us() == world.now + 10 * SECOND
    world.now += 10 * SECOND
    assert world.kinds() == ["created app"]
    assert world.kinds() == ["started app"]
