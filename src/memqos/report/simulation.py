"""What became of each pod in a recording: the table of `memqos simulate`, for one run or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memqos.lab.recording import Look, PodLook, Recording
from memqos.model.snapshot import Cgroup
from memqos.report.table import Cell, Column, Table, table
from memqos.workload.histogram import Histogram

COLUMNS = (
    Column("pod", "pod"),
    Column("phase", "phase"),
    Column("exit", "exit", "count"),
    Column("oom_kills", "OOM kills", "count"),
    Column("restarts", "restarts", "count"),
    Column("evicted", "evicted", "yes_no"),
    Column("time_us", "time", "duration_us"),
    Column("read", "read", "bytes"),
    Column("written", "written", "bytes"),
    Column("swapped_out", "swapped out", "bytes"),
    Column("swapped_in", "swapped in", "bytes"),
    Column("refaults", "refaults", "count"),
    Column("memory_stall_us", "memory stall", "duration_us"),
    Column("io_stall_us", "io stall", "duration_us"),
    Column("requests", "requests", "count"),
    Column("p50_us", "p50", "duration_us"),
    Column("p99_us", "p99", "duration_us"),
)


@dataclass(frozen=True, slots=True)
class PodRun:
    """One pod in one run: its cells, by the keys of `COLUMNS`."""

    pod: str
    cells: Mapping[str, Cell]


def pod_runs(recording: Recording) -> list[PodRun]:
    """Sum up each pod, as of the last look at which its cgroup was there."""
    looks = sorted([*recording.samples, *recording.marks.values()], key=_seconds)
    return [
        PodRun(
            name, {**_lived(recording, name), **_status(looks, name), **_held(recording, looks, path, name)}
        )
        for name, path in recording.cgroups.items()
        if "/" not in name
    ]


def _seconds(look: Look) -> float:
    return look.seconds


def _status(looks: Sequence[Look], pod: str) -> dict[str, Cell]:
    last: PodLook | None = next((look.pods[pod] for look in reversed(looks) if pod in look.pods), None)
    if last is None:
        return {}
    return {
        "phase": last.phase,
        "exit": last.exit_code,
        "oom_kills": last.oom_kills,
        "restarts": last.restarts,
        "evicted": last.reason == "Evicted",
    }


def _lived(recording: Recording, pod: str) -> dict[str, Cell]:
    """The time from its first start to its last end, or to the end of the run while it runs."""
    mine = [each for each in recording.events if each.subject.split("/")[1:2] == [pod]]
    started = [each.seconds for each in mine if each.what == "started"]
    if not started:
        return {"time_us": None}
    ended = [each.seconds for each in mine if each.what == "exited"]
    runs = len(ended) < len(started)
    end = recording.seconds if runs else max(ended)
    return {"time_us": round((end - started[0]) * 1e6)}


def _held(recording: Recording, looks: Sequence[Look], path: str, pod: str) -> dict[str, Cell]:
    cgroup: Cgroup | None = next(
        (look.snapshot.cgroups[path] for look in reversed(looks) if path in look.snapshot.cgroups), None
    )
    cells: dict[str, Cell] = _requests(recording, pod)
    if cgroup is None:
        return cells
    swap = recording.devices.get("swap")
    lines = cgroup.io_stat or {}
    files = [line for device, line in lines.items() if device != swap]
    swapped = lines.get(swap or "")
    stat: Mapping[str, int] = cgroup.memory_stat or {}
    return cells | {
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
    rows: dict[int, int] = {}
    longest = 0
    for name, results in recording.results.items():
        for stats in (each.requests for each in results if name.startswith(f"{pod}/")):
            if stats is not None:
                longest = max(longest, stats.max_us)
                for low, count in stats.histogram:
                    rows[low] = rows.get(low, 0) + count
    if not rows:
        return {}
    all_of_them = Histogram.of_rows(rows, longest)
    return {
        "requests": all_of_them.total,
        "p50_us": all_of_them.percentile(50),
        "p99_us": all_of_them.percentile(99),
    }


def runs_table(runs: Mapping[str, Recording]) -> Table:
    """A row per pod for one run; for several a row per pod and figure, the runs side by side."""
    summed = {name: pod_runs(recording) for name, recording in runs.items()}
    if len(runs) == 1:
        rows = [[each.pod, *_cells(each)] for each in next(iter(summed.values()))]
        kept = [0] + [i for i in range(1, len(COLUMNS)) if any(row[i] not in (None, 0) for row in rows)]
        return table(
            [COLUMNS[i] for i in kept],
            [[row[i] for i in kept] for row in rows],
            title="What became of each pod",
        )
    pods = dict.fromkeys(each.pod for found in summed.values() for each in found)
    rows = []
    for pod in pods:
        by_run = [next((each.cells for each in found if each.pod == pod), {}) for found in summed.values()]
        for column in COLUMNS[1:]:
            cells = [run.get(column.key) for run in by_run]
            if any(cell not in (None, 0) for cell in cells):
                rows.append([pod, column.heading, *(column.text(cell) for cell in cells)])
    columns = [Column("pod", "pod"), Column("figure", "figure"), *(Column(name, name) for name in runs)]
    return table(columns, rows, title="What became of each pod, side by side")


def _cells(run: PodRun) -> list[Cell]:
    return [run.cells.get(column.key) for column in COLUMNS[1:]]
