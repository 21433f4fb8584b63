from collections.abc import Callable
from pathlib import Path

import pytest

from memqos.linux.workload import clock, requests
from memqos.linux.workload.clock import Meter, Stop
from memqos.linux.workload.memory import Walk
from memqos.linux.workload.requests import serve
from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats, Result
from memqos.workload.spec import Requests
from memqos.workload.steps import Step


class Clock:
    """A clock that only sleeping and working move, in milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ns = 10**15
        for module in (clock, requests):
            monkeypatch.setattr(module, "monotonic_ns", lambda: self.ns)

    def pass_ms(self, ms: float) -> None:
        self.ns += round(ms * 1e6)


class Busy(Walk):
    """Takes 8 ms for each request, 6 of them on the processor or in the queue for it."""

    def __init__(self, clock: Clock, monkeypatch: pytest.MonkeyPatch, schedstat: Path) -> None:
        self.clock, self.schedstat = clock, schedstat
        self.used = self.queued = 0
        schedstat.write_text("0 0 0\n")
        monkeypatch.setattr(requests, "thread_time_ns", lambda: self.used)
        monkeypatch.setattr(requests, "SCHEDSTAT", str(schedstat))

    def access(self, start: int, number: int) -> None:
        self.clock.pass_ms(8)
        self.used += 4 * 10**6
        self.queued += 2 * 10**6
        self.schedstat.write_text(f"{self.used} {self.queued} 9\n")


class Sleeper(Stop):
    """Sleeps on the clock; asked to stop at a time."""

    def __init__(self, clock: Clock, until_ms: float = 1e9) -> None:
        self.asked = False
        self.clock = clock
        self.until = clock.ns + round(until_ms * 1e6)

    def sleep(self, seconds: float | None) -> None:
        assert seconds is not None
        self.clock.ns += round(max(0.0, seconds) * 1e9)
        self.asked = self.clock.ns >= self.until


class Work(Walk):
    """Takes so many milliseconds for each request."""

    def __init__(self, clock: Clock, ms: Callable[[int], float]) -> None:
        self.clock = clock
        self.ms = ms

    def access(self, start: int, number: int) -> None:
        self.clock.pass_ms(self.ms(start // number))


def played(
    monkeypatch: pytest.MonkeyPatch, action: Requests, ms: Callable[[int], float], until_ms: float = 1e9
) -> tuple[RequestStats, list[Result]]:
    clock = Clock(monkeypatch)
    results: list[Result] = []
    meter = Meter(Step(0, "phases[0]", action))
    stats = serve(action, Work(clock, ms), None, meter, Sleeper(clock, until_ms), results.append)
    return stats, results


def test_what_the_processor_has_in_a_request_is_not_counted_as_waited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = Clock(monkeypatch)
    action = Requests("a", 1, 200, count=40)  # every 5 ms: they queue behind each other, but not for the disk
    work = Busy(clock, monkeypatch, tmp_path / "schedstat")
    stats = serve(action, work, None, Meter(Step(0, "", action)), Sleeper(clock), lambda _: None)
    assert stats.max_us > 100_000
    assert stats.waits is not None
    assert Histogram.of_rows(dict(stats.waits), 2000).percentile(99) == pytest.approx(2000, rel=1 / 32)


def test_a_wait_for_a_disk_delays_those_behind_it_without_a_processor_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stats, _ = played(monkeypatch, Requests("a", 1, 100, count=20), lambda i: 35 if i == 5 else 0)
    assert stats.waits is not None
    assert sum(low * count for low, count in stats.waits) == pytest.approx(
        35_000 + 25_000 + 15_000 + 5000, rel=0.1
    )


def test_a_kernel_that_does_not_say_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SCHEDSTAT", "/nowhere")
    stats, _ = played(monkeypatch, Requests("a", 1, 100, count=2), lambda _: 1)
    assert stats.waits is None


def test_requests_that_are_fast_are_never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    stats, _ = played(monkeypatch, Requests("a", 2, 100, count=50), lambda _: 4)
    assert (stats.completed, stats.late, stats.unserved) == (50, 0, 0)
    assert (stats.max_us, stats.service_max_us, stats.gap_max_us) == (4000, 4000, 10_000)


def test_a_slow_request_delays_those_that_arrive_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # arrivals every 10 ms; request 5 takes 35 ms: 6, 7 and 8 wait for it 25, 16, 7 ms, and are late
    stats, _ = played(monkeypatch, Requests("a", 1, 100, count=20), lambda i: 35 if i == 5 else 1)
    latencies = [1000] * 16 + [35_000, 26_000, 17_000, 8000]
    assert sum(low * count for low, count in stats.histogram) == pytest.approx(sum(latencies), rel=1 / 32)
    assert (stats.completed, stats.late) == (20, 3)
    assert (stats.p50_us, stats.max_us, stats.service_max_us) == (1007, 35_000, 35_000)
    assert stats.gap_max_us == 44_000


def test_what_has_not_begun_in_time_is_left_unserved(monkeypatch: pytest.MonkeyPatch) -> None:
    stats, _ = played(monkeypatch, Requests("a", 1, 100, seconds=1), lambda _: 40)
    assert (stats.completed, stats.unserved, stats.late) == (25, 75, 24)
    assert stats.max_us == 25 * 40_000 - 240_000


def test_an_endless_loop_ends_when_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    stats, _ = played(monkeypatch, Requests("a", 1, 100), lambda _: 1, until_ms=500)
    assert stats.completed == 50


def test_an_interval_holds_the_requests_that_arrived_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    action = Requests("a", 3, 2, seconds=5, report=2)
    stats, results = played(monkeypatch, action, lambda i: 900 if i == 3 else 10)
    assert [result.requests and result.requests.completed for result in results] == [4, 4]
    assert [result.requests and result.requests.late for result in results] == [0, 1]
    assert stats.completed == 2
    assert [result.pages for result in results] == [12, 12]
