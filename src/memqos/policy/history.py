"""The last seconds: a few numbers per pod and look, so that rates are taken over a window.

The loop wakes when memory presses, so two looks may lie 200 ms or a second apart. A stall share
over 200 ms is noise; over a window it is a figure. `History` therefore keeps counters from a few
looks back, and `since` gives those that are at least a window old (`PodSignals.share_lately` counts what
came within it as a part of a whole window). It is a frozen value: a policy's memory can hold it.

Only counters and sizes are kept, never the kernel's averages: `avg10` is not the same on all kernels,
`total` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from memqos.model.snapshot import Cgroup, Disk, IoStat, NodeFacts, Pressure, Snapshot
from memqos.model.view import View
from memqos.policy.stat import Lines, swapping_out

WINDOW_US: Final = 1_000_000
"""Over how long rates are taken; the window of the kernel's own PSI triggers is as long at the default."""
LEAST_US: Final = 150_000
"""No rate is taken over less: a scheduler's slice or two would be all of it."""
_MOMENTS: Final = 12
_STAT: Final = Lines("workingset_refault_file", "workingset_refault_anon", "pgsteal")
_EVENTS: Final = Lines("low", "high", "max")


class Sample(NamedTuple):
    """One cgroup's counters: stall microseconds, pages, bytes; 0 where the kernel has none."""

    inode: int
    memory_some_us: int
    memory_full_us: int
    io_some_us: int
    refaults_file: int
    refaults_anon: int
    stolen: int
    memory: int
    swap: int
    low_events: int
    high_events: int
    max_events: int
    io: Mapping[str, IoStat]


_NEVER: Final = Sample(0, *(0,) * 11, io={})


class NodeSample(NamedTuple):
    """The node's own: bytes that can be had, and by device what it served."""

    available: int
    swap_free: int
    disks: Mapping[str, Disk] = {}


class Moment(NamedTuple):
    """What one look left: samples by cgroup path."""

    time_us: int
    node: NodeSample
    pods: Mapping[str, Sample]


@dataclass(frozen=True, slots=True)
class History:
    """The last moments of one boot, oldest first."""

    boot_id: str = ""
    moments: tuple[Moment, ...] = ()

    def after(self, view: View) -> History:
        """Return the history with this look added; another boot begins a new one.

        Looks close together are thinned, so that few are kept and the oldest is about a window old.
        """
        kept = self.moments if self.boot_id == view.now.boot_id else ()
        kept = tuple(moment for moment in kept if moment.time_us < view.now.time_us)
        if len(kept) >= 2 and kept[-1].time_us - kept[-2].time_us < WINDOW_US // _MOMENTS:
            kept = kept[:-1]
        begin = view.now.time_us - WINDOW_US
        while len(kept) >= 2 and kept[1].time_us <= begin:
            kept = kept[1:]
        last = self.moments[-1].pods if kept else {}
        return History(view.now.boot_id, (*kept, moment_of(view, last)))

    def is_after(self, now: Snapshot) -> bool:
        """Whether anything here was seen in another boot than `now`, or later."""
        return bool(self.moments) and (self.boot_id != now.boot_id or self.moments[-1].time_us > now.time_us)

    def since(self) -> Moment | None:
        """Return the moment that rates up to now are taken from; `None` while there is none."""
        if len(self.moments) < 2 or self.moments[-1].time_us - self.moments[0].time_us < LEAST_US:
            return None
        now = self.moments[-1].time_us
        old = [moment for moment in self.moments[:-1] if now - moment.time_us >= WINDOW_US]
        return old[-1] if old else self.moments[0]


def moment_of(view: View, last: Mapping[str, Sample] | None = None) -> Moment:
    """Return what is kept of one look, the node and the cgroups of its pods; `last` are those of the last."""
    pods = {}
    for placed in view.pods:
        cgroup = view.now.cgroups.get(placed.cgroup) if placed.cgroup else None
        if cgroup is not None:
            pods[cgroup.path] = sample_of(cgroup, last.get(cgroup.path) if last else None)
    return Moment(view.now.time_us, _node_sample(view.now.node), pods)


def sample_of(cgroup: Cgroup, last: Sample | None = None) -> Sample:
    """Return the numbers of one cgroup that rates are made of.

    A file that cannot be read at a look counts as it did at the last one, if that was the same cgroup: as
    nothing it would make all of its life's stalls and traffic those of the next second.
    """
    if last is None or last.inode != cgroup.inode:
        last = _NEVER
    stat, events, memory = cgroup.memory_stat, cgroup.memory_events, cgroup.memory_pressure
    refaults_file, refaults_anon, stolen = last[4:7] if stat is None else _STAT.of(stat)
    low_events, high_events, max_events = last[9:12] if events is None else _EVENTS.of(events)
    memory_some, memory_full = last[1:3] if memory is None else _totals(memory)
    io_some = last.io_some_us if cgroup.io_pressure is None else _totals(cgroup.io_pressure)[0]
    return Sample(
        cgroup.inode,
        memory_some,
        memory_full,
        io_some,
        refaults_file,
        refaults_anon,
        stolen,
        last.memory if cgroup.memory_current is None else cgroup.memory_current,
        last.swap if cgroup.memory_swap_current is None else cgroup.memory_swap_current,
        low_events,
        high_events,
        max_events,
        last.io if cgroup.io_stat is None else cgroup.io_stat,
    )


def _node_sample(node: NodeFacts) -> NodeSample:
    return NodeSample(
        node.meminfo.get("MemAvailable", 0),
        node.meminfo.get("SwapFree", 0) + swapping_out(node.meminfo),
        node.disks,
    )


def _totals(pressure: Pressure) -> tuple[int, int]:
    return pressure.some.total, pressure.full.total if pressure.full else 0
