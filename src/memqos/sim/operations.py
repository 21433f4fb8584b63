"""What the phases of a program become: rows of operations for the compiled kernels.

Which pages are touched is drawn with `memqos.workload.vector`, the numbers that a real kernel's run of
the same file draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from memqos.sim.files import Files
from memqos.sim.job import Job
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, SECOND, Machine
from memqos.sim.own import Row
from memqos.sim.region import Region, fails
from memqos.sim.serving import BATCH, FOREVER, Serving
from memqos.workload.draws import BLOCKS, phase_key, places
from memqos.workload.spec import (
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
from memqos.workload.steps import Step
from memqos.workload.vector import VectorPlaces


class Operations:
    """The operations of one process; `serving` is its request loop while it is in a `requests` phase."""

    def __init__(self, machine: Machine, files: Files, job: Job) -> None:
        self._machine, self._files, self._job = machine, files, job
        self.serving: Serving | None = None
        self._table = -1
        self.begin(-1)

    def begin(self, task: int) -> None:
        """The process starts (again) as this task, with nothing mapped."""
        self._task = task
        self._regions: dict[str, Region] = {}

    def of(self, step: Step, tell: Callable[[], None]) -> Iterator[list[Row]]:
        """Yield the rows of a phase, batch by batch; `tell` is called at the end of each `report` interval.

        The caller has ended the last phase's `serving`.
        """
        action = step.action
        if fails(action, self._regions, self._files.sizes, self._machine.spec):
            yield [{k.P_OP: k.OP_EXIT, k.P_A: self._job.refused}]
        elif isinstance(action, Allocate):
            region = self._machine.region(self._task, action.size)
            self._regions[action.name] = Region(region, action.size // PAGE)
        elif isinstance(action, MapFile):
            obj = self._files.find(action.path)
            pages = (self._files.sizes[action.path] if action.size is None else action.size) // PAGE
            mapping = self._machine.mapping(self._task, obj, pages * PAGE)
            self._regions[action.name] = Region(obj, pages, mapping)
        elif isinstance(action, Touch):
            yield from self._touch(step, action)
        elif isinstance(action, ReadFile):
            yield from self._read(step, action)
        elif isinstance(action, WriteFile):
            obj = self._files.truncate(action.path, action.size)
            row = self._row(k.OP_WRITE, obj, -(-action.size // PAGE), action.bytes_per_second)
            row[k.P_CHUNK] = max(1, action.block // PAGE)
            if self._job.write_ns is not None:
                row[k.P_NS] = self._job.write_ns * self._machine.costs.program
            yield [row, {k.P_OP: k.OP_SYNC, k.P_OBJ: obj}] if action.sync else [row]
        elif isinstance(action, Free):
            yield from self._free(action)
        elif isinstance(action, Requests):
            yield from self._requests(step, action, tell)
        elif isinstance(action, Sleep):
            yield [{k.P_OP: k.OP_SLEEP, k.P_NS: round(action.seconds * SECOND)}]
        elif isinstance(action, Hold):
            seconds = FOREVER if action.seconds is None else action.seconds
            yield [{k.P_OP: k.OP_SLEEP, k.P_NS: min(1 << 62, round(seconds * SECOND))}]

    def unmap(self) -> list[Row]:
        """Give back every region and mapping that there still is."""
        held = [each.obj if each.mapping < 0 else each.mapping for each in self._regions.values()]
        self._regions.clear()
        return [{k.P_OP: k.OP_FREE, k.P_OBJ: obj, k.P_FIRST: 0} for obj in held]

    def _free(self, action: Free) -> Iterator[list[Row]]:
        region = self._regions[action.region]
        keep = 0 if action.size is None else region.pages - action.size // PAGE
        if action.size is None:
            del self._regions[action.region]
        mapped = region.obj if region.mapping < 0 else region.mapping
        yield [{k.P_OP: k.OP_FREE, k.P_OBJ: mapped, k.P_FIRST: max(0, keep)}]
        if action.size is None and region.mapping < 0:
            self._machine.unmapped(region.obj)

    def _row(self, op: int, obj: int, count: int, rate: int | None = None) -> Row:
        row = {
            k.P_OP: op,
            k.P_OBJ: obj,
            k.P_COUNT: count,
            k.P_CHUNK: max(1, count),
            k.P_NS: self._job.page_ns * self._machine.costs.program,
        }
        if rate:
            row |= {k.P_PACE: PAGE * SECOND * 1000 // rate, k.P_START: self._machine.now}
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
        table = self._draws(action.order, pages, phase_key(self._job.workload.seed, step.number))
        for start in range(0, count, BATCH):
            part = min(BATCH, count - start)
            drawn = {k.P_COUNT: part, k.P_PATTERN: k.TRACE, k.P_A: table(start, part)}
            yield [row | drawn | self._late(row, start)]

    def _late(self, row: Row, start: int) -> Row:
        """Where in its slowed-down time a later batch of a phase begins."""
        return {k.P_START: row[k.P_START] + start * row[k.P_PACE] // 1000} if k.P_PACE in row else {}

    def _read(self, step: Step, action: ReadFile) -> Iterator[list[Row]]:
        obj = self._files.find(action.path)
        whole, unit = self._machine.pages_of(obj), unit_of(action)
        count = -(-self.wanted(action) // unit)
        if unit == PAGE and action.bytes is None:
            count = whole * action.passes
        block = max(1, action.block // PAGE)
        row = self._row(k.OP_READ, obj, count, action.bytes_per_second) | {k.P_CHUNK: block, k.P_WRAP: whole}
        row[k.P_RA] = int(self._job.fadvise)
        if action.order.kind == "sequential":
            yield [row]
            return
        key = phase_key(self._job.workload.seed, step.number, BLOCKS)
        blocks = -(-self._files.sizes[action.path] // action.block)
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
            tab: Any = self._machine.m.tab
            tab[at : at + number] = drawn.at(key, start, number) * unit // PAGE
            return at

        return put

    def _own_table(self) -> int:
        if self._table < 0:
            self._table = self._machine.table(2 * BATCH)
        return self._table

    def _requests(self, step: Step, action: Requests, tell: Callable[[], None]) -> Iterator[list[Row]]:
        region = self._regions[action.region]
        file = None
        if action.file is not None:
            file = self._files.find(action.file.path), self._files.sizes[action.file.path]
        self.serving = Serving(
            self._machine,
            action,
            self._row(k.OP_REQUESTS, region.obj, action.pages) | {k.P_MAP: region.mapping + 1},
            pages=region.pages,
            table=self._own_table(),
            seed=self._job.workload.seed,
            number=step.number,
            file=file,
        )
        yield from self.serving.rows(tell)

    def wanted(self, action: ReadFile) -> int:
        """Bytes that a phase reads of its file, in all its passes."""
        size = self._files.sizes[action.path]
        if action.bytes is None:
            return size * action.passes
        return min(action.bytes, size) if self._job.to_end else action.bytes


def unit_of(action: ReadFile) -> int:
    """Bytes of one access: a page, or a smaller block where each is drawn."""
    return action.block if action.order.kind != "sequential" and action.block < PAGE else PAGE
