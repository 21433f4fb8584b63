"""A program running on a machine: its phases, one after another, batch by batch.

Which pages are touched is drawn with `memqos.workload.vector`, the numbers that a real kernel's run of
the same file draws. A phase becomes operations of the compiled kernels; at the end of each batch the
machine calls back (`EV_MARK`) and the next one is given to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memqos.sim.commands import Job
from memqos.sim.files import Files
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, SECOND, Machine
from memqos.sim.region import Region, fails
from memqos.sim.serving import BATCH, FOREVER, Row, Serving
from memqos.workload.draws import BLOCKS, phase_key, places
from memqos.workload.result import Result
from memqos.workload.spec import (
    KINDS,
    Action,
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


class Process:
    """One process of a job in a cgroup."""

    def __init__(self, machine: Machine, files: Files, path: str, job: Job, oom_score_adj: int = 0) -> None:
        self.machine, self.files, self.path, self.job, self.adj = machine, files, path, job, oom_score_adj
        self.results: list[Result] = []
        self.task = -1
        self._table = -1
        self._doing: Step | None = None
        self._serving: Serving | None = None
        self.start()

    def start(self) -> None:
        """Start (again) from the first phase, as a new task."""
        self.task = self.machine.task(self.path, self.adj)
        self._regions: dict[str, Region] = {}
        self._seen: set[bool] = set()
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
        own = self.job.own
        if own.pages:
            most = max(map(own.buffer, self.job.workload.phases), default=0)
            region = self.machine.region(self.task, (own.pages + own.table + most) * PAGE)
            yield own.begin(region)
        for step in steps(self.job.workload):
            self._doing, self._serving = step, None
            made = own.before(region, step.action) if own.pages else []
            if made:
                yield made
            self._since = self.machine.now, self._accesses()
            yield from self._phase(step)
            self._tell(step)
            self._doing = None
            if own.pages:
                yield own.after(region, step.action) + own.between(region, step.action, self._seen)

    def interrupted(self) -> None:
        """Be told to stop: leave a result of what is done of the present phase, as the real program does."""
        if self.alive and self._doing is not None:
            self._tell(self._doing, stopped=True)

    def _tell(self, step: Step, *, stopped: bool = False) -> None:
        """Leave a result of the phase, or of its part since the last one."""
        start, before = self._since
        self._since = self.machine.now, self._accesses()
        action, accesses, serving = step.action, self._since[1] - before, self._serving
        if serving is not None:
            serving.collect()
        self.results.append(
            Result(
                number=step.number,
                place=step.place,
                kind=KINDS[type(action)],
                start_us=start // 1000,
                end_us=self._since[0] // 1000,
                pages=accesses if isinstance(action, Touch | Requests) else 0,
                bytes_read=serving.bytes_read if serving is not None else self._bytes_read(action, accesses),
                bytes_written=min(action.size, accesses * PAGE) if isinstance(action, WriteFile) else 0,
                requests=None if serving is None else serving.stats(),
                stopped=stopped,
            )
        )

    def _bytes_read(self, action: Action, accesses: int) -> int:
        if not isinstance(action, ReadFile):
            return 0
        return min(self._wanted(action), accesses * _unit(action))

    def _wanted(self, action: ReadFile) -> int:
        size = self.files.sizes[action.path]
        return action.bytes if action.bytes is not None else size * action.passes

    def _accesses(self) -> int:
        return int(self.machine.m.task[self.task, k.T_ACCESSES])

    def _phase(self, step: Step) -> Iterator[list[Row]]:
        action = step.action
        if fails(action, self._regions, self.files.sizes, self.machine.spec):
            yield [{k.P_OP: k.OP_EXIT, k.P_A: self.job.refused}]
        elif isinstance(action, Allocate):
            region = self.machine.region(self.task, action.size)
            self._regions[action.name] = Region(region, action.size // PAGE)
        elif isinstance(action, MapFile):
            obj = self.files.find(action.path)
            pages = (self.files.sizes[action.path] if action.size is None else action.size) // PAGE
            mapping = self.machine.mapping(self.task, obj, pages * PAGE)
            self._regions[action.name] = Region(obj, pages, mapping)
        elif isinstance(action, Touch):
            yield from self._touch(step, action)
        elif isinstance(action, ReadFile):
            yield from self._read(step, action)
        elif isinstance(action, WriteFile):
            obj = self.files.truncate(action.path, action.size)
            row = self._row(k.OP_WRITE, obj, -(-action.size // PAGE), action.bytes_per_second)
            row[k.P_CHUNK] = max(1, action.block // PAGE)
            yield [row, {k.P_OP: k.OP_SYNC, k.P_OBJ: obj}] if action.sync else [row]
        elif isinstance(action, Free):
            region_ = self._regions[action.region]
            keep = 0 if action.size is None else region_.pages - action.size // PAGE
            if action.size is None:
                del self._regions[action.region]
            mapped = region_.obj if region_.mapping < 0 else region_.mapping
            yield [{k.P_OP: k.OP_FREE, k.P_OBJ: mapped, k.P_FIRST: max(0, keep)}]
        elif isinstance(action, Requests):
            yield from self._requests(step, action)
        elif isinstance(action, Sleep):
            yield [{k.P_OP: k.OP_SLEEP, k.P_NS: round(action.seconds * SECOND)}]
        elif isinstance(action, Hold):
            seconds = FOREVER if action.seconds is None else action.seconds
            yield [{k.P_OP: k.OP_SLEEP, k.P_NS: min(1 << 62, round(seconds * SECOND))}]

    def _row(self, op: int, obj: int, count: int, rate: int | None = None) -> Row:
        row = {
            k.P_OP: op,
            k.P_OBJ: obj,
            k.P_COUNT: count,
            k.P_CHUNK: max(1, count),
            k.P_NS: self.job.page_ns * self.machine.costs.program,
        }
        if rate:
            row |= {k.P_PACE: PAGE * SECOND * 1000 // rate, k.P_START: self.machine.now}
        return row

    def _touch(self, step: Step, action: Touch) -> Iterator[list[Row]]:
        region = self._regions[action.region]
        first = action.offset // PAGE
        pages = region.pages - first if action.size is None else action.size // PAGE
        count = action.accesses if action.accesses is not None else pages * action.passes
        row = self._row(k.OP_TOUCH, region.obj, count, action.bytes_per_second)
        row |= {k.P_FIRST: first, k.P_WRITE: int(action.write), k.P_MAP: region.mapping + 1}
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
        whole, unit = self.machine.pages_of(obj), _unit(action)
        count = -(-self._wanted(action) // unit)
        if unit == PAGE and action.bytes is None:
            count = whole * action.passes
        block = max(1, action.block // PAGE)
        row = self._row(k.OP_READ, obj, count, action.bytes_per_second) | {k.P_CHUNK: block, k.P_WRAP: whole}
        row[k.P_RA] = int(self.job.fadvise)
        if action.order.kind == "sequential":
            yield [row]
            return
        key = phase_key(self.job.workload.seed, step.number, BLOCKS)
        blocks = -(-self.files.sizes[action.path] // action.block)
        table = self._draws(action.order, blocks, key, unit)
        for start in range(0, count, BATCH * block):
            part = min(BATCH * block, count - start)
            place = table(start // block, -(-part // block))
            yield [row | {k.P_COUNT: part, k.P_PATTERN: k.TRACE, k.P_A: place} | self._late(row, start)]

    def _draws(self, order: Order, count: int, key: int, unit: int = PAGE) -> Any:
        """A function that puts draws `start`, `number` of an order into the machine's table.

        What is drawn are places of `unit` bytes, at most a page.
        """
        drawn, at = VectorPlaces(places(order, count)), self._own_table()

        def put(start: int, number: int) -> int:
            tab: Any = self.machine.m.tab
            tab[at : at + number] = drawn.at(key, start, number) * unit // PAGE
            return at

        return put

    def _own_table(self) -> int:
        if self._table < 0:
            self._table = self.machine.table(2 * BATCH)
        return self._table

    def _requests(self, step: Step, action: Requests) -> Iterator[list[Row]]:
        region = self._regions[action.region]
        file = None
        if action.file is not None:
            file = self.files.find(action.file.path), self.files.sizes[action.file.path]
        self._serving = Serving(
            self.machine,
            action,
            self._row(k.OP_REQUESTS, region.obj, action.pages) | {k.P_MAP: region.mapping + 1},
            pages=region.pages,
            table=self._own_table(),
            seed=self.job.workload.seed,
            number=step.number,
            file=file,
        )
        yield from self._serving.rows(lambda: self._tell(step))


def _unit(action: ReadFile) -> int:
    """Bytes of one access: a page, or a smaller block where each is drawn."""
    return action.block if action.order.kind != "sequential" and action.block < PAGE else PAGE
