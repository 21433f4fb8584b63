"""Dirty limits of a cgroup, and the age of the statistics they are reckoned with."""

from typing import Any

import pytest

from memqos.sim.kernels import control, psi
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import entry
from memqos.units import GIB, MIB

LIMIT = 16 * MIB


@entry
def timeout(now: int, jiffies: int) -> int:
    """An entry of its own: compiled kernels can only be called through one."""
    return psi.timeout(now, jiffies)


def most_unwritten(bench: Any, kernel: str, *, read_stat: bool = False, mapped: bool = False) -> float:
    """The largest part of its limit that who writes to a file ever has dirty or under writeback."""
    b = bench(kernel, memory=GIB)
    b.group("a", MAX=LIMIT)
    file, task = b.machine.file(64 * MIB), b.machine.task("a")
    pages = 64 * MIB // 4096
    row = {k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: pages, k.P_NS: 1000}
    if mapped:
        row |= {k.P_OP: k.OP_TOUCH, k.P_MAP: b.machine.mapping(task, file, 64 * MIB) + 1}
        row |= {k.P_CHUNK: pages, k.P_WRITE: 1}
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


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_who_stores_to_a_mapping_pauses_like_who_writes(bench: Any, kernel: str) -> None:
    """mm/memory.c, `fault_dirty_shared_page`."""
    assert most_unwritten(bench, kernel, read_stat=True, mapped=True) < 0.3


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_who_writes_slowly_is_not_held_by_statistics_of_what_was_dirty_once(bench: Any, kernel: str) -> None:
    """4 MiB a second, as in k17's `slow`: twice the limit in them, and nothing that waits for its write."""
    b = bench(kernel, memory=GIB, cpus=1)
    b.group("a", MAX=LIMIT)
    file, task = b.machine.file(48 * MIB), b.machine.task("a")
    pages, pace = 48 * MIB // 4096, 4096 * 1_000_000_000_000 // (4 * MIB)
    row = {k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: pages, k.P_CHUNK: 16, k.P_NS: 1000}
    b.machine.program(task, [row | {k.P_PACE: pace}])
    behind = 0
    for second in range(1, 12):
        b.machine.run(second * 1_000_000_000)
        behind = max(behind, 4 * MIB * second // 4096 - int(b.machine.m.task[task, k.T_I]))
    assert behind < 256


def test_the_flusher_knows_what_the_files_of_a_cgroup_have_dirty_now(bench: Any) -> None:
    """It looks every five seconds; the statistics of the cgroup say next to nothing until the sixth."""
    b = bench("7.2", memory=GIB)
    b.group("a", MAX=LIMIT)
    b.machine.run(4_500_000_000)
    b.write("a", b.machine.file(8 * MIB))
    assert (b.get("a", k.N_DIRTY), b.get("a", k.SEEN_DIRTY)) == (2048, 0)
    b.machine.run(5_900_000_000)
    assert (b.get("a", k.N_DIRTY), b.get("a", k.SEEN_DIRTY)) == (0, 0)


def test_a_timeout_ends_at_a_tick_and_not_early() -> None:
    assert [timeout(now, 1) for now in (8_000_000, 8_000_001, 11_999_999)] == [16_000_000] * 3
    assert timeout(12_000_000, 2) == 24_000_000
