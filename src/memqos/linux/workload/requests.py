"""The request loop: an open loop on one thread, so that a slow request delays those behind it.

Latency counts from a request's arrival, not from when its work began: a loop that waited for each
answer before asking again would leave out exactly the time it stood still (coordinated omission).
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

from memqos.linux.workload.clock import Meter, Stop
from memqos.linux.workload.files import BlockReader
from memqos.linux.workload.memory import Walk
from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats, Result
from memqos.workload.spec import Requests


class _Window:
    """The requests of one result."""

    def __init__(self) -> None:
        self.latencies = Histogram()
        self.late = self.unserved = self.service_max = self.gap_max = 0

    def stats(self) -> RequestStats:
        return RequestStats.of(
            self.latencies,
            late=self.late,
            unserved=self.unserved,
            service_max_us=self.service_max // 1000,
            gap_max_us=self.gap_max // 1000,
        )


def serve(
    action: Requests,
    walk: Walk,
    file: BlockReader | None,
    meter: Meter,
    stop: Stop,
    emit: Callable[[Result], None],
) -> RequestStats:
    """Do a `requests` phase; `emit` the results of its intervals but the last, and return the last's."""
    meter.begin()
    start = last = monotonic_ns()
    ends = None if action.seconds is None else start + round(action.seconds * 1e9)
    report = None if action.report is None else round(action.report * 1e9)
    window, reported, number, arrivals = _Window(), report, 0, action.arrivals
    while arrivals is None or number < arrivals:
        due = round(number * 1e9 / action.per_second)
        if report is not None and reported is not None and due >= reported:
            reported = due // report * report + report
            emit(meter.result(requests=window.stats()))
            window = _Window()
            meter.begin()
        arrival = start + due
        stop.sleep((arrival - monotonic_ns()) / 1e9)
        if stop.asked:
            break
        began = monotonic_ns()
        if ends is not None and began >= ends:
            window.unserved = (arrivals or number) - number
            break
        walk.access(number * action.pages, action.pages)
        meter.pages += action.pages
        if file is not None:
            meter.bytes_read += _read(file, action, number)
        done = monotonic_ns()
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
