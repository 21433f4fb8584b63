"""What reclaim does with pages that are dirty or being written, and how long a disk's requests keep it."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import Costs, Disk, NodeSpec
from memqos.units import GIB, MIB

SLOW = (Disk("vda", 50 * MIB, 50 * MIB),)


def written(bench: Any, kernel: str) -> Any:
    """A cgroup in which a file of three times its limit was written, as in k6."""
    b = bench(kernel, memory=GIB, disks=SLOW, slower=20)
    b.group("a", MAX=16 * MIB)
    b.write("a", b.machine.file(48 * MIB))
    assert b.get("a", k.E_OOM_KILL) == 0
    b.check()
    return b


@pytest.mark.parametrize(("kernel", "met"), [("6.12", False), ("7.2", True)])
def test_only_7_2_meets_pages_again_that_are_being_written(bench: Any, kernel: str, met: bool) -> None:
    """k6: 425,316 scanned, 36,633 freed and 386,891 activated on 7.2; on 6.12 they are moved on."""
    b = written(bench, kernel)
    scanned, freed = b.get("a", k.PGSCAN), b.get("a", k.PGSTEAL)
    assert (scanned > 2 * freed) == met
    assert (b.get("a", k.PGACTIVATE) > freed) == met
    assert (b.get("a", k.PGREFILL) > freed) != met


@pytest.mark.parametrize(("kernel", "sleeps"), [("6.12", False), ("7.2", True)])
def test_reclaim_sleeps_on_7_2_where_all_it_meets_is_being_written(
    bench: Any, kernel: str, sleeps: bool
) -> None:
    b = bench(kernel, memory=GIB, disks=SLOW, slower=20)
    b.group("a", MAX=16 * MIB)
    task = b.machine.task("a")
    row = {k.P_OP: k.OP_WRITE, k.P_OBJ: b.machine.file(32 * MIB), k.P_COUNT: 8192, k.P_NS: 1000}
    b.machine.program(task, [row])
    slept = 0
    while b.machine.m.task[task, k.T_STATE] != k.T_DEAD:
        b.machine.advance(b.machine.now + 1_000_000)
        slept += int(b.machine.m.g[k.SC_THROTTLED])
    assert (slept > 0) == sleeps


def seconds_to_swap(kernel: str, **changes: Any) -> float:
    """Virtual seconds of two passes over twice a limit's memory."""
    costs = {name: changes.pop(name) for name in tuple(changes) if name in ("request",)}
    seed = changes.pop("seed", 1)
    disk = Disk("vda", 200 * MIB, 200 * MIB, **changes)
    machine = Machine(
        PROFILES[kernel], NodeSpec(memory=64 * MIB, swap=32 * MIB, disks=(disk,), seed=seed), Costs(**costs)
    )
    machine.mkdir("a")
    machine.set_limit("a", k.MAX, 4 * MIB)
    task = machine.task("a")
    row = {k.P_OP: k.OP_TOUCH, k.P_OBJ: machine.region(task, 8 * MIB), k.P_COUNT: 2048, k.P_CHUNK: 2048}
    machine.program(task, [row | {k.P_NS: 1000, k.P_WRITE: 1}] * 2)
    machine.run_until_exit(task)
    return machine.now / 1e9


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_each_request_takes_the_processors_time(kernel: str) -> None:
    without, with_ = seconds_to_swap(kernel), seconds_to_swap(kernel, request=1_000_000)
    assert (
        with_ > without + 0.15
    )  # 256 reads of eight pages, a millisecond each, some of it while the disk works


def test_a_latency_with_a_spread_is_another_one_for_each_request_and_the_same_every_time() -> None:
    steady, spread = seconds_to_swap("6.12"), seconds_to_swap("6.12", spread_us=2000)
    assert spread > steady + 0.1  # 256 reads, a millisecond more on the average
    assert spread == seconds_to_swap("6.12", spread_us=2000)
    assert spread != seconds_to_swap("6.12", spread_us=2000, seed=2)
