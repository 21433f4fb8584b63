"""What became of each pod in a recording: the table of `memqos simulate`, for one run or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from memqos.lab.campaign import to_json
from memqos.lab.recording import Happened, Look, PodLook, Recording
from memqos.lab.results import ExperimentResult
from memqos.model.events import oom_kills
from memqos.model.snapshot import Cgroup
from memqos.report.experiments import checks_table, measures_table
from memqos.report.table import Cell, Column, Table, table
from memqos.workload.histogram import Histogram

COLUMNS = (
    Column("pod", "pod"),
    Column("phase", "phase"),
    Column("exit", "exit", "count"),
    Column("oom_kills", "OOM kills", "count"),
    Column("restarts", "restarts", "count"),
    Column("evictions", "evictions", "count"),
    Column("time_us", "time", "duration_us"),
    Column("read", "read", "bytes"),
    Column("written", "written", "bytes"),
    Column("swapped_out", "swapped out", "bytes"),
    Column("swapped_in", "swapped in", "bytes"),
    Column("refaults", "refaults", "count"),
    Column("memory_stall_us", "memory stall", "duration_us"),
    Column("io_stall_us", "io stall", "duration_us"),
    Column("requests", "requests", "count"),
    Column("unserved", "unserved", "count"),
    Column("p50_us", "p50", "duration_us"),
    Column("p99_us", "p99", "duration_us"),
)
ALWAYS = ("pod", "phase", "exit", "oom_kills", "time_us")
"""Told even where there is nothing; a column (or, side by side, a row) of nothing else is left out."""


@dataclass(frozen=True, slots=True)
class PodRun:
    """One pod in one run: its cells, by the keys of `COLUMNS`."""

    pod: str
    cells: Mapping[str, Cell]


def pod_runs(recording: Recording) -> list[PodRun]:
    """Sum up each pod.

    The kernel's counters are those of the pod's cgroup at the last look at which it was there. `exit` is the
    last exit code, `time` lasts from the first start until the pod succeeded, failed or was taken away,
    or to the end. OOM kills are times the OOM killer came. `read` and `written` are all disks but swap.
    `memory stall` and `io stall` are the `some` totals of the pod's pressure files. Latencies are those of
    all requests that were served; `unserved` ones are in none.
    """
    looks = sorted([*recording.samples, *recording.marks.values()], key=attrgetter("seconds"))
    return [
        PodRun(name, _cells_of(recording, looks, name, path))
        for name, path in recording.cgroups.items()
        if "/" not in name
    ]


def _cells_of(recording: Recording, looks: Sequence[Look], pod: str, path: str) -> dict[str, Cell]:
    last: PodLook | None = next((look.pods[pod] for look in reversed(looks) if pod in look.pods), None)
    cgroup: Cgroup | None = next(
        (look.snapshot.cgroups[path] for look in reversed(looks) if path in look.snapshot.cgroups), None
    )
    kills = [0 if last is None else last.oom_kills]
    if cgroup is not None and cgroup.memory_events is not None:
        # of programs that run on while one of their processes was killed, no status tells
        kills.append(oom_kills(cgroup.memory_events))
    cells: dict[str, Cell] = {"oom_kills": max(kills), "time_us": _lived(recording, pod, last)}
    if last is not None:
        cells |= {"phase": last.phase, "exit": last.exit_code, "restarts": last.restarts}
    cells["evictions"] = sum(evicts(each, pod) for each in recording.events)
    return cells | _requests(recording, pod) | ({} if cgroup is None else _counted(recording, cgroup))


def evicts(event: Happened, pod: str) -> bool:
    """Whether the kubelet, or memqos, tells a pod to go."""
    by_memqos = event.what == "evicted" and event.text.startswith("Evicted: ")
    return (by_memqos or event.what == "evicting") and _pod_of(event.subject) == pod


def _pod_of(subject: str) -> str:
    """The pod of "namespace/pod" and of "namespace/pod/container"."""
    return subject.partition("/")[2].partition("/")[0]


def _lived(recording: Recording, pod: str, last: PodLook | None) -> int | None:
    mine = [each for each in recording.events if _pod_of(each.subject) == pod]
    started = [each.seconds for each in mine if each.what == "started"]
    if not started:
        return None
    gone = [each.seconds for each in mine if each.what == "gone"]
    ended = [each.seconds for each in mine if each.what == "exited"]
    over = last is not None and last.phase in ("Succeeded", "Failed") and ended
    end = gone[-1] if gone else max(ended) if over else recording.seconds
    return round((end - started[0]) * 1e6)


def _counted(recording: Recording, cgroup: Cgroup) -> dict[str, Cell]:
    swap = recording.devices.get("swap")
    lines = cgroup.io_stat or {}
    files = [line for device, line in lines.items() if device != swap]
    swapped = lines.get(swap or "")
    stat: Mapping[str, int] = cgroup.memory_stat or {}
    return {
        "read": sum(line.rbytes for line in files),
        "written": sum(line.wbytes for line in files),
        "swapped_out": swapped.wbytes if swapped else 0,
        "swapped_in": swapped.rbytes if swapped else 0,
        "refaults": stat.get("workingset_refault_file", 0) + stat.get("workingset_refault_anon", 0),
        "memory_stall_us": cgroup.memory_pressure.some.total if cgroup.memory_pressure else None,
        "io_stall_us": cgroup.io_pressure.some.total if cgroup.io_pressure else None,
    }


def _requests(recording: Recording, pod: str) -> dict[str, Cell]:
    """Latencies of all request loops that the pod ran; nothing where it ran none."""
    found = [
        each.requests
        for name, results in recording.results.items()
        if name.partition("/")[0] == pod
        for each in results
        if each.requests is not None
    ]
    if not found:
        return {}
    rows: Counter[int] = Counter()
    for stats in found:
        rows.update(dict(stats.histogram))
    served = Histogram.of_rows(rows, max(each.max_us for each in found))
    cells: dict[str, Cell] = {
        "requests": served.total,
        "unserved": sum(each.unserved for each in found),
    }
    if served.total:
        cells |= {"p50_us": served.percentile(50), "p99_us": served.percentile(99)}
    return cells


def runs_table(runs: Mapping[str, Recording]) -> Table:
    """A row per pod for one run; for several a row per pod and figure, the runs side by side."""
    summed = {name: pod_runs(recording) for name, recording in runs.items()}
    if len(runs) == 1:
        rows = [[each.pod, *_cells(each)] for each in next(iter(summed.values()))]
        kept = [
            i
            for i, column in enumerate(COLUMNS)
            if column.key in ALWAYS or any(row[i] not in (None, 0) for row in rows)
        ]
        return table(
            [COLUMNS[i] for i in kept],
            [[row[i] for i in kept] for row in rows],
            title="What became of each pod",
            empty="no pod was started",
        )
    pods = dict.fromkeys(each.pod for found in summed.values() for each in found)
    rows = []
    for pod in pods:
        by_run = [next((each.cells for each in found if each.pod == pod), {}) for found in summed.values()]
        named: Cell = pod
        for column in COLUMNS[1:]:
            cells = [run.get(column.key) for run in by_run]
            if column.key in ALWAYS or any(cell not in (None, 0) for cell in cells):
                rows.append([named, column.heading, *(column.text(cell) for cell in cells)])
                named = ""
    columns = [Column("pod", "pod"), Column("figure", "figure"), *(Column(name, name) for name in runs)]
    return table(columns, rows, title="What became of each pod, side by side", empty="no pod was started")


def _cells(run: PodRun) -> list[Cell]:
    return [run.cells.get(column.key) for column in COLUMNS[1:]]


def tables_of(
    runs: Mapping[str, Recording], results: Sequence[ExperimentResult], *, measures: bool = True
) -> list[Table]:
    """All that a simulation shows: the pods, the file's measures, and what it expected."""
    found = [runs_table(runs)]
    if measures and any(variant.measures for result in results for variant in result.variants):
        found.append(measures_table(results))
    if any(result.checks for result in results):
        checks = checks_table(results)
        first = 2 if len(results) == 1 else 1
        columns = [
            replace(each, heading="in words") if each.key == "study" else each for each in checks.columns
        ]
        found.append(table(columns[first:], [row[first:] for row in checks.rows], title=checks.title))
    return found


def document_of(
    kernel: str, seed: int, runs: Mapping[str, Recording], results: Sequence[ExperimentResult]
) -> dict[str, Any]:
    """The same as plain data: bytes, microseconds, counts."""
    return {
        "kernel": kernel,
        "seed": seed,
        "runs": {
            name: {each.pod: dict(each.cells) for each in pod_runs(recording)}
            for name, recording in runs.items()
        },
        "results": [to_json(result) for result in results],
    }
