"""Orders to `memory.reclaim`, carried out beside the loop by worker processes.

A write to `memory.reclaim` blocks until the kernel has taken what was asked for, or found no more: seconds on
a slow swap device. So the agent hands an order to a worker (`memqos.linux.worker`) and asks later what became
of it.

At most `most` workers are forked, at the agent's first write, and kept: a fork needs memory, and orders come
when there is little of it. Orders beyond that wait. A worker carries out an order in pieces
(`memqos.linux.apply`) and looks for a message from the agent before each, so a cancelled order ends within
one piece.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from msgspec import structs

from memqos.errors import Busy, InvalidValue
from memqos.linux.apply import apply_write
from memqos.linux.worker import Answer, Worker
from memqos.model.plan import Outcome, Reclaim, Write

MOST: Final = 2
"""Orders that run at once: one that waits for a slow disk leaves another that drops page cache its way."""


class Orders:
    """The orders of one node. `kernel` as in `apply_write`."""

    def __init__(self, root: str, *, kernel: bool, most: int = MOST) -> None:
        self._root = root
        self._kernel = kernel
        self._most = most
        self._idle: list[Worker] = []
        self._busy: dict[str, tuple[Write, Worker]] = {}
        self._queue: dict[str, Write] = {}
        self._ended: list[Outcome] = []

    def ready(self) -> None:
        """Have the workers before they are needed: a fork takes long once memory is short."""
        while len(self._idle) + len(self._busy) < self._most:
            try:
                self._idle.append(Worker(self._root, kernel=self._kernel))
            except OSError:
                return

    def begin(self, order: Write) -> None:
        """See `Node.begin`."""
        place = {"cgroup": order.cgroup, "knob": order.knob}
        if not isinstance(order.value, Reclaim) or order.knob != "memory.reclaim":
            raise InvalidValue(f"{order.value!r} is no order to reclaim", **place)
        if order.cgroup in self.underway():
            raise Busy("an order is under way here", **place)
        # what is wrong is found at once, by an order of nothing: it reclaims nothing, and does not block
        apply_write(
            self._root, structs.replace(order, value=replace(order.value, size=0)), kernel=self._kernel
        )
        self._queue[order.cgroup] = order
        self._feed()

    def cancel(self, cgroup: str) -> None:
        """See `Node.cancel`."""
        if (waiting := self._queue.pop(cgroup, None)) is not None:
            self._ended.append(_outcome(waiting, Answer("stopped", 0, "")))
        elif cgroup in self._busy:
            self._busy[cgroup][1].cancel()

    def underway(self) -> frozenset[str]:
        """See `Node.underway`."""
        return frozenset((*self._busy, *self._queue))

    def ended(self) -> tuple[Outcome, ...]:
        """See `Node.ended`."""
        for cgroup, (order, worker) in list(self._busy.items()):
            answer = worker.answer()
            if answer is None:
                continue
            del self._busy[cgroup]
            self._ended.append(_outcome(order, answer))
            if worker.alive:
                self._idle.append(worker)
        self._feed()
        found, self._ended = tuple(self._ended), []
        return found

    def _feed(self) -> None:
        while self._queue and (self._idle or len(self._busy) < self._most):
            cgroup = next(iter(self._queue))
            order = self._queue.pop(cgroup)
            try:
                worker = self._idle.pop() if self._idle else Worker(self._root, kernel=self._kernel)
                worker.ask(order)
            except OSError as error:
                problem = f"no process can be had to carry it out: {error.strerror}"
                self._ended.append(_outcome(order, Answer("failed", 0, problem)))
                continue
            self._busy[cgroup] = (order, worker)

    def close(self) -> None:
        """Kill the workers: the kernel breaks off what they wait for."""
        for worker in [*self._idle, *(worker for _, worker in self._busy.values())]:
            worker.close()
        self._idle, self._busy, self._queue = [], {}, {}


def _outcome(order: Write, answer: Answer) -> Outcome:
    value = order.value
    assert isinstance(value, Reclaim)
    return Outcome(order, answer.status, None, replace(value, size=answer.taken), answer.error)
