"""A program running on a machine: its phases, one after another, batch by batch.

A phase becomes operations of the compiled kernels (`operations`); at the end of each batch the machine calls
back (`EV_MARK`) and the next one is given to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from memqos.sim.files import Files
from memqos.sim.job import Job
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, Machine
from memqos.sim.operations import Operations, unit_of
from memqos.sim.own import Row
from memqos.sim.starting import drawn
from memqos.workload.result import Result
from memqos.workload.spec import KINDS, Action, ReadFile, Requests, Touch, WriteFile
from memqos.workload.steps import Step, steps


class Process:
    """One process of a job in a cgroup."""

    def __init__(self, machine: Machine, files: Files, path: str, job: Job, oom_score_adj: int = 0) -> None:
        self.machine, self.files, self.path, self.job, self.adj = machine, files, path, job, oom_score_adj
        self.results: list[Result] = []
        self.task = -1
        self._operations = Operations(machine, files, job)
        self._doing: Step | None = None
        self.start()

    def start(self) -> None:
        """Start (again) from the first phase, as a new task."""
        self.task = self.machine.task(self.path, self.adj)
        shared = self.job.own.shares(self.machine.spec.seed, self.task)
        self.machine.m.task[self.task, k.T_SHARED] = shared
        self._operations.begin(self.task)
        self._seen: set[object] = set()
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
        todo = steps(self.job.workload)
        step = next(todo, None)
        if own.pages:
            most = max(map(own.buffer, self.job.workload.phases), default=0)
            self._region = self.machine.region(self.task, (own.size + most) * PAGE)
            self.machine.divide(self._region, own.mappings(most))
            ns = drawn(own.start, self.machine.spec.seed, self.task) * self.machine.costs.program
            yield self._text() + own.begin(self._region, self.machine.places, ns) + self._before(step)
        while step is not None:
            self._doing, self._operations.serving = step, None
            self._since = self.machine.now, self._accesses()
            yield from self._operations.of(step, partial(self._tell, step))
            self._tell(step)
            self._doing = None
            last, step = step, next(todo, None)
            if own.pages:
                rows = own.after(self._region, last.action)
                rows += own.between(self._region, last.action, self._seen, self.machine.places)
                yield rows + self._before(step)
        if places := own.ending():
            yield [*self._operations.unmap(), self._end(self._region, places)]

    def _before(self, step: Step | None) -> list[Row]:
        """What it does of its own before a phase, if there is another one."""
        if step is None:
            return []
        return self.job.own.before(self._region, step.action, self._seen, self.machine.places)

    def _text(self) -> list[Row]:
        """Bring in the program's own files: what is mapped of them by faults, the rest by reads."""
        if self.job.own.text is None:
            return []
        rows = []
        mapped, read = self.files.text(self.job.own.text)
        faulted, others = self.machine.pages_of(mapped), self.machine.pages_of(read)
        if faulted:
            mapping = self.machine.mapping(self.task, mapped, faulted * PAGE)
            rows.append({k.P_OP: k.OP_TOUCH, k.P_OBJ: mapped, k.P_MAP: mapping + 1, k.P_CHUNK: faulted})
        if others:
            rows += [{k.P_OP: k.OP_READ, k.P_OBJ: read, k.P_CHUNK: others}] * 2
        if faulted and not self.job.own.text.waits:
            rows.append({k.P_OP: k.OP_READ, k.P_OBJ: mapped, k.P_CHUNK: faulted})
        return [row | {k.P_COUNT: row[k.P_CHUNK], k.P_WRAP: row[k.P_CHUNK]} for row in rows]

    def _end(self, region: int, places: list[int]) -> Row:
        """Go through its own pages once more, as an interpreter does before it exits."""
        row = self.job.own.end(region, self.machine.places(tuple(places)), len(places))
        return row | {k.P_NS: row[k.P_NS] * self.machine.costs.program}

    def interrupted(self) -> None:
        """Be told to stop: leave a result of what is done of the present phase, as the real program does."""
        if self.alive and self._doing is not None:
            self._tell(self._doing, stopped=True)

    def _tell(self, step: Step, *, stopped: bool = False) -> None:
        """Leave a result of the phase, or of its part since the last one."""
        start, before = self._since
        self._since = self.machine.now, self._accesses()
        action, accesses, serving = step.action, self._since[1] - before, self._operations.serving
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
        return min(self._operations.wanted(action), accesses * unit_of(action))

    def _accesses(self) -> int:
        return int(self.machine.m.task[self.task, k.T_ACCESSES])
