"""Time in a running workload: when to stop, when to go on, and what a phase cost."""

from __future__ import annotations

import os
import resource
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic_ns
from types import FrameType
from typing import Final

from memqos.linux.signals import handled
from memqos.workload.result import RequestStats, Result
from memqos.workload.spec import KINDS
from memqos.workload.steps import Step

BURST_SECONDS: Final = 0.01
"""A phase with a rate does at most this much at once, then waits."""


class Stop:
    """Whether the program was told to stop. Sleep ends at once then; a burst of accesses is finished.

    `wakes` is the descriptor that Python writes to as a signal comes (`signal.set_wakeup_fd`): a handler runs
    only between two steps of a program, and the one that enters the sleep may wait for its own pages to be
    swapped in.
    """

    def __init__(self) -> None:
        self._read, self.wakes = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.asked = False

    def ask(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Tell the program to stop; a signal handler."""
        self.asked = True
        os.write(self.wakes, b"x")

    def sleep(self, seconds: float | None) -> None:
        """Sleep so long, or without end when `None`; less when told to stop."""
        if not self.asked and (seconds is None or seconds > 0):
            select.select([self._read], [], [], seconds)

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._read)
        os.close(self.wakes)


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Give a `Stop` that SIGTERM and SIGINT ask, as long as the block lasts."""
    stop = Stop()
    woken = signal.set_wakeup_fd(stop.wakes, warn_on_full_buffer=False)
    try:
        with handled(stop.ask, signal.SIGTERM, signal.SIGINT):
            yield stop
    finally:
        signal.set_wakeup_fd(woken)
        stop.close()


class Pace:
    """Slows a phase down to `rate` bytes per second; `None`: not at all."""

    def __init__(self, rate: int | None, stop: Stop) -> None:
        self._rate = rate
        self._stop = stop
        self._start = monotonic_ns()

    def burst(self, unit: int, most: int) -> int:
        """How many accesses of `unit` bytes to do at once: 1 to `most`."""
        return most if self._rate is None else max(1, min(most, int(self._rate * BURST_SECONDS / unit)))

    def wait(self, done: int) -> None:
        """Wait until `done` bytes are due."""
        if self._rate is not None:
            self._stop.sleep(done / self._rate - (monotonic_ns() - self._start) / 1e9)


class Meter:
    """Counts what one phase does, from `begin` on, and makes its result."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.begin()

    def begin(self) -> None:
        """Start (again) to count: what came before was preparation, or is in an earlier result."""
        self.pages = self.bytes_read = self.bytes_written = 0
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._faults = usage.ru_minflt, usage.ru_majflt
        self._start_us = monotonic_ns() // 1000

    def result(self, *, stopped: bool = False, requests: RequestStats | None = None) -> Result:
        """Return what was counted until now."""
        end_us = monotonic_ns() // 1000
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Result(
            number=self._step.number,
            place=self._step.place,
            kind=KINDS[type(self._step.action)],
            start_us=self._start_us,
            end_us=end_us,
            pages=self.pages,
            bytes_read=self.bytes_read,
            bytes_written=self.bytes_written,
            minor_faults=usage.ru_minflt - self._faults[0],
            major_faults=usage.ru_majflt - self._faults[1],
            requests=requests,
            stopped=stopped,
        )
