"""What a measure may ask of what programs did: results of `memqos workload` between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from memqos.lab.asked import Asked
from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats, Result

_PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}


class WorkQuestions:
    """`requests`, `waits` and `work`: each takes POD, a word, and two marks ("": the begin, the end)."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def requests(self, pod: str, word: str, start: str = "", end: str = "") -> float | None:
        """Seconds, or how many."""
        stats = [each.requests for each in self._results(pod, start, end) if each.requests is not None]
        if word in ("completed", "late", "unserved"):
            return sum(int(getattr(each, word)) for each in stats)
        if word not in (*_PERCENTILES, "max", "gap"):
            raise ValueError(f"requests(POD, {'|'.join(_PERCENTILES)}|max|gap|completed|late|unserved)")
        if not stats:
            return None
        if word == "gap":
            return max(max(each.gap_max_us for each in stats), self._silence_us(pod, start, end)) / 1e6
        together = _together(stats, [each.histogram for each in stats])
        return (together.max_us if word == "max" else together.percentile(_PERCENTILES[word])) / 1e6

    def waits(self, pod: str, word: str, start: str = "", end: str = "") -> float | None:
        """Of `RequestStats.waits`; of whole latencies where those were not counted, as in the simulator."""
        if word not in (*_PERCENTILES, "max"):
            raise ValueError(f"waits(POD, {'|'.join(_PERCENTILES)}|max)")
        stats = [each.requests for each in self._results(pod, start, end) if each.requests is not None]
        if not stats:
            return None
        together = _together(stats, [each.histogram if each.waits is None else each.waits for each in stats])
        return (max(together.rows())[0] if word == "max" else together.percentile(_PERCENTILES[word])) / 1e6

    def work(self, pod: str, word: str, start: str = "", end: str = "") -> float:
        """Sums over the phases."""
        results = self._results(pod, start, end)
        if word == "seconds":
            return sum(each.end_us - each.start_us for each in results) / 1e6
        if word == "phases":
            return len(results)
        if word not in ("pages", "bytes_read", "bytes_written"):
            raise ValueError("work(POD, pages|bytes_read|bytes_written|phases|seconds)")
        return sum(int(getattr(each, word)) for each in results)

    def _silence_us(self, pod: str, start: str, end: str) -> int:
        """Microseconds to `end` for which a running program has said nothing, beyond what its reports take.

        A program that stands still reports no gap: it is in the report that does not come.
        """
        look = self._asked.look(end)
        now = look.snapshot.time_us
        said = [each for each in self._results(pod, start, "") if each.start_us < now]
        seen = look.pods.get(pod)
        if not said or seen is None or not seen.running:
            return 0
        usual = median(each.end_us - each.start_us for each in said if each.requests is not None)
        return now - max(each.end_us for each in said) - round(usual)

    def _results(self, pod: str, start: str, end: str) -> list[Result]:
        if pod not in self._asked.recording.cgroups:
            raise ValueError(f"there is no pod {pod!r}")
        first, last = (self._asked.look(mark).snapshot.time_us if mark else None for mark in (start, end))
        return [
            result
            for name, results in self._asked.recording.results.items()
            for result in results
            if (name == pod or name.startswith(f"{pod}/"))
            and (first is None or result.start_us >= first)
            and (last is None or result.end_us <= last)
        ]


def _together(stats: Sequence[RequestStats], histograms: Sequence[Sequence[tuple[int, int]]]) -> Histogram:
    """Lay the histograms of several results together."""
    rows: dict[int, int] = {}
    for histogram in histograms:
        for low, count in histogram:
            rows[low] = rows.get(low, 0) + count
    return Histogram.of_rows(rows, max(each.max_us for each in stats))
