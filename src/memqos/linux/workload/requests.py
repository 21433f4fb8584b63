"""The request loop: an open loop on one thread, so that a slow request delays those behind it.

Latency counts from a request's arrival, not from when its work began: a loop that waited for each
answer before asking again would leave out exactly the time it stood still (coordinated omission).

What a request cost without the processor is counted beside it (`_Waits`): on a busy or emulated machine most
of a latency is somebody else's use of the processor, and says nothing of memory or disks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic_ns, thread_time_ns
from typing import Final

from memqos.linux.workload.clock import Meter, Stop
from memqos.linux.workload.files import BlockReader
from memqos.linux.workload.memory import Walk
from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats, Result
from memqos.workload.spec import Requests

SCHEDSTAT: Final = "/proc/thread-self/schedstat"


class _Window:
    """The requests of one result."""

    def __init__(self, waits: Histogram | None) -> None:
        self.latencies, self.waits = Histogram(), waits
        self.late = self.unserved = self.service_max = self.gap_max = 0

    def stats(self) -> RequestStats:
        return RequestStats.of(
            self.latencies,
            late=self.late,
            unserved=self.unserved,
            service_max_us=self.service_max // 1000,
            gap_max_us=self.gap_max // 1000,
            waits=self.waits,
        )


class _Waits:
    """The time that a thread slept while it worked: for a disk, for memory, for a lock; nanoseconds.

    That is the time that passed, less its own on a processor (CLOCK_THREAD_CPUTIME_ID) and what it waited,
    ready to run, for one (the second number of /proc/thread-self/schedstat; Documentation/scheduler/
    sched-stats.rst). `done` is when the request would have ended, had there been nothing else.
    """

    def __init__(self) -> None:
        self._done = 0
        self._begin = 0
        try:
            self._schedstat: int | None = os.open(SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._schedstat = None

    def histogram(self) -> Histogram | None:
        """Return what to count in; `None` on a kernel that does not say."""
        return None if self._schedstat is None else Histogram()

    def begin(self) -> None:
        self._begin = self._slept()

    def latency(self, arrival: int) -> int:
        """Return what a request that came at `arrival` would have taken without the processor's part."""
        self._done = max(self._done, arrival) + max(0, self._slept() - self._begin)
        return self._done - arrival

    def _slept(self) -> int:
        if self._schedstat is None:
            return 0
        queued = int(os.pread(self._schedstat, 128, 0).split()[1])
        return monotonic_ns() - thread_time_ns() - queued

    def close(self) -> None:
        if self._schedstat is not None:
            os.close(self._schedstat)


def serve(
    action: Requests,
    walk: Walk,
    file: BlockReader | None,
    meter: Meter,
    stop: Stop,
    emit: Callable[[Result], None],
) -> RequestStats:
    """Do a `requests` phase; `emit` the results of its intervals but the last, and return the last's."""
    waits = _Waits()
    try:
        return _serve(action, walk, file, meter, stop, emit, waits)
    finally:
        waits.close()


def _serve(
    action: Requests,
    walk: Walk,
    file: BlockReader | None,
    meter: Meter,
    stop: Stop,
    emit: Callable[[Result], None],
    waits: _Waits,
) -> RequestStats:
    meter.begin()
    start = last = monotonic_ns()
    ends = None if action.seconds is None else start + round(action.seconds * 1e9)
    report = None if action.report is None else round(action.report * 1e9)
    window, reported, number, arrivals = _Window(waits.histogram()), report, 0, action.arrivals
    while arrivals is None or number < arrivals:
        due = round(number * 1e9 / action.per_second)
        if report is not None and reported is not None and due >= reported:
            reported = due // report * report + report
            emit(meter.result(requests=window.stats()))
            window = _Window(waits.histogram())
            meter.begin()
        arrival = start + due
        stop.sleep((arrival - monotonic_ns()) / 1e9)
        if stop.asked:
            break
        began = monotonic_ns()
        if ends is not None and began >= ends:
            window.unserved = (arrivals or number) - number
            break
        waits.begin()
        walk.access(number * action.pages, action.pages)
        meter.pages += action.pages
        if file is not None:
            meter.bytes_read += _read(file, action, number)
        waited = waits.latency(arrival)
        done = monotonic_ns()
        if window.waits is not None:
            window.waits.add(waited // 1000)
        window.latencies.add((done - arrival) // 1000)
        window.late += number > 0 and last > arrival
        window.service_max = max(window.service_max, done - began)
        window.gap_max = max(window.gap_max, done - last)
        last = done
        number += 1
    return window.stats()


def _read(file: BlockReader, action: Requests, number: int) -> int:
    assert action.file is not None
    wanted, block, total = action.file.bytes, action.file.block, 0
    blocks = -(-wanted // block)
    for index in range(blocks):
        total += file.read(number * blocks + index, min(block, wanted - index * block))
    return total
