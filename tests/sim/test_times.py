"""The field study's two run times (E1) from a disk's and a program's speed.

Measured there, and given here: md5sum computes for 5.949 s on 4 GiB that are in memory; its disk gave
4295086080 bytes in 29.512 s while md5sum waited for it. The kernel's own costs are `Costs`' defaults. What
must come out is that reading ahead hides computing behind the disk (else 29.5 s would be 37.8), and that a
second pass over a resident file costs only what the program and the copies cost.
"""

from __future__ import annotations

import pytest

from memqos.sim.commands import understand
from memqos.sim.files import Files
from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.process import Process
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import GIB

READ_BPS = round(4295086080 / 29.512)


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
@pytest.mark.parametrize(("limit", "real", "system"), [(1, 29.512, 2.344), (8, 6.500, 0.544)])
def test_a_second_md5sum_of_4_gib_takes_the_field_studys_time(
    kernel: str, limit: int, real: float, system: float
) -> None:
    spec = NodeSpec(memory=16 * GIB, disks=(Disk("data", READ_BPS, READ_BPS),))
    machine = Machine(PROFILES[kernel], spec)
    machine.mkdir("a")
    machine.set_limit("a", k.MAX, limit * GIB)
    files = Files(machine, {"/data/file": 4 * GIB})
    job = understand(["md5sum", "/data/file"])
    for _ in range(2):
        start = machine.now
        process = Process(machine, files, "a", job)
        while process.alive:
            for _, kind, _, _ in machine.advance(machine.now + 1_000_000_000_000):
                if kind == k.EV_MARK:
                    process.go_on()
    ended = int(machine.m.task[process.task, k.T_ENDED])
    assert (ended - start) / 1e9 == pytest.approx(real, rel=0.1)
    assert machine.m.task[process.task, k.T_USER] / 1e9 == pytest.approx(5.949, rel=0.01)
    assert machine.m.task[process.task, k.T_SYS] / 1e9 == pytest.approx(system, rel=0.1)
