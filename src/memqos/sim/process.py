"""A program running on a machine: its phases, one after another, batch by batch.

Which pages are touched is drawn with `memqos.workload.vector`, the numbers that a real kernel's run of
the same file draws. A phase becomes operations of the compiled kernels; at the end of each batch the
machine calls back (`EV_MARK`) and the next one is given to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from memqos.errors import ExperimentError
from memqos.sim.commands import Job
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, SECOND, Machine
from memqos.workload.draws import BLOCKS, PAGES, phase_key, places
from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats, Result
from memqos.workload.spec import (
    KINDS,
    Allocate,
    Free,
    Hold,
    MapFile,
    Order,
    ReadFile,
    Requests,
    Sleep,
    Touch,
    WriteFile,
)
from memqos.workload.steps import Step, steps
from memqos.workload.vector import VectorPlaces

BATCH = 1 << 16
"""Places drawn at a time."""
FOREVER = 1 << 40

Row = dict[int, int]


@dataclass(slots=True)
class Region:
    """A mapped region: the object it lies in, and its pages."""

    obj: int
    pages: int


class Files:
    """The files of a node by path."""

    def __init__(self, machine: Machine, sizes: Mapping[str, int], disk: str = "") -> None:
        self.machine = machine
        self.disk = disk
        self.objects = {path: machine.file(size, disk) for path, size in sizes.items()}

    def find(self, path: str) -> int:
        """The object of a file that exists; raises `ExperimentError`."""
        if path not in self.objects:
            raise ExperimentError(f"there is no file {path}", remedy="list it in the scenario's files")
        return self.objects[path]

    def truncate(self, path: str, size: int) -> int:
        """Empty a file or create it, with room for `size` bytes."""
        if path in self.objects:
            self.machine.free_object(self.objects[path])
            if self.machine.pages_of(self.objects[path]) == -(-size // PAGE):
                return self.objects[path]
        self.objects[path] = self.machine.file(size, self.disk)
        return self.objects[path]


class Process:
    """One process of a job in a cgroup."""

    def __init__(self, machine: Machine, files: Files, path: str, job: Job, oom_score_adj: int = 0) -> None:
        self.machine, self.files, self.path, self.job, self.adj = machine, files, path, job, oom_score_adj
        self.results: list[Result] = []
        self.task = -1
        self._table = -1
        self.start()

    def start(self) -> None:
        """Start (again) from the first phase, as a new task."""
        self.task = self.machine.task(self.path, self.adj)
        self._regions: dict[str, Region] = {}
        self._batches = self._run()
        self.go_on()

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return bool(self.machine.m.task[self.task, k.T_STATE] != k.T_DEAD)

    @property
    def exit_code(self) -> int:
        """How it ended: 0, or 137 when it was killed."""
        return int(self.machine.m.task[self.task, k.T_EXIT])

    def go_on(self) -> None:
        """Give the machine the next batch of operations; after the last the process exits 0."""
        rows = next(self._batches, None)
        marked: list[Row] = [] if rows is None else [*rows, {k.P_OP: k.OP_MARK}, {k.P_OP: k.OP_HOLD}]
        self.machine.program(self.task, marked)

    def _run(self) -> Iterator[list[Row]]:
        for step in steps(self.job.workload):
            self._since = self.machine.now, self._accesses()
            self._stats: RequestStats | None = None
            yield from self._phase(step)
            self._tell(step)

    def _tell(self, step: Step) -> None:
        """Leave a result of the phase, or of its part since the last one."""
        start, before = self._since
        self._since = self.machine.now, self._accesses()
        self.results.append(
            Result(
                number=step.number,
                place=step.place,
                kind=KINDS[type(step.action)],
                start_us=start // 1000,
                end_us=self._since[0] // 1000,
                pages=self._since[1] - before,
                requests=self._stats,
            )
        )

    def _accesses(self) -> int:
        return int(self.machine.m.task[self.task, k.T_ACCESSES])

    def _phase(self, step: Step) -> Iterator[list[Row]]:
        action = step.action
        if isinstance(action, Allocate):
            region = self.machine.region(self.task, action.size)
            self._regions[action.name] = Region(region, action.size // PAGE)
        elif isinstance(action, MapFile):
            obj = self.files.find(action.path)
            whole = self.machine.pages_of(obj)
            self._regions[action.name] = Region(obj, whole if action.size is None else action.size // PAGE)
        elif isinstance(action, Touch):
            yield from self._touch(step, action)
        elif isinstance(action, ReadFile):
            yield from self._read(step, action)
        elif isinstance(action, WriteFile):
            obj = self.files.truncate(action.path, action.size)
            row = self._row(k.OP_WRITE, obj, -(-action.size // PAGE), action.bytes_per_second)
            yield [row, {k.P_OP: k.OP_SYNC, k.P_OBJ: obj}] if action.sync else [row]
        elif isinstance(action, Free):
            region_ = self._regions[action.region]
            keep = 0 if action.size is None else region_.pages - action.size // PAGE
            if keep <= 0:
                del self._regions[action.region]
            yield [{k.P_OP: k.OP_FREE, k.P_OBJ: region_.obj, k.P_FIRST: max(0, keep)}]
        elif isinstance(action, Requests):
            yield from self._requests(step, action)
        elif isinstance(action, Sleep):
            yield [{k.P_OP: k.OP_SLEEP, k.P_NS: round(action.seconds * SECOND)}]
        elif isinstance(action, Hold):
            seconds = FOREVER if action.seconds is None else action.seconds
            yield [{k.P_OP: k.OP_SLEEP, k.P_NS: min(1 << 62, round(seconds * SECOND))}]

    def _row(self, op: int, obj: int, count: int, rate: int | None = None) -> Row:
        row = {k.P_OP: op, k.P_OBJ: obj, k.P_COUNT: count, k.P_CHUNK: max(1, count), k.P_NS: self.job.page_ns}
        if rate:
            row |= {k.P_PACE: PAGE * SECOND * 1000 // rate, k.P_START: self.machine.now}
        return row

    def _touch(self, step: Step, action: Touch) -> Iterator[list[Row]]:
        region = self._regions[action.region]
        first = action.offset // PAGE
        pages = region.pages - first if action.size is None else action.size // PAGE
        count = action.accesses if action.accesses is not None else pages * action.passes
        row = self._row(k.OP_TOUCH, region.obj, count, action.bytes_per_second)
        row |= {k.P_FIRST: first, k.P_WRITE: int(action.write)}
        if action.order.kind == "sequential":
            yield [row | {k.P_CHUNK: pages}]
            return
        table = self._draws(action.order, pages, phase_key(self.job.workload.seed, step.number))
        for start in range(0, count, BATCH):
            part = min(BATCH, count - start)
            drawn = {k.P_COUNT: part, k.P_PATTERN: k.TRACE, k.P_A: table(start, part)}
            yield [row | drawn | self._late(row, start)]

    def _late(self, row: Row, start: int) -> Row:
        """Where in its slowed-down time a later batch of a phase begins."""
        return {k.P_START: row[k.P_START] + start * row[k.P_PACE] // 1000} if k.P_PACE in row else {}

    def _read(self, step: Step, action: ReadFile) -> Iterator[list[Row]]:
        obj = self.files.find(action.path)
        whole = self.machine.pages_of(obj)
        count = -(-action.bytes // PAGE) if action.bytes is not None else whole * action.passes
        block = max(1, action.block // PAGE)
        row = self._row(k.OP_READ, obj, count, action.bytes_per_second) | {k.P_CHUNK: block, k.P_WRAP: whole}
        row[k.P_RA] = int(self.job.fadvise)
        if action.order.kind == "sequential":
            yield [row]
            return
        key = phase_key(self.job.workload.seed, step.number, BLOCKS)
        table = self._draws(action.order, -(-whole // block), key)
        for start in range(0, count, BATCH * block):
            part = min(BATCH * block, count - start)
            place = table(start // block, -(-part // block))
            yield [row | {k.P_COUNT: part, k.P_PATTERN: k.TRACE, k.P_A: place} | self._late(row, start)]

    def _draws(self, order: Order, count: int, key: int, half: int = 0) -> Any:
        """A function that puts draws `start`, `number` of an order into the machine's table."""
        drawn = VectorPlaces(places(order, count))
        if self._table < 0:
            self._table = self.machine.table(2 * BATCH)
        at = self._table + half * BATCH

        def put(start: int, number: int) -> int:
            tab: Any = self.machine.m.tab
            tab[at : at + number] = drawn.at(key, start, number)
            return at

        return put

    def _requests(self, step: Step, action: Requests) -> Iterator[list[Row]]:
        region = self._regions[action.region]
        seed = self.job.workload.seed
        pages = self._draws(action.order, region.pages, phase_key(seed, step.number, PAGES))
        row = self._row(k.OP_REQUESTS, region.obj, action.pages) | {
            k.P_CHUNK: region.pages,
            k.P_PATTERN: k.TRACE,
        }
        row |= {k.P_WRITE: int(action.write), k.P_INTERVAL: round(SECOND * 1000 / action.per_second)}
        blocks, file_pages = None, 0
        if action.file is not None:
            obj = self.files.find(action.file.path)
            file_pages = -(-action.file.bytes // PAGE)
            key = phase_key(seed, step.number, BLOCKS)
            blocks = self._draws(action.file.order, self.machine.pages_of(obj), key, half=1)
            row |= {k.P_FILE: obj, k.P_FCOUNT: file_pages}
        begin = self.machine.now
        end = begin + round(action.seconds * SECOND) if action.seconds is not None else 0
        total = action.arrivals if action.arrivals is not None else FOREVER
        each = max(1, BATCH // max(action.pages, file_pages, 1))
        # a batch lasts a second or so, so that what it draws is not drawn in vain
        each = min(each, max(1, round(action.per_second)))
        latencies, late, done, last, longest, gap = Histogram(), 0, 0, begin, 0, 0
        report, reported = action.report or 0.0, 1
        while done < total:
            number = min(each, total - done)
            if report:
                boundary = math.ceil(reported * report * action.per_second - 1e-9)
                if done >= boundary:
                    self._tell(step)
                    latencies, late, longest, gap = Histogram(), 0, 0, 0
                    reported = int(done / action.per_second / report + 1e-9) + 1
                    continue
                number = min(number, boundary - done)
            now = row | {k.P_B: number, k.P_START: begin + done * row[k.P_INTERVAL] // 1000, k.P_END: end}
            now[k.P_A] = pages(done * action.pages, number * action.pages) if action.pages else self._table
            now[k.P_LAT] = self._table
            if blocks is not None:
                now[k.P_FA] = blocks(done * file_pages, number * file_pages)
            lat: Any = self.machine.m.lat
            lat[self._table : self._table + number] = 0
            yield [now]
            lat = self.machine.m.lat
            served = 0
            for i in range(number):
                taken = int(lat[self._table + i])
                if taken == 0:
                    break
                served += 1
                arrival = now[k.P_START] + i * row[k.P_INTERVAL] // 1000
                late += arrival < last
                ended = arrival + taken
                longest = max(longest, ended - max(arrival, last))
                gap = max(gap, ended - last)
                last = ended
                latencies.add(taken // 1000)
            done += served
            self._stats = RequestStats.of(
                latencies,
                late=late,
                unserved=0 if total == FOREVER else total - done,
                service_max_us=longest // 1000,
                gap_max_us=gap // 1000,
            )
            if served < number:
                return
