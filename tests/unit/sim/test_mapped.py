"""Files that processes of several cgroups have mapped: whose accesses reclaim sees, and who is killed."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import control
from memqos.sim.kernels import layout as k
from memqos.units import MIB

KERNELS = ("6.1", "6.12", "7.2")


def hold_mapped(b: Any, path: str, file: int, size: int) -> int:
    """A process that has mapped and touched a file twice, and stays."""
    task = b.machine.task(path)
    row = {k.P_OP: k.OP_TOUCH, k.P_OBJ: file, k.P_MAP: b.machine.mapping(task, file, size) + 1, k.P_NS: 1000}
    b.machine.program(task, [row | {k.P_COUNT: size >> 11, k.P_CHUNK: size >> 12}, {k.P_OP: k.OP_HOLD}])
    b.settle(task)
    return int(task)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("mapper", "kept"), [("p/owner", True), ("other", False), ("p/beside", False)])
def test_a_limit_asks_only_the_processes_below_it_for_accesses(
    bench: Any, kernel: str, mapper: str, kept: bool
) -> None:
    """`invalid_folio_referenced_vma`: what others have mapped goes as if nobody had."""
    b = bench(kernel, memory=96 * MIB)
    b.group("p")
    b.group("p/owner", MAX=8 * MIB)
    b.group("p/beside")
    b.group("other")
    file, stream = b.machine.file(4 * MIB), b.machine.file(7 * MIB)
    b.read("p/owner", file)
    hold_mapped(b, mapper, file, 4 * MIB)
    b.read("p/owner", stream)
    resident = int(b.machine.m.obj[file, k.O_RESIDENT])
    assert (resident == 1024) == kept
    b.check()


def test_the_limit_of_a_pod_asks_all_of_its_containers(bench: Any) -> None:
    b = bench("6.12", memory=96 * MIB)
    b.group("p", MAX=8 * MIB)
    b.group("p/owner")
    b.group("p/beside")
    file, stream = b.machine.file(4 * MIB), b.machine.file(7 * MIB)
    b.read("p/owner", file)
    hold_mapped(b, "p/beside", file, 4 * MIB)
    b.read("p/owner", stream)
    assert int(b.machine.m.obj[file, k.O_RESIDENT]) == 1024
    b.check()


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_what_only_a_process_that_ended_had_mapped_is_mapped_no_longer(bench: Any, kernel: str) -> None:
    """Another has mapped the file, too, but its entries went with the pages when these were reclaimed."""
    b = bench(kernel, memory=96 * MIB)
    b.group("owner")
    b.group("other")
    file = b.machine.file(4 * MIB)
    b.read("owner", file)
    hold_mapped(b, "other", file, 4 * MIB)
    b.machine.reclaim("owner", 8 * MIB)
    task = b.machine.task("other")
    row = {k.P_OP: k.OP_TOUCH, k.P_OBJ: file, k.P_MAP: b.machine.mapping(task, file, 4 * MIB) + 1}
    b.machine.program(task, [row | {k.P_COUNT: 1024, k.P_CHUNK: 1024, k.P_NS: 1000}])
    b.machine.run_until_exit(task)
    assert b.get("other", k.N_FILE) == 1024
    assert b.get("other", k.N_MAPPED) == 0
    again = hold_mapped(b, "other", file, 4 * MIB)
    assert b.get("other", k.N_MAPPED) == 1024
    b.machine.order(control.FINISH, again)
    assert b.get("other", k.N_MAPPED) == 0
    b.check()


def test_what_two_have_mapped_stays_mapped_by_the_other(bench: Any) -> None:
    b = bench("6.1", memory=96 * MIB)
    b.group("a")
    file = b.machine.file(4 * MIB)
    hold_mapped(b, "a", file, 4 * MIB)
    second = hold_mapped(b, "a", file, 4 * MIB)
    b.machine.order(control.FINISH, second)
    assert b.get("a", k.N_MAPPED) == 1024
    b.check()


def test_mapped_files_count_for_who_is_killed_whoever_pays_for_them(bench: Any) -> None:
    """oom_badness: get_mm_rss counts them."""
    b = bench("6.1", memory=96 * MIB)
    b.group("rich")
    b.group("p", MAX=8 * MIB)
    b.group("p/a")
    b.group("p/b")
    file = b.machine.file(6 * MIB)
    b.read("rich", file)
    mapper = hold_mapped(b, "p/a", file, 6 * MIB)
    idle = b.hog("p/a", 3 * MIB)
    b.settle(idle)
    greedy = b.hog("p/b", 16 * MIB)
    while b.machine.m.task[mapper, k.T_STATE] != k.T_DEAD:
        assert b.machine.m.task[greedy, k.T_STATE] != k.T_DEAD
        b.machine.advance(b.machine.now + 100_000)
    assert b.machine.m.task[idle, k.T_STATE] == k.T_HOLD


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_store_to_what_is_cached_counts_against_the_misses_of_read_around(bench: Any, kernel: str) -> None:
    """do_async_mmap_readahead: each such fault is a hit, and read-around goes on for as long again."""
    b = bench(kernel, memory=96 * MIB)
    b.group("a")
    file = b.machine.file(4 * MIB)
    b.read("a", file)
    task = b.machine.task("a")
    mapping = b.machine.mapping(task, file, 4 * MIB)
    b.machine.m.obj[mapping, k.O_MMAP_MISS] = 60
    row = {k.P_OP: k.OP_TOUCH, k.P_OBJ: file, k.P_MAP: mapping + 1, k.P_NS: 1000, k.P_WRITE: 1}
    b.machine.program(task, [row | {k.P_COUNT: 40, k.P_CHUNK: 40}, {k.P_OP: k.OP_HOLD}])
    b.settle(task)
    assert int(b.machine.m.obj[mapping, k.O_MMAP_MISS]) == 20
    b.check()
