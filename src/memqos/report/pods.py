"""Who holds what: one row per pod, from one look at the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memqos.kubelet.qos import pod_qos
from memqos.model.events import oom_kills
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Cgroup, Counters, Snapshot
from memqos.report.table import Column, Table, table
from memqos.units import UNLIMITED

COLUMNS = (
    Column("pod", "pod"),
    Column("container", "container"),
    Column("qos", "QoS"),
    Column("priority", "priority", "count"),
    Column("anon", "anon", "bytes"),
    Column("file_clean", "file clean", "bytes"),
    Column("file_dirty", "dirty", "bytes"),
    Column("shmem", "shmem", "bytes"),
    Column("kernel", "kernel", "bytes"),
    Column("swap", "swap", "bytes"),
    Column("swap_max", "swap max", "bytes"),
    Column("current", "current", "bytes"),
    Column("limit", "limit", "bytes"),
    Column("headroom", "headroom", "bytes"),
    Column("pressure", "pressure", "percent"),
    Column("oom_kills", "OOM kills", "count"),
)


@dataclass(frozen=True, slots=True)
class Holding:
    """What one cgroup holds, in bytes; see `holding`."""

    anon: int
    file_clean: int
    file_dirty: int
    shmem: int
    kernel: int | None


def holding(stat: Counters) -> Holding:
    """Split `memory.stat` into what reclaim must do with it.

    `file` counts tmpfs and shared memory, which live on the anonymous lists, so `shmem` is taken
    out. `file_writeback` counts swap pages too (mm/memcontrol.c, NR_WRITEBACK), so the dirty part is
    bounded by the file pages there are. `kernel` exists since 5.18.
    """
    shmem = stat.get("shmem", 0)
    file = max(0, stat.get("file", 0) - shmem)
    dirty = min(file, stat.get("file_dirty", 0) + stat.get("file_writeback", 0))
    return Holding(stat.get("anon", 0), file - dirty, dirty, shmem, stat.get("kernel"))


def limit_and_headroom(cgroups: Mapping[str, Cgroup], path: str) -> tuple[int, int]:
    """Return the lowest `memory.max` from the cgroup up to the root, and the least room below any.

    Both are `UNLIMITED` where no ancestor has a limit. Bytes.
    """
    limit, headroom = UNLIMITED, UNLIMITED
    here: str | None = path
    while here is not None:
        cgroup = cgroups.get(here)
        if cgroup is not None and cgroup.memory_max is not None and cgroup.memory_max < UNLIMITED:
            limit = min(limit, cgroup.memory_max)
            headroom = min(headroom, max(0, cgroup.memory_max - (cgroup.memory_current or 0)))
        here = here.rpartition("/")[0] if here else None
    return limit, headroom


def pods_table(snapshot: Snapshot, pods: Iterable[PlacedPod], *, containers: bool = False) -> Table:
    """Return who holds what: a row per pod, and per container below it when asked for.

    `pressure` is the memory pressure file's `some avg10`, `OOM kills` what `oom_kills` counts; a pod
    without a cgroup has empty cells.
    """
    rows: list[tuple[str | int | float | None, ...]] = []
    for placed in sorted(pods, key=lambda placed: placed.pod.key):
        head = (placed.pod.key, None, pod_qos(placed.pod), placed.pod.priority or 0)
        rows.append(head + _cells(snapshot.cgroups, placed.cgroup))
        if containers:
            rows.extend(
                (placed.pod.key, name, None, None, *_cells(snapshot.cgroups, path))
                for name, path in placed.containers.items()
            )
    columns = COLUMNS if containers else tuple(c for c in COLUMNS if c.key != "container")
    if not containers:
        rows = [row[:1] + row[2:] for row in rows]
    return table(columns, rows, title="Who holds what", empty="no pods on this node")


def _cells(cgroups: Mapping[str, Cgroup], path: str | None) -> tuple[str | int | float | None, ...]:
    cgroup = cgroups.get(path) if path is not None else None
    if cgroup is None:
        return (None,) * 12
    held = holding(cgroup.memory_stat) if cgroup.memory_stat is not None else None
    limit, headroom = limit_and_headroom(cgroups, cgroup.path)
    pressure = cgroup.memory_pressure.some.avg10 if cgroup.memory_pressure else None
    kills = oom_kills(cgroup.memory_events) if cgroup.memory_events is not None else None
    parts: tuple[int | None, ...] = (None,) * 5
    if held is not None:
        parts = (held.anon, held.file_clean, held.file_dirty, held.shmem, held.kernel)
    return (
        *parts,
        cgroup.memory_swap_current,
        cgroup.memory_swap_max,
        cgroup.memory_current,
        limit,
        headroom,
        pressure,
        kills,
    )
