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

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from memqos.lab.asked import Asked
from memqos.lab.event_questions import EventQuestions
from memqos.lab.recording import Executed, Look, Recording
from memqos.lab.variant import members_of
from memqos.lab.work_questions import WorkQuestions
from memqos.model.snapshot import Cgroup, IoStat


def signatures() -> dict[str, inspect.Signature]:
    """How each question is called."""
    methods: dict[str, Callable[..., Any]] = {name: getattr(Questions, f"_{name}") for name in _OF_LOOKS}
    methods |= {name: getattr(WorkQuestions, name) for name in _OF_WORK}
    methods |= {name: getattr(EventQuestions, name) for name in _OF_EVENTS}
    found = {}
    for name, method in methods.items():
        whole = inspect.signature(method)
        found[name] = whole.replace(parameters=list(whole.parameters.values())[1:])  # without self
    return found


class Questions:
    """The questions, asked of one recording at one look."""

    def __init__(
        self, recording: Recording, here: Look | None, series: Mapping[str, Sequence[float | None]]
    ) -> None:
        self._asked = Asked(recording, here)
        self._events_of = EventQuestions(self._asked)
        self._work_of = WorkQuestions(self._asked)
        self._series_values = series

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions, by the name an expression calls them by."""
        of_others = {
            name: getattr(others, name)
            for names, others in ((_OF_WORK, self._work_of), (_OF_EVENTS, self._events_of))
            for name in names
        }
        return {name: getattr(self, f"_{name}") for name in _OF_LOOKS} | of_others

    def _stat(self, pod: str, key: str, mark: str = "") -> int | None:
        cgroup = self._asked.cgroup(pod, mark)
        return None if cgroup is None or cgroup.memory_stat is None else cgroup.memory_stat.get(key)

    def _events(self, pod: str, key: str, mark: str = "") -> int | None:
        cgroup = self._asked.cgroup(pod, mark)
        return None if cgroup is None or cgroup.memory_events is None else cgroup.memory_events.get(key)

    def _holds(self, pod: str, file: str, mark: str = "") -> int | None:
        cgroup = self._asked.cgroup(pod, mark)
        name = file.replace(".", "_")
        if name not in Cgroup.__struct_fields__:
            raise ValueError(f"there is no file {file!r} of one number")
        value = None if cgroup is None else getattr(cgroup, name)
        return value if isinstance(value, int) else None

    def _io(self, pod: str, key: str, mark: str = "", disk: str = "") -> int | None:
        if key not in IoStat.__struct_fields__:
            raise ValueError(f"io.stat has no {key!r}, but {', '.join(IoStat.__struct_fields__)}")
        cgroup = self._asked.cgroup(pod, mark)
        if cgroup is None or cgroup.io_stat is None:
            return None
        if not disk:
            return sum(int(getattr(each, key)) for each in cgroup.io_stat.values())
        if disk not in self._asked.recording.devices:
            raise ValueError(f"there is no disk {disk!r}")
        line = cgroup.io_stat.get(self._asked.recording.devices[disk])
        return 0 if line is None else int(getattr(line, key))

    def _stall(self, pod: str, resource: str, kind: str, mark: str = "") -> float | None:
        cgroup = self._asked.cgroup(pod, mark)
        if resource not in ("memory", "io", "cpu") or kind not in ("some", "full"):
            raise ValueError("stall(POD, memory|io|cpu, some|full)")
        line = getattr(getattr(cgroup, f"{resource}_pressure", None), kind, None)
        return None if line is None else line.total / 1e6

    def _node(self, file: str, key: str, mark: str = "") -> int | None:
        if file not in ("meminfo", "vmstat"):
            raise ValueError('node("meminfo"|"vmstat", KEY)')
        counters: Mapping[str, int] = getattr(self._asked.look(mark).snapshot.node, file)
        return counters.get(key)

    def _status(self, pod: str, word: str, mark: str = "") -> int | None:
        if word not in ("running", "restarts", "oom_kills", "exit_code"):
            raise ValueError("status(POD, running|restarts|oom_kills|exit_code)")
        look = self._asked.look(mark).pods.get(pod)
        value: int | None = getattr(look, word, None)
        return value

    def _took(self, name: str, word: str) -> float:
        if word not in ("real", "user", "sys", "status"):
            raise ValueError("took(EXEC, real|user|sys|status)")
        executed: Executed | None = self._asked.recording.execs.get(name)
        if executed is None:
            raise ValueError(f"no command is called {name!r}")
        return float(getattr(executed, word))

    def _pods(self, pod: str, word: str, mark: str = "") -> int:
        seen = self._asked.look(mark).pods
        looks = [seen[name] for name in members_of(pod, seen)]
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
        begin = 0.0 if not start else self._asked.look(start).seconds
        return next((at - begin for at, value in curve if value > curve[0][1] + least), None)

    def _curve(self, name: str, start: str, end: str) -> list[tuple[float, float]]:
        if name not in self._series_values:
            raise ValueError(f"there is no series {name!r}")
        first, last = self._asked.span(start, end)
        looks = zip(self._asked.recording.samples, self._series_values[name], strict=True)
        return [
            (look.seconds, value)
            for look, value in looks
            if value is not None and first <= look.seconds <= last
        ]

    def _reaction(self, name: str, least: float, start: str = "", knob: str = "") -> float | None:
        onset = self._onset(name, least, start)
        if onset is None:
            return None
        begin = onset + (self._asked.look(start).seconds if start else 0.0)
        return self._events_of.first_act(knob, begin)

    def _seconds(self, mark: str = "") -> float:
        return self._asked.look(mark).seconds


_OF_LOOKS = (
    "stat", "events", "holds", "io", "stall", "node", "status", "pods", "took", "series", "onset", "reaction",
    "seconds",
)  # fmt: skip
_OF_WORK = ("requests", "waits", "work")
_OF_EVENTS = ("ended", "said", "happened", "acted")
QUESTIONS = (*_OF_LOOKS, *_OF_WORK, *_OF_EVENTS)
