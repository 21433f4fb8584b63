"""The field study's experiments as real kernels ran them (the laboratory's E1 and E3, one run each)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from memqos.kubelet.config import KubeletConfig
from memqos.model.pods import Container, Pod, Resources
from memqos.sim.kernels import layout as k
from memqos.sim.scenario import Scenario, Simulation
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import GIB, MIB, UNLIMITED, parse_quantity
from memqos.workload.spec import Allocate, Repeat, Sleep, Touch, Workload


def pod(command: str) -> Pod:
    limits = Resources(limits={"memory": parse_quantity("100Mi")})
    container = Container("main", limits, command=tuple(command.split()))
    return Pod("default", "a", "uid-a", (container,), restart_policy="Always")


@pytest.mark.parametrize(
    ("kernel", "events", "stolen", "refaults"),
    [("6.1", 4279, 179_723, 102_454), ("6.12", 2808, 179_702, 102_401), ("7.2", 2804, 179_571, 102_394)],
)
def test_e1_md5sum_twice_over_a_file_of_four_times_the_limit(
    kernel: str, events: int, stolen: int, refaults: int
) -> None:
    scenario = Scenario(
        node=NodeSpec(memory=1400 * MIB, disks=(Disk("data", 100 * MIB, 100 * MIB),)),
        files={"/data/big": 400 * MIB},
        pods=(pod("md5sum /data/big"),),
        seconds=120,
    )
    simulation = Simulation(scenario, kernel)
    simulation.run(0.001)
    run = simulation.kubelet.held["default/a"].runs[0]
    while run.starts < 2 or run.running:
        simulation.run(0.01)
    stat = simulation.node.observe().cgroups[run.cgroup].memory_stat or {}
    above = simulation.node.observe().cgroups[simulation.kubelet.held["default/a"].cgroup]
    assert above.memory_events is not None
    assert above.memory_events["max"] == pytest.approx(events, rel=0.02)
    assert stat["pgsteal"] == pytest.approx(stolen, rel=0.01)
    assert stat["workingset_refault_file"] == pytest.approx(refaults, rel=0.01)
    assert above.io_stat is not None
    assert above.io_stat["254:0"].rbytes == 800 * MIB
    assert above.io_stat["254:0"].rios == pytest.approx(3206, rel=0.01)


@pytest.mark.parametrize(("kernel", "written"), [("6.1", 78_135), ("6.12", 81_021), ("7.2", 84_086)])
def test_e3_400_mib_of_memory_under_100_mib_with_swap(kernel: str, written: int) -> None:
    grow = Workload(
        (Allocate("h", 400 * MIB), Touch("h", write=True), Repeat((Touch("h", write=True),), 2), Sleep(99))
    )
    scenario = Scenario(
        node=NodeSpec(memory=GIB, swap=768 * MIB, swap_disk="s", disks=(Disk("s", 100 * MIB, 100 * MIB),)),
        pods=(pod("memqos workload grow"),),
        workloads={"grow": grow},
        kubelet=KubeletConfig(fail_swap_on=False),
        seconds=120,
    )
    simulation = Simulation(scenario, kernel)
    simulation.run(0.0001)
    run = simulation.kubelet.held["default/a"].runs[0]
    simulation.machine.set_limit(run.cgroup, k.SWAP_MAX, UNLIMITED)
    moved = []
    for done in (2, 3, 4):
        while len(run.processes[0].results) < done:
            simulation.run(0.02)
        row = simulation.machine.m.cg
        c = simulation.machine.paths[run.cgroup]
        moved.append((int(row[c, k.PSWPIN]), int(row[c, k.PSWPOUT])))
    assert moved[0][1] == pytest.approx(written, rel=0.1)
    for (before_in, before_out), (after_in, after_out) in pairwise(moved):
        assert after_in - before_in == pytest.approx(102_400, rel=0.02)
        assert after_out - before_out == pytest.approx(102_400, rel=0.1)
    assert run.oom_kills == 0
