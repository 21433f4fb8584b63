"""A new file's pages on their way to the disk: extents, requests, and who runs out of memory meanwhile."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from memqos.sim.kernels import layout as k
from memqos.sim.spec import Costs, Disk
from memqos.units import GIB, MIB

SLOW = (Disk("vda", 16 * MIB, 16 * MIB, write_latency_us=100),)
EMULATED = Costs(scan=1500, steal=3000, round=12_000, request=140_000, read_miss=8000, copy=4000)
"""As slow as a guest: rounds of reclaim take a time of their own."""


def sync_row(file: int) -> dict[int, int]:
    return {k.P_OP: k.OP_SYNC, k.P_OBJ: file}


def write_row(file: int, size: int) -> dict[int, int]:
    return {k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: size // 4096, k.P_CHUNK: 256, k.P_NS: 1000}


@pytest.mark.parametrize(("kernel", "requests"), [("6.1", 20), ("6.12", 20), ("7.2", 5)])
def test_an_extent_goes_in_many_requests_and_its_pages_end_at_once(
    bench: Any, kernel: str, requests: int
) -> None:
    b = bench(kernel, memory=GIB, disks=SLOW)
    c = b.group("a")
    file, task = b.machine.file(20 * MIB), b.machine.task("a")
    b.machine.program(task, [write_row(file, 20 * MIB), sync_row(file)])
    seen = [0]
    while b.machine.m.task[task, k.T_STATE] != k.T_DEAD:
        b.machine.advance(b.machine.now + 1_000_000)
        seen.append(b.get("a", k.N_WB))
    b.check()
    assert [a - b for a, b in pairwise(seen) if b < a] == [2048, 2048, 1024]
    assert b.machine.m.cg[c, k.IO + 3] == requests


def test_where_a_file_has_its_blocks_each_request_ends_alone(bench: Any) -> None:
    b = bench("6.12", memory=GIB, disks=SLOW)
    b.group("a")
    file, task = b.machine.file(4 * MIB), b.machine.task("a")
    b.machine.stored(file)
    b.machine.program(task, [write_row(file, 4 * MIB), sync_row(file)])
    seen = [0]
    while b.machine.m.task[task, k.T_STATE] != k.T_DEAD:
        b.machine.advance(b.machine.now + 1_000_000)
        seen.append(b.get("a", k.N_WB))
    assert [a - b for a, b in pairwise(seen) if b < a] == [256] * 4


def test_single_pages_go_in_requests_of_1_mib_on_7_2_too(bench: Any) -> None:
    b = bench("7.2", memory=GIB, disks=SLOW)
    c = b.group("a")
    file, task = b.machine.file(4 * MIB), b.machine.task("a")
    row = write_row(file, 4 * MIB) | {k.P_CHUNK: 1}
    b.machine.program(task, [row, sync_row(file)])
    b.machine.run_until_exit(task)
    assert b.machine.m.cg[c, k.IO + 3] == 4


def test_a_request_that_io_max_holds_ends_its_extent_all_the_same(bench: Any) -> None:
    b = bench("6.12", memory=GIB, disks=(Disk("vda"),))
    c = b.group("a")
    b.machine.m.cg[c, k.IOMAX + 1] = 16 * MIB
    file, task = b.machine.file(12 * MIB), b.machine.task("a")
    b.machine.program(task, [write_row(file, 12 * MIB), sync_row(file)])
    seen = [0]
    while b.machine.m.task[task, k.T_STATE] != k.T_DEAD:
        b.machine.advance(b.machine.now + 1_000_000)
        seen.append(b.get("a", k.N_WB))
    assert [a - b for a, b in pairwise(seen) if b < a] == [2048, 1024]


def written_beside(bench: Any, clean: int) -> Any:
    """A file of four times its cgroup's limit is written to a slow disk; another has `clean` bytes cached."""
    b = bench("7.2", memory=GIB, disks=SLOW, costs=EMULATED)
    b.group("other")
    if clean:
        b.read("other", b.machine.file(clean))
    b.group("a", MAX=16 * MIB)
    b.write("a", b.machine.file(64 * MIB))
    b.check()
    return b


def test_a_writer_on_7_2_waits_for_its_writes_while_most_of_the_node_is_unwritten(bench: Any) -> None:
    """k10: in every guest the first of two pods lived, whose dirty pages were all there was."""
    b = written_beside(bench, 0)
    assert b.get("a", k.E_OOM_KILL) == 0
    assert b.get("a", k.PGSTEAL) > 3 * 4096 - 64


def test_a_writer_on_7_2_is_killed_where_another_cgroup_has_clean_pages(bench: Any) -> None:
    """k10: the second write ended in a kill in one guest of three, the third in two, the fourth in all.

    What is too little for the folio is no room: memory.events of guests counted one oom or two.
    """
    b = written_beside(bench, 64 * MIB)
    assert b.get("a", k.E_OOM_KILL) == 1
    assert b.get("a", k.E_OOM) <= 2


@pytest.mark.parametrize("clean", [0, 64 * MIB])
def test_on_6_1_dirty_pages_are_bounded_in_time(bench: Any, clean: int) -> None:
    b = bench("6.1", memory=GIB, disks=SLOW, costs=EMULATED)
    b.group("other")
    if clean:
        b.read("other", b.machine.file(clean))
    b.group("a", MAX=16 * MIB)
    b.write("a", b.machine.file(64 * MIB))
    assert b.get("a", k.E_OOM) == 0


@pytest.mark.parametrize(("writeback", "cpus", "kills"), [(4000, 2, 0), (40_000, 2, 1), (40_000, 1, 0)])
def test_who_calls_for_the_flusher_goes_on_with_his_tries_meanwhile(
    bench: Any, writeback: int, cpus: int, kills: int
) -> None:
    """A folio of 1 MiB is refused 18 times, and so is each half of it down to 32 KiB, the last that may kill.

    In a guest all of that was 108 tries and over in 51 ms, while no page's write had ended (k10). With one
    processor the flusher has it first.
    """
    costs = replace(EMULATED, writeback=writeback)
    b = bench("7.2", memory=GIB, disks=(Disk("vda"),), costs=costs, cpus=cpus)
    b.group("other")
    b.read("other", b.machine.file(64 * MIB))
    b.group("a", MAX=16 * MIB)
    b.write("a", b.machine.file(64 * MIB))
    assert b.get("a", k.E_OOM_KILL) == kills
    if kills:
        assert b.get("a", k.E_MAX) >= 108


@pytest.mark.parametrize("delay", [0, 4_400_000_000])
def test_the_flusher_writes_what_is_dirty_when_it_is_called_for_and_no_more(bench: Any, delay: int) -> None:
    """However soon it would have looked by itself, every five seconds; 49 requests when it went on at it."""
    fast = Disk("vda", 200 * MIB, 200 * MIB, write_latency_us=100, burst_us=100_000)
    b = bench("7.2", memory=GIB, disks=(fast,), costs=EMULATED)
    b.group("other")
    b.read("other", b.machine.file(64 * MIB))
    c = b.group("a", MAX=20 * MIB)
    b.machine.run(delay)
    b.write("a", b.machine.file(64 * MIB))
    assert b.get("a", k.E_OOM_KILL) == 0
    assert b.machine.m.cg[c, k.IO + 3] <= 20
