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
        return History(view.now.boot_id, (*kept, moment_of(view)))

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


def moment_of(view: View) -> Moment:
    """Return what is kept of one look: the node and the cgroups of its pods."""
    pods = {}
    for placed in view.pods:
        cgroup = view.now.cgroups.get(placed.cgroup) if placed.cgroup else None
        if cgroup is not None:
            pods[cgroup.path] = sample_of(cgroup)
    return Moment(view.now.time_us, _node_sample(view.now.node), pods)


def sample_of(cgroup: Cgroup) -> Sample:
    """Return the numbers of one cgroup that rates are made of."""
    refaults_file, refaults_anon, stolen = _STAT.of(cgroup.memory_stat)
    low_events, high_events, max_events = _EVENTS.of(cgroup.memory_events)
    memory_some, memory_full = _totals(cgroup.memory_pressure)
    io_some, _ = _totals(cgroup.io_pressure)
    return Sample(
        cgroup.inode,
        memory_some,
        memory_full,
        io_some,
        refaults_file,
        refaults_anon,
        stolen,
        cgroup.memory_current or 0,
        cgroup.memory_swap_current or 0,
        low_events,
        high_events,
        max_events,
        cgroup.io_stat or {},
    )


def _node_sample(node: NodeFacts) -> NodeSample:
    return NodeSample(
        node.meminfo.get("MemAvailable", 0),
        node.meminfo.get("SwapFree", 0) + swapping_out(node.meminfo),
        node.disks,
    )


def _totals(pressure: Pressure | None) -> tuple[int, int]:
    if pressure is None:
        return 0, 0
    return pressure.some.total, pressure.full.total if pressure.full else 0
