"""Dirty limits of a cgroup, and the age of the statistics they are reckoned with."""

from typing import Any

import pytest

from memqos.sim.kernels import control
from memqos.sim.kernels import layout as k
from memqos.units import GIB, MIB

LIMIT = 16 * MIB


def most_unwritten(bench: Any, kernel: str, *, read_stat: bool = False) -> float:
    """The largest part of its limit that a writer ever has dirty or under writeback."""
    b = bench(kernel, memory=GIB)
    b.group("a", MAX=LIMIT)
    file, task = b.machine.file(64 * MIB), b.machine.task("a")
    row = {k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: 64 * MIB // 4096, k.P_NS: 1000}
    b.machine.program(task, [row])
    most = 0
    while b.machine.m.task[task, k.T_STATE] != k.T_DEAD:
        if read_stat:
            b.machine.order(control.LOOK, 0)
        b.machine.advance(b.machine.now + 1_000_000)
        most = max(most, b.get("a", k.N_DIRTY) + b.get("a", k.N_WB))
    assert b.get("a", k.E_OOM_KILL) == 0
    b.check()
    return most * 4096 / LIMIT


def test_a_writer_never_has_more_than_a_fifth_unwritten_on_6_1(bench: Any) -> None:
    assert most_unwritten(bench, "6.1") < 0.25


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_later_kernels_see_too_late_that_a_whole_limit_is_unwritten(bench: Any, kernel: str) -> None:
    assert most_unwritten(bench, kernel) > 0.8


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_who_reads_memory_stat_all_the_time_has_them_see_it_in_time(bench: Any, kernel: str) -> None:
    assert most_unwritten(bench, kernel, read_stat=True) < 0.3
