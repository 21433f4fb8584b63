"""io.max per cgroup, and who is blamed for what reaches the disk."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.model.plan import Write
from memqos.model.snapshot import IoMax
from memqos.sim.kernels import layout as k
from memqos.sim.kernels import psi, slices, throttle
from memqos.sim.kernels.jit import entry
from memqos.sim.kernels.mem import Mem
from memqos.sim.machine import Machine
from memqos.sim.node import SimNode
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import NodeSpec
from memqos.units import MIB

KERNELS = ("6.1", "6.12", "7.2")
SECOND = 1_000_000_000
SLICE = slices.LENGTH * psi.JIFFY
IO, IO_FULL = 2, 3


@entry
def passes_at(m: Mem, c: int, d: int, write: int, size: int, now: int) -> int:
    """Entries of their own: compiled kernels can only be called through one."""
    return throttle.passes_at(m, c, d, write, size, now, True)


@entry
def owes(m: Mem, c: int, size: int, now: int) -> int:
    return throttle.passes_at(m, c, 0, 1, size, now, False)


@entry
def hold(m: Mem, time: int, c: int, page: int, pages: int, kind: int) -> None:
    throttle.hold(m, time, 0, c, page, pages, kind)


@entry
def drop_first(m: Mem) -> None:
    throttle.drop_first(m)


def limit(b: Any, path: str, **limits: int) -> None:
    wanted = {"254:0": IoMax(**limits)} if limits else {}
    SimNode(b.machine).apply(Write(path, "io.max", wanted, "a test"))


def start_read(b: Any, path: str, size: int) -> int:
    task = b.machine.task(path)
    row = {k.P_OP: k.OP_READ, k.P_OBJ: b.machine.file(size), k.P_COUNT: size // 4096, k.P_CHUNK: 8}
    b.machine.program(task, [row | {k.P_NS: 1000}])
    return int(task)


def took(b: Any, task: int) -> float:
    row = b.machine.m.task
    return float(row[task, k.T_ENDED] - row[task, k.T_STARTED]) / SECOND


def test_a_limit_on_the_parent_is_shared_by_its_children(bench: Any) -> None:
    b = bench("6.12")
    b.group("p")
    b.group("p/a")
    b.group("p/b")
    limit(b, "p", rbps=4 * MIB)
    tasks = [start_read(b, path, 4 * MIB) for path in ("p/a", "p/b")]
    b.machine.run_until_exit(*tasks)
    assert [took(b, task) for task in tasks] == pytest.approx([2.0, 2.0], rel=0.1)
    b.check()


def test_requests_per_second_are_limited_too(bench: Any) -> None:
    b = bench("6.12")
    b.group("a")
    limit(b, "a", riops=20)
    task = start_read(b, "a", 4 * MIB)
    b.machine.run_until_exit(task)
    # a first window of 64 KiB, then 128 KiB each
    assert b.get("a", k.IO + k.IO_RIOS) == 33
    assert took(b, task) == pytest.approx(33 / 20, rel=0.1)


def test_a_throttled_reader_waits_for_io_and_its_neighbour_does_not(bench: Any) -> None:
    b = bench("6.12")
    b.group("p")
    b.group("p/slow")
    b.group("p/fast")
    limit(b, "p/slow", rbps=2 * MIB)
    slow = start_read(b, "p/slow", 4 * MIB)
    fast = start_read(b, "p/fast", 4 * MIB)
    b.machine.run_until_exit(slow, fast)
    assert took(b, slow) == pytest.approx(2.0, rel=0.1)
    assert took(b, fast) < 0.1
    assert b.stalled("p/slow", IO) == b.stalled("p/slow", IO_FULL) == pytest.approx(took(b, slow), rel=0.05)
    assert b.stalled("p", IO) == pytest.approx(took(b, slow), rel=0.1)
    assert b.stalled("p/fast", IO) < 0.1
    assert b.stalled("p/slow") < 0.01


def test_writeback_is_held_in_the_cgroup_that_dirtied_the_file_and_fsync_waits_for_it(bench: Any) -> None:
    b = bench("6.12")
    b.group("a")
    b.group("b")
    limit(b, "a", wbps=4 * MIB)
    tasks = []
    for path in ("a", "b"):
        task, file = b.machine.task(path), b.machine.file(8 * MIB)
        row = {k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: 2048, k.P_NS: 1000}
        b.machine.program(task, [row, {k.P_OP: k.OP_SYNC, k.P_OBJ: file}])
        tasks.append(task)
    b.machine.run_until_exit(*tasks)
    assert took(b, tasks[0]) == pytest.approx(2.0, rel=0.1)
    assert took(b, tasks[1]) < 0.2
    assert b.get("a", k.IO + k.IO_WBYTES) == b.get("b", k.IO + k.IO_WBYTES) == 8 * MIB
    assert b.stalled("a", IO) > 1.5
    assert b.machine.m.g[k.NWB] == b.machine.m.g[k.NDIRTY] == 0
    b.check()


def test_dirty_pages_of_a_throttled_cgroup_make_its_writer_wait(bench: Any) -> None:
    b = bench("6.1", memory=128 * MIB)  # later kernels see them too late: test_dirty.py
    b.group("a", MAX=32 * MIB)
    limit(b, "a", wbps=4 * MIB)
    task, file = b.machine.task("a"), b.machine.file(24 * MIB)
    b.machine.program(task, [{k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: 6144, k.P_NS: 1000}])
    most = 0
    while b.machine.m.task[task, k.T_STATE] != k.T_DEAD:
        b.machine.advance(b.machine.now + SECOND // 10)
        most = max(most, b.get("a", k.N_DIRTY) + b.get("a", k.N_WB))
    assert most * 4096 <= 0.2 * 32 * MIB + MIB
    assert took(b, task) > (24 - 0.2 * 32) / 4 * 0.9
    assert b.get("a", k.E_OOM) == 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_swapping_in_is_held_on_every_kernel(bench: Any, kernel: str) -> None:
    b = bench(kernel, swap=32 * MIB)
    b.group("a", MAX=4 * MIB)
    task = b.hog("a", 6 * MIB, "w")
    b.settle(task)
    limit(b, "a", rbps=4 * MIB)
    before, start = b.get("a", k.PSWPIN), b.machine.now
    again = b.hog("a", 6 * MIB, "wr")
    b.settle(again)
    read = (b.get("a", k.PSWPIN) - before) * 4096
    assert read > MIB
    assert (b.machine.now - start) / SECOND > 0.8 * read / (4 * MIB)


@pytest.mark.parametrize(("kernel", "held"), [("6.1", True), ("6.12", False), ("7.2", False)])
def test_swapping_out_is_held_by_6_1_only_and_blamed_on_the_owner(
    bench: Any, kernel: str, held: bool
) -> None:
    b = bench(kernel, swap=32 * MIB)
    b.group("p", MAX=4 * MIB)
    b.group("p/owner")
    b.group("p/other")
    b.settle(b.hog("p/owner", 3 * MIB))
    limit(b, "p/owner", wbps=MIB)
    start = b.machine.now
    b.settle(b.hog("p/other", 3 * MIB + MIB // 2))
    while b.machine.m.g[k.NWB]:
        b.machine.run(b.machine.now + SECOND // 100)
    passed = (b.machine.now - start) / SECOND
    out = b.get("p/owner", k.PSWPOUT) * 4096
    assert out > MIB
    assert b.get("p/owner", k.IO + k.IO_WBYTES) == out
    assert b.get("p/other", k.IO + k.IO_WBYTES) == b.get("p/other", k.PSWPOUT) * 4096
    if held:
        assert passed == pytest.approx(out / MIB, rel=0.1)
    else:
        assert passed < 0.5
    assert b.get("p", k.E_OOM) == 0
    b.check()


def test_taking_a_limit_away_lets_go_what_it_held(bench: Any) -> None:
    b = bench("6.12")
    b.group("a")
    limit(b, "a", rbps=64 << 10)
    task = start_read(b, "a", 4 * MIB)
    b.machine.run(b.machine.now + 3 * SECOND // 2)
    assert b.machine.m.g[k.HELD] > 0
    limit(b, "a")
    start = b.machine.now
    b.machine.run_until_exit(task)
    assert (b.machine.now - start) / SECOND < 0.2
    assert b.machine.m.g[k.HELD] == 0


def machine_with(**limits: int) -> tuple[Any, int]:
    machine = Machine(PROFILES["6.12"], NodeSpec(memory=16 * MIB))
    c = machine.mkdir("a")
    for name, rate in limits.items():
        machine.m.cg[c, k.IOMAX + ("rbps", "wbps", "riops", "wiops").index(name)] = rate
    return machine.m, c


def test_pages_that_had_to_wait_pass_together_slice_by_slice() -> None:
    """A slice allows its whole part as it begins; one page a jiffy would be a request each to the disk."""
    m, c = machine_with(rbps=MIB)
    times = [passes_at(m, c, 0, 0, 4096, SECOND) for _ in range(100)]
    assert times.count(SECOND) == MIB // 10 // 4096
    later = sorted(set(times) - {SECOND})
    assert len(later) == 3
    assert all(SLICE <= time - before <= SLICE + 4_000_000 for before, time in pairwise([SECOND, *later]))


def test_a_limit_of_requests_passes_them_slice_by_slice_too() -> None:
    m, c = machine_with(riops=50)
    times = [passes_at(m, c, 0, 0, 4096, SECOND) for _ in range(20)]
    assert times == [SECOND + i // 5 * SLICE for i in range(20)]


def test_what_is_not_held_is_owed_and_an_idle_slice_does_not_forget_it() -> None:
    m, c = machine_with(wbps=MIB)
    assert all(owes(m, c, 4096, SECOND) == SECOND for _ in range(512))
    paid = passes_at(m, c, 0, 1, 4096, SECOND + 3 * SLICE)
    assert paid == pytest.approx(3 * SECOND, abs=2 * SLICE)


def test_what_was_not_used_of_a_slice_is_lost() -> None:
    m, c = machine_with(rbps=MIB)
    passes_at(m, c, 0, 0, 4096, SECOND)
    times = [passes_at(m, c, 0, 0, 4096, 9 * SECOND) for _ in range(100)]
    assert times.count(9 * SECOND) == MIB // 10 // 4096


@pytest.mark.parametrize("kernel", KERNELS)
def test_pages_of_swap_that_were_held_reach_the_disk_in_few_requests(bench: Any, kernel: str) -> None:
    b = bench(kernel, swap=32 * MIB)
    b.group("a", MAX=4 * MIB)
    b.settle(b.hog("a", 6 * MIB, "w"))
    limit(b, "a", rbps=MIB)
    pages, reads = b.get("a", k.PSWPIN), int(b.machine.m.dev[0, k.D_RIOS])
    b.settle(b.hog("a", 6 * MIB, "wr"))
    pages, reads = b.get("a", k.PSWPIN) - pages, int(b.machine.m.dev[0, k.D_RIOS]) - reads
    assert pages > 256
    assert pages / reads > 3


requests = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from([1, 2]), st.integers(0, 1), st.integers(1, 64)),
    max_size=80,
)


@given(requests, st.integers(1, 8), st.integers(0, 3))
def test_what_passes_is_never_more_than_the_rate_and_the_slices_it_touches(
    asked: list[tuple[int, int, int, int]], parent: int, child: int
) -> None:
    """Against the limits themselves: bytes that passed up to any moment, in the order they were asked for."""
    machine = Machine(PROFILES["6.12"], NodeSpec(memory=16 * MIB))
    rows = [machine.mkdir("p"), machine.mkdir("p/a"), machine.mkdir("p/b")]
    rates = {rows[0]: parent * MIB, rows[1]: child * MIB, rows[2]: 0}
    for c, rate in rates.items():
        for write in range(2):
            machine.m.cg[c, k.IOMAX + write] = rate
    now, seen = 0, []
    for i, (wait, which, write, pages) in enumerate(asked):
        now += wait * 1_000_000
        when = passes_at(machine.m, rows[which], 0, write, pages * 4096, now)
        assert when >= now
        hold(machine.m, when, rows[which], i, pages, k.Q_SWAPOUT if write else k.Q_READ)
        seen.append((when, now, rows[which], write, pages * 4096))
    popped = []
    while machine.m.g[k.HELD]:
        popped.append((int(machine.m.held[0, k.H_TIME]), int(machine.m.held[0, k.H_PAGE])))
        drop_first(machine.m)
    assert popped == sorted((each[0], i) for i, each in enumerate(seen))
    for c, below in ((rows[0], rows[1:]), (rows[1], rows[1:2])):
        for write in range(2):
            passed = [(when, size) for when, _, owner, way, size in seen if way == write and owner in below]
            for start, _ in passed:
                for end, _ in passed:
                    sent = sum(size for when, size in passed if start <= when <= end)
                    allowed = rates[c] * (end - start + 2 * SLICE) // SECOND + 64 * 4096
                    assert not rates[c] or end < start or sent <= allowed
