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
`series(NAME, WORD)`                   first, last, min, max, count or rises (samples above the one before)
`seconds([MARK])`                      the time since the variant began
=====================================  ================================================================

POD is a pod's name, or "pod/container". Without a mark it is the sample at hand, or the end.
What a kernel does not have is `None`. An io.stat without a line for a disk has read nothing there: 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from memqos.lab.recording import Executed, Look, Recording
from memqos.model.snapshot import Cgroup, IoStat


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

    def _series(self, name: str, word: str) -> float | None:
        if name not in self._series_values:
            raise ValueError(f"there is no series {name!r}")
        values = [value for value in self._series_values[name] if value is not None]
        pairs = pairwise(values)
        answers: dict[str, Callable[[], float]] = {
            "first": lambda: values[0],
            "last": lambda: values[-1],
            "min": lambda: min(values),
            "max": lambda: max(values),
            "count": lambda: len(values),
            "rises": lambda: sum(later > earlier for earlier, later in pairs),
        }
        if word not in answers:
            raise ValueError(f"series(NAME, {'|'.join(answers)})")
        return answers[word]() if values else None

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


QUESTIONS = ("stat", "events", "holds", "io", "stall", "node", "status", "took", "series", "seconds")
