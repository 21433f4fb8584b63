"""What a measure may ask of a recording: the functions of the expression language.

=====================================  ================================================================
`stat(POD, KEY[, MARK])`               a line of memory.stat
`events(POD, KEY[, MARK])`             a line of memory.events
`holds(POD, FILE[, MARK])`             a file of one number, such as "memory.swap.current"
`io(POD, KEY[, MARK[, DISK]])`         a field of io.stat, of one disk or of all together
`stall(POD, RESOURCE, KIND[, MARK])`   the `total` of RESOURCE.pressure, in seconds
`node(FILE, KEY[, MARK])`              a line of "meminfo" (bytes) or "vmstat"
`status(POD, WORD[, MARK])`            running, restarts, oom_kills, exit_code (none before it ended)
`took(EXEC, WORD)`                     real, user, sys (seconds) or status of a command
`pods(POD, WORD[, MARK])`              the same, summed over a pod and its copies; also `alive`, `succeeded`
`series(NAME, WORD[, FROM[, TO]])`     first, last, min, max, mean, count or rises (above the one before)
`requests(POD, WORD[, FROM[, TO]])`    p50, p90, p99, p999, max, gap (seconds); completed, late, unserved
`waits(POD, WORD[, FROM[, TO]])`       p50, p90, p99, p999, max of what they took beside the processor's part
`work(POD, WORD[, FROM[, TO]])`        pages, bytes_read, bytes_written, phases, seconds of its phases
`ended(POD[, FROM])`                   seconds from FROM until its container ended; none if it did not
`said(POD, WORD)`                      how many of a pod and its copies have it in what they printed last
`happened(WHAT[, POD[, FROM]])`        how often: "evicting", "exited", "refused", "backoff", "condition", ...
`acted([KNOB[, FROM]])`                seconds from FROM until a manager first wrote it, or "evict"; anything
`onset(NAME, LEAST[, FROM])`           seconds from FROM until a series has grown by more than LEAST
`reaction(NAME, LEAST[, FROM[, KNOB])` seconds from that moment to the manager's next act
`seconds([MARK])`                      the time since the variant began
=====================================  ================================================================

POD is a pod's name, or "pod/container". Without a mark it is the sample at hand, or the end; FROM and TO are
marks, the begin and the end without. Requests and work count the results that lie between them, whole
`report` intervals. What a kernel does not have, and what did not happen, is `None`. An io.stat without a line
for a disk has read nothing there: 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from memqos.lab.recording import Executed, Look, Recording
from memqos.model.snapshot import Cgroup, IoStat
from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats, Result

_PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}


class Questions:
    """The questions, asked of one recording at one look."""

    def __init__(
        self, recording: Recording, here: Look | None, series: Mapping[str, Sequence[float | None]]
    ) -> None:
        self._recording = recording
        self._here = here
        self._series_values = series

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions, by the name an expression calls them by."""
        return {name: getattr(self, f"_{name}") for name in QUESTIONS}

    def _stat(self, pod: str, key: str, mark: str = "") -> int | None:
        cgroup = self._cgroup(pod, mark)
        return None if cgroup is None or cgroup.memory_stat is None else cgroup.memory_stat.get(key)

    def _events(self, pod: str, key: str, mark: str = "") -> int | None:
        cgroup = self._cgroup(pod, mark)
        return None if cgroup is None or cgroup.memory_events is None else cgroup.memory_events.get(key)

    def _holds(self, pod: str, file: str, mark: str = "") -> int | None:
        cgroup = self._cgroup(pod, mark)
        name = file.replace(".", "_")
        if name not in Cgroup.__struct_fields__:
            raise ValueError(f"there is no file {file!r} of one number")
        value = None if cgroup is None else getattr(cgroup, name)
        return value if isinstance(value, int) else None

    def _io(self, pod: str, key: str, mark: str = "", disk: str = "") -> int | None:
        if key not in IoStat.__struct_fields__:
            raise ValueError(f"io.stat has no {key!r}, but {', '.join(IoStat.__struct_fields__)}")
        cgroup = self._cgroup(pod, mark)
        if cgroup is None or cgroup.io_stat is None:
            return None
        if not disk:
            return sum(int(getattr(each, key)) for each in cgroup.io_stat.values())
        if disk not in self._recording.devices:
            raise ValueError(f"there is no disk {disk!r}")
        line = cgroup.io_stat.get(self._recording.devices[disk])
        return 0 if line is None else int(getattr(line, key))

    def _stall(self, pod: str, resource: str, kind: str, mark: str = "") -> float | None:
        cgroup = self._cgroup(pod, mark)
        if resource not in ("memory", "io", "cpu") or kind not in ("some", "full"):
            raise ValueError("stall(POD, memory|io|cpu, some|full)")
        line = getattr(getattr(cgroup, f"{resource}_pressure", None), kind, None)
        return None if line is None else line.total / 1e6

    def _node(self, file: str, key: str, mark: str = "") -> int | None:
        if file not in ("meminfo", "vmstat"):
            raise ValueError('node("meminfo"|"vmstat", KEY)')
        counters: Mapping[str, int] = getattr(self._look(mark).snapshot.node, file)
        return counters.get(key)

    def _status(self, pod: str, word: str, mark: str = "") -> int | None:
        if word not in ("running", "restarts", "oom_kills", "exit_code"):
            raise ValueError("status(POD, running|restarts|oom_kills|exit_code)")
        look = self._look(mark).pods.get(pod)
        value: int | None = getattr(look, word, None)
        return value

    def _took(self, name: str, word: str) -> float:
        if word not in ("real", "user", "sys", "status"):
            raise ValueError("took(EXEC, real|user|sys|status)")
        executed: Executed | None = self._recording.execs.get(name)
        if executed is None:
            raise ValueError(f"no command is called {name!r}")
        return float(getattr(executed, word))

    def _pods(self, pod: str, word: str, mark: str = "") -> int:
        looks = [look for name, look in self._look(mark).pods.items() if name == pod or _is_copy(name, pod)]
        if word == "alive":
            return sum(look.running > 0 for look in looks)
        if word == "succeeded":
            return sum(look.phase == "Succeeded" for look in looks)
        if word not in ("running", "restarts", "oom_kills"):
            raise ValueError("pods(POD, alive|succeeded|running|restarts|oom_kills)")
        return sum(int(getattr(look, word)) for look in looks)

    def _series(self, name: str, word: str, start: str = "", end: str = "") -> float | None:
        values = [value for _, value in self._curve(name, start, end)]
        pairs = pairwise(values)
        answers: dict[str, Callable[[], float]] = {
            "first": lambda: values[0],
            "last": lambda: values[-1],
            "min": lambda: min(values),
            "max": lambda: max(values),
            "mean": lambda: sum(values) / len(values),
            "count": lambda: len(values),
            "rises": lambda: sum(later > earlier for earlier, later in pairs),
        }
        if word not in answers:
            raise ValueError(f"series(NAME, {'|'.join(answers)})")
        return answers[word]() if values else None

    def _onset(self, name: str, least: float, start: str = "") -> float | None:
        curve = self._curve(name, start, "")
        begin = 0.0 if not start else self._look(start).seconds
        return next((at - begin for at, value in curve if value > curve[0][1] + least), None)

    def _curve(self, name: str, start: str, end: str) -> list[tuple[float, float]]:
        if name not in self._series_values:
            raise ValueError(f"there is no series {name!r}")
        first, last = self._span(start, end)
        looks = zip(self._recording.samples, self._series_values[name], strict=True)
        return [
            (look.seconds, value)
            for look, value in looks
            if value is not None and first <= look.seconds <= last
        ]

    def _waits(self, pod: str, word: str, start: str = "", end: str = "") -> float | None:
        """Of `RequestStats.waits`; of whole latencies where those were not counted, as in the simulator."""
        if word not in (*_PERCENTILES, "max"):
            raise ValueError(f"waits(POD, {'|'.join(_PERCENTILES)}|max)")
        stats = [each.requests for each in self._results(pod, start, end) if each.requests is not None]
        if not stats:
            return None
        together = _together(stats, [each.histogram if each.waits is None else each.waits for each in stats])
        return (max(together.rows())[0] if word == "max" else together.percentile(_PERCENTILES[word])) / 1e6

    def _requests(self, pod: str, word: str, start: str = "", end: str = "") -> float | None:
        stats = [each.requests for each in self._results(pod, start, end) if each.requests is not None]
        if word in ("completed", "late", "unserved"):
            return sum(int(getattr(each, word)) for each in stats)
        if word not in (*_PERCENTILES, "max", "gap"):
            raise ValueError(f"requests(POD, {'|'.join(_PERCENTILES)}|max|gap|completed|late|unserved)")
        if not stats:
            return None
        if word == "gap":
            return max(each.gap_max_us for each in stats) / 1e6
        together = _together(stats, [each.histogram for each in stats])
        return (together.max_us if word == "max" else together.percentile(_PERCENTILES[word])) / 1e6

    def _work(self, pod: str, word: str, start: str = "", end: str = "") -> float:
        results = self._results(pod, start, end)
        if word == "seconds":
            return sum(each.end_us - each.start_us for each in results) / 1e6
        if word == "phases":
            return len(results)
        if word not in ("pages", "bytes_read", "bytes_written"):
            raise ValueError("work(POD, pages|bytes_read|bytes_written|phases|seconds)")
        return sum(int(getattr(each, word)) for each in results)

    def _results(self, pod: str, start: str, end: str) -> list[Result]:
        if pod not in self._recording.cgroups:
            raise ValueError(f"there is no pod {pod!r}")
        first, last = (self._look(mark).snapshot.time_us if mark else None for mark in (start, end))
        return [
            result
            for name, results in self._recording.results.items()
            for result in results
            if (name == pod or name.startswith(f"{pod}/"))
            and (first is None or result.start_us >= first)
            and (last is None or result.end_us <= last)
        ]

    def _ended(self, pod: str, start: str = "") -> float | None:
        begin, _ = self._span(start, "")
        for event in self._recording.events:
            if event.what == "exited" and event.seconds >= begin and event.subject.split("/")[1:2] == [pod]:
                return event.seconds - begin
        return None

    def _said(self, pod: str, word: str) -> int:
        names = {name for name in self._recording.cgroups if name == pod or _is_copy(name, pod)}
        logs = self._recording.logs
        return len({name.partition("/")[0] for name, text in logs.items() if word in text} & names)

    def _happened(self, what: str, pod: str = "", start: str = "") -> int:
        begin, _ = self._span(start, "")
        return sum(
            event.what == what and event.seconds >= begin and (not pod or self._about(event.subject, pod))
            for event in self._recording.events
        )

    def _about(self, subject: str, pod: str) -> bool:
        """Whether an event's subject is a pod (its key, or a cgroup of it) or one of its copies."""
        names = [name for name in self._recording.cgroups if name == pod or _is_copy(name, pod)]
        cgroups = [self._recording.cgroups[name] for name in names]
        return any(name in subject.split("/") for name in names) or any(
            subject == path or subject.startswith(f"{path}/") for path in cgroups
        )

    def _acted(self, knob: str = "", start: str = "") -> float | None:
        begin, _ = self._span(start, "")
        return self._first_act(knob, begin)

    def _first_act(self, knob: str, begin: float) -> float | None:
        took_effect = ("written", "begun")
        times = [
            write.seconds
            for write in self._recording.writes
            if write.status in took_effect and knob in ("", write.knob)
        ]
        if knob in ("", "evict"):
            times += [event.seconds for event in self._recording.events if event.what == "evicting"]
        return min((at - begin for at in times if at >= begin), default=None)

    def _reaction(self, name: str, least: float, start: str = "", knob: str = "") -> float | None:
        onset = self._onset(name, least, start)
        if onset is None:
            return None
        begin = onset + (self._look(start).seconds if start else 0.0)
        return self._first_act(knob, begin)

    def _span(self, start: str, end: str) -> tuple[float, float]:
        first = self._look(start).seconds if start else 0.0
        return first, self._look(end).seconds if end else float("inf")

    def _seconds(self, mark: str = "") -> float:
        return self._look(mark).seconds

    def _look(self, mark: str) -> Look:
        if mark:
            if mark not in self._recording.marks:
                raise ValueError(f"the timeline has no mark {mark!r}")
            return self._recording.marks[mark]
        if self._here is None:
            raise ValueError("there was no look at the node")
        return self._here

    def _cgroup(self, pod: str, mark: str) -> Cgroup | None:
        path = self._recording.cgroups.get(pod)
        if path is None:
            raise ValueError(f"there is no pod {pod!r}")
        return self._look(mark).snapshot.cgroups.get(path)


def _is_copy(name: str, pod: str) -> bool:
    stem, _, number = name.rpartition("-")
    return stem == pod and number.isdigit()


def _together(stats: Sequence[RequestStats], histograms: Sequence[Sequence[tuple[int, int]]]) -> Histogram:
    """Lay the histograms of several results together."""
    rows: dict[int, int] = {}
    for histogram in histograms:
        for low, count in histogram:
            rows[low] = rows.get(low, 0) + count
    return Histogram.of_rows(rows, max(each.max_us for each in stats))


QUESTIONS = (
    "stat", "events", "holds", "io", "stall", "node", "status", "pods", "took", "series", "requests", "waits",
    "work", "ended", "said", "happened", "acted", "onset", "reaction", "seconds",
)  # fmt: skip
