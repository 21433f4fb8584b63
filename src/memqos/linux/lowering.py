"""Limits set below what a cgroup uses: `memory.high` and `memory.max`, without waiting for the reclaim.

The kernel sets such a limit first, and then has the writer take back all that is above it before the write
returns (mm/memcontrol.c: `memory_high_write`, `memory_max_write`): many seconds where swap is slow, in which
the agent would decide nothing. A signal counts only between two tries, and one try may take all there is.
From 6.16 on a file opened with O_NONBLOCK leaves that work to the tasks of the cgroup. That is not used: idle
memory above the limit would stay, and kernels would differ in what a limit does.

So a worker makes such a write (`memqos.linux.worker`), and the agent goes on as soon as the limit reads back.
The worker stays behind in the kernel and reclaims; another write to the same knob ends it first, or it would
go on reclaiming for a limit that is no more. Every other write the agent makes itself.
"""

from __future__ import annotations

import contextlib
import mmap
import time
from typing import Final

from memqos.errors import Busy, NodeError, Unreadable
from memqos.linux.apply import apply_write, read_knob
from memqos.linux.worker import Answer, Worker
from memqos.model.plan import Value, Write

KNOBS: Final = ("memory.high", "memory.max")
MOST: Final = 4
"""Workers, at most: each may wait for a slow disk on its own."""
SOON_S: Final = 0.02
"""How long a worker's answer is waited for once the limit holds; so mostly the next write finds it idle."""
PATIENCE_S: Final = 1.0
"""How long the limit itself is waited for: the kernel sets it before it reclaims, but a worker may be late.

After that the write is `Busy`, and is still made; a later turn finds the limit set."""


class Lowering:
    """The limits of one node. `kernel` as in `apply_write`."""

    def __init__(self, root: str, *, kernel: bool) -> None:
        self._root = root
        self._kernel = kernel
        self._idle: list[Worker] = []
        self._busy: dict[tuple[str, str], Worker] = {}
        self._dying: list[Worker] = []

    def ready(self) -> None:
        """Have a worker before one is needed: a fork takes long once memory is short."""
        if not (self._idle or self._busy):
            with contextlib.suppress(OSError):
                self._idle.append(Worker(self._root, kernel=self._kernel))

    def apply(self, write: Write) -> Value | None:
        """Set a limit and return what it reads as now; see `Node.apply`.

        `Busy` when so many writes are still under way that no worker is left for this one.
        """
        self._collect()
        if (before := self._busy.pop(write.target, None)) is not None:
            before.kill()
            self._dying.append(before)
        if not self._takes_back(write):
            return apply_write(self._root, write, kernel=self._kernel)
        try:
            worker = self._worker(write)
            worker.ask(write)
        except OSError as error:
            raise self._error(write, f"no process can be had to write it: {error.strerror}") from None
        self._busy[write.target] = worker
        if (answer := self._wait(write, worker)) is not None:
            self._ended(write.target, worker)
            if answer.status != "written":
                raise self._error(write, answer.error, answer.kind)
        return read_knob(self._root, write)

    def close(self) -> None:
        """Kill the workers: the kernel breaks off what they wait for."""
        for worker in [*self._idle, *self._busy.values(), *self._dying]:
            worker.close()
        self._idle, self._busy, self._dying = [], {}, []

    def _takes_back(self, write: Write) -> bool:
        """Tell whether the kernel would have the writer reclaim."""
        if type(write.value) is not int:
            return False
        try:
            used = read_knob(self._root, Write(write.cgroup, "memory.current", 0, ""))
        except NodeError:  # the write itself says what is wrong
            return False
        return isinstance(used, int) and write.value < used

    def _worker(self, write: Write) -> Worker:
        if self._idle:
            return self._idle.pop()
        if len(self._busy) + len(self._dying) >= MOST:
            raise Busy(f"{MOST} earlier limits are still reclaiming", cgroup=write.cgroup, knob=write.knob)
        return Worker(self._root, kernel=self._kernel)

    def _wait(self, write: Write, worker: Worker) -> Answer | None:
        """Wait until the worker answers; no longer once the limit holds."""
        end = time.monotonic() + PATIENCE_S
        while (answer := worker.answer(SOON_S)) is None:
            with contextlib.suppress(Unreadable):  # a plain file is empty while it is written
                if read_knob(self._root, write) == _rounded(write):
                    return None
            if time.monotonic() > end:
                raise Busy(
                    f"the kernel did not take it within {PATIENCE_S:.0f} s",
                    cgroup=write.cgroup,
                    knob=write.knob,
                )
        return answer

    def _collect(self) -> None:
        """Take back the workers that are done."""
        self._dying = [worker for worker in self._dying if not worker.reaped()]
        for target, worker in list(self._busy.items()):
            if worker.answer() is not None:
                self._ended(target, worker)

    def _ended(self, target: tuple[str, str], worker: Worker) -> None:
        del self._busy[target]
        if worker.alive:
            self._idle.append(worker)

    @staticmethod
    def _error(write: Write, reason: str, kind: str = "") -> NodeError:
        """Return the error that a worker met: its kind is a class of the error tree."""
        kinds = {each.__name__: each for each in NodeError.__subclasses__()}
        return kinds.get(kind, NodeError)(reason, cgroup=write.cgroup, knob=write.knob)


def _rounded(write: Write) -> int:
    """Return what the kernel keeps: whole pages."""
    assert isinstance(write.value, int)
    return write.value // mmap.PAGESIZE * mmap.PAGESIZE
