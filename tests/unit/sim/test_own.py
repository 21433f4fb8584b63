"""What a program holds besides the memory it is asked to hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memqos.sim import own
from memqos.sim.files import Files
from memqos.sim.footprints import Footprint
from memqos.sim.job import Job
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, SECOND
from memqos.sim.process import Process
from memqos.sim.text import Text
from memqos.units import KIB, MIB
from memqos.workload.spec import (
    Allocate,
    Hold,
    Order,
    Phase,
    ReadFile,
    Repeat,
    RequestFile,
    Requests,
    Sleep,
    Touch,
    Workload,
    WriteFile,
)


@pytest.mark.parametrize(
    ("phase", "pages"),
    [
        (WriteFile("/data/a", 4 * MIB), 257),
        (ReadFile("/data/a", block=256 * KIB), 65),
        (ReadFile("/data/a"), 0),
        (ReadFile("/data/a", block=64 * KIB), 0),
        (Touch("heap"), 0),
        (Repeat((ReadFile("/data/a"), WriteFile("/data/a", MIB))), 257),
    ],
)
def test_a_file_is_read_and_written_through_a_buffer_that_malloc_maps(phase: Phase, pages: int) -> None:
    assert own.WORKLOAD.buffer(phase) == pages


def test_a_program_with_a_buffer_of_its_own_takes_no_other() -> None:
    assert own.plain("cat", 128 * KIB).buffer(ReadFile("/data/a")) == 0


def test_the_buffer_is_there_before_the_file_is_emptied_and_gone_after_it_is_written(
    bench: Callable[..., Any],
) -> None:
    node = bench("6.12")
    node.group("a")
    files = Files(node.machine, {"/data/a": 2 * MIB})
    work = Workload((ReadFile("/data/a", block=4 * KIB), WriteFile("/data/a", 2 * MIB), Hold(seconds=1)))
    process = Process(node.machine, files, "a", Job(work, own=own.Own(pages=8, buffers=True)))
    levels = []
    while process.alive:
        marks = [kind == k.EV_MARK for _, kind, _, _ in node.machine.advance(node.machine.now + 10_000)]
        levels.append((node.get("a", k.N_ANON), node.get("a", k.N_FILE)))
        if any(marks) and process.alive:
            process.go_on()
    assert (8 + 257, 2 * MIB // PAGE) in levels
    assert (8, 2 * MIB // PAGE) in levels[-9:]


def test_a_program_makes_its_memory_and_then_starts() -> None:
    rows = own.WORKLOAD.begin(3, lambda places: len(places))
    assert [row[k.P_OP] for row in rows] == [k.OP_TOUCH, k.OP_BEGIN]
    assert rows[0][k.P_A] == rows[0][k.P_COUNT] == own.WORKLOAD.pages


def test_an_interpreter_goes_through_its_pages_once_more_when_its_regions_are_gone(
    bench: Callable[..., Any],
) -> None:
    node = bench("6.12")
    node.group("a")
    work = Workload((Allocate("heap", MIB), Touch("heap", write=True)))
    process = Process(node.machine, Files(node.machine, {}), "a", Job(work, own=own.Own(pages=64, last=60)))
    held = []
    while process.alive:
        for _, kind, _, _ in node.machine.advance(node.machine.now + SECOND):
            if kind == k.EV_MARK and process.alive:
                held.append((node.get("a", k.N_ANON), int(node.machine.m.task[process.task, k.T_ACCESSES])))
                process.go_on()
    before = 64 + MIB // PAGE
    assert held[-2][0] == before
    assert held[-1] == (64, held[-2][1] + 60)


def test_its_end_meets_each_page_once_and_never_three_neighbours_in_a_row() -> None:
    order = own.WORKLOAD.ending()
    assert sorted(order) == list(range(own.WORKLOAD.last))
    assert all(b - a != 1 or c - b != 1 for a, b, c in zip(order, order[1:], order[2:], strict=False))
    assert own.PYTHON.ending() == own.NOTHING.ending() == []


def test_a_phase_that_draws_by_a_power_law_makes_its_table_first_and_a_buffer_behind_it() -> None:
    skewed = ReadFile("/data/a", block=256 * KIB, order=Order("zipf", 0.9))
    mine = own.of_workload([skewed])
    rows = mine.before(3, skewed, set(), lambda places: 0)
    made = [
        (row[k.P_FIRST], row[k.P_COUNT]) for row in rows if row[k.P_OP] == k.OP_TOUCH and k.P_FIRST in row
    ]
    assert made == [(mine.pages, mine.table), (mine.pages + mine.table, 65)]
    assert [row[k.P_FIRST] for row in mine.after(3, skewed)] == [mine.pages + mine.table]


def test_what_draws_by_no_power_law_makes_no_table() -> None:
    plain = Touch("heap", order=Order("uniform"))
    rows = own.of_workload([plain]).before(3, plain, set(), lambda places: 0)
    assert not any(k.P_FIRST in row for row in rows)
    assert own.of_workload([plain]).after(3, plain) == []


@pytest.mark.parametrize(
    ("pages", "order", "grown"),
    [
        (8, None, 0),
        (8, Order("uniform"), 28),
        (8, Order("zipf", 0.7), 68),
        (64, Order("zipf", 0.6), 85 + 28 - 66),
        (64, Order("uniform"), 0),
    ],
)
def test_a_loop_of_requests_takes_what_reading_its_file_needs(
    pages: int, order: Order | None, grown: int
) -> None:
    """`grown` beyond what is there when the phase begins: guests' memory.stat of e7, k18, e6."""
    file = None if order is None else RequestFile("/data/a", 32 * KIB, order=order)
    phase = Requests("heap", pages, 10, file=file)
    mine = own.of_workload([phase])
    assert mine.size - mine.pages == grown
    made = [row for row in mine.before(3, phase, set(), lambda places: 0) if k.P_FIRST in row]
    assert sum(max(0, row[k.P_FIRST] + row[k.P_COUNT] - mine.pages) for row in made) == grown


@pytest.mark.parametrize(("kernel", "pages"), [("6.1", 3 + 2), ("6.12", 3 + 2), ("7.2", 4 + 3)])
def test_a_programs_own_files_are_page_cache_of_who_runs_it_first(
    bench: Callable[..., Any], kernel: str, pages: int
) -> None:
    node = bench(kernel)
    files = Files(node.machine, {})
    text = Text("program", 3, 2, large=(4, 3))
    job = Job(Workload((Hold(seconds=1),)), own=own.Own(pages=8, text=text))
    first, second = node.group("a"), node.group("b")
    for path in ("a", "b"):
        process = Process(node.machine, files, path, job)
        while process.alive:
            for _, kind, _, _ in node.machine.advance(node.machine.now + SECOND):
                if kind == k.EV_MARK and process.alive:
                    process.go_on()
    assert first != second
    assert [node.get(path, k.N_FILE) for path in ("a", "b")] == [pages, 0]
    assert [node.get(path, k.N_MAPPED) for path in ("a", "b")] == [0, 0]
    cg: Any = node.machine.m.cg
    assert not cg[:, k.IO : k.IO + 4].any()


def test_a_programs_text_is_mapped_as_long_as_it_runs(bench: Callable[..., Any]) -> None:
    node = bench("6.12")
    node.group("a")
    job = Job(Workload((Hold(),)), own=own.SLEEP)
    process = Process(node.machine, Files(node.machine, {}), "a", job)
    for _ in range(3):
        for _, kind, _, _ in node.machine.advance(node.machine.now + SECOND):
            if kind == k.EV_MARK and process.alive:
                process.go_on()
    assert node.get("a", k.N_MAPPED) == node.get("a", k.N_FILE) == 11


def test_after_one_run_a_programs_text_is_active(bench: Callable[..., Any]) -> None:
    node = bench("6.1")
    node.group("a")
    files = Files(node.machine, {"/data/a": PAGE})
    job = Job(Workload((ReadFile("/data/a"),)), own=own.plain("dd", 4 * KIB))
    process = Process(node.machine, files, "a", job)
    while process.alive:
        for _, kind, _, _ in node.machine.advance(node.machine.now + SECOND):
            if kind == k.EV_MARK and process.alive:
                process.go_on()
    assert node.get("a", k.PGACTIVATE) == 11
    assert node.get("a", k.N_FILE) == 11 + 1


def test_how_many_pages_of_libraries_a_process_maps_is_chance_within_what_was_seen() -> None:
    drawn = [[own.WORKLOAD.shares(seed, task) for task in range(3)] for seed in range(1, 41)]
    assert {min(1906, *row) for row in drawn} == {1906}
    assert {max(1962, *row) for row in drawn} == {1962}
    assert {row.index(max(row)) for row in drawn} == {0, 1, 2}
    assert own.WORKLOAD.shares(7, 2) == drawn[6][2]
    assert own.NOTHING.shares(1, 1) == 0


@pytest.mark.parametrize("larger", [0, 1])
def test_of_two_alike_the_oom_killer_takes_the_one_that_maps_more_of_what_is_there(
    bench: Callable[..., Any], larger: int
) -> None:
    """oom_badness: get_mm_rss. In guests of k13 each of three containers alike was the first victim once."""
    node = bench("6.12", memory=96 * MIB)
    node.group("p", MAX=16 * MIB)
    alike = []
    for name in ("p/a", "p/b"):
        node.group(name)
        alike.append(node.hog(name, 4 * MIB))
    node.settle(alike[1])
    node.machine.m.task[alike[larger], k.T_SHARED] = 1
    node.group("p/c")
    for _ in range(3):
        node.hog("p/c", 3 * MIB)
        node.machine.run(node.machine.now + SECOND)
    assert [int(node.machine.m.task[each, k.T_KILLED]) for each in alike] == [1 - larger, larger]


def test_what_it_needs_for_the_first_of_a_sort_of_phase_it_needs_once() -> None:
    mine, seen = own.WORKLOAD, set[object]()
    counts = []
    for phase in (
        Touch("heap", write=True),
        Touch("heap", write=True),
        Touch("heap", order=Order("uniform")),
    ):
        rows = mine.before(3, phase, seen, lambda places: 0)
        counts.append([row[k.P_COUNT] for row in rows if row[k.P_OP] == k.OP_TOUCH])
    begin, first = mine.footprint.begin, mine.footprint.first
    assert counts == [[len(begin[1]), len(first[1])], [len(begin[1])], [len(begin[2]), len(first[2])]]


def go(node: Any, process: Process, until: Callable[[], bool]) -> None:
    """Let a process run, a hundredth of a millisecond at a time."""
    while not until():
        for _, kind, _, _ in node.machine.advance(node.machine.now + 10_000):
            if kind == k.EV_MARK and process.alive:
                process.go_on()


def started(node: Any, footprint: Footprint, *phases: Phase) -> tuple[Process, int]:
    """A process of 64 pages of its own, and the first of these."""
    mine = own.Own(pages=64, footprint=footprint)
    process = Process(node.machine, Files(node.machine, {}), "a", Job(Workload(phases), own=mine))
    return process, int(node.machine.m.obj[0, k.O_BASE])


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_what_a_loop_needs_comes_back_and_the_rest_stays_in_swap(
    bench: Callable[..., Any], kernel: str
) -> None:
    node = bench(kernel, swap=64 * MIB)
    node.group("a", MAX=8 * MIB)
    needed = (3, 4, 60)
    process, base = started(node, Footprint(needed), Allocate("heap", 24 * MIB), Touch("heap", write=True))
    go(node, process, lambda: len(process.results) == 2)
    there = {page for page in range(64) if node.machine.m.w[base + page] & k.MAPPED}
    assert there == set(needed)
    node.check()


@pytest.mark.parametrize(("burst", "again"), [(1, False), (64, True)])
def test_a_page_in_use_is_found_accessed_once_between_two_switches(
    bench: Callable[..., Any], burst: int, again: bool
) -> None:
    node = bench("6.1", cpus=1)
    node.group("a")
    heap = Allocate("heap", MIB), Touch("heap", write=True, passes=9), Sleep(0.01), Touch("heap", passes=9)
    process, base = started(node, Footprint((3,), burst=burst), *heap)
    m = node.machine.m
    go(node, process, lambda: m.task[process.task, k.T_ACCESSES] > 500)
    assert m.w[base + 3] & k.YOUNG
    m.w[base + 3] &= ~k.YOUNG  # as reclaim does when it has looked at it
    go(node, process, lambda: len(process.results) == 2)
    assert bool(m.w[base + 3] & k.YOUNG) == again
    go(node, process, lambda: len(process.results) == 4)
    assert m.w[base + 3] & k.YOUNG


@pytest.mark.parametrize(("sizes", "back"), [((64,), range(7)), ((5, 59), range(5))])
def test_swap_reads_ahead_within_one_mapping(
    bench: Callable[..., Any], sizes: tuple[int, ...], back: range
) -> None:
    node = bench("6.12", swap=64 * MIB, swap_rotates=False)
    node.group("a", MAX=8 * MIB)
    mine = own.Own(pages=64, footprint=Footprint(fixed=sizes[:-1], holding=(2,)))
    work = Workload((Allocate("heap", 24 * MIB), Touch("heap", write=True), Hold()))
    process = Process(node.machine, Files(node.machine, {}), "a", Job(work, own=mine))
    m = node.machine.m
    base = int(m.obj[0, k.O_BASE])
    go(node, process, lambda: m.task[process.task, k.T_WAKE] > node.machine.now + 100 * SECOND)
    assert [page for page in range(64) if m.w[base + page] & k.RES] == list(back)
