"""What the eviction manager measures, from a snapshot of the node.

===========================  ==============================================================
working set of a cgroup      `memory.current` − `inactive_file`, not below 0
working set of the node      `anon` + `file` − `inactive_file` of the root's memory.stat
memory.available             MemTotal − working set of the node
allocatableMemory.available  kubepods' `memory.max` − its working set; absent without a limit
===========================  ==============================================================

So slab and page tables count against a pod and kubepods, but not against the node; active page
cache counts as used everywhere (k/k#43916); swap counts nowhere.

Source: google/cadvisor container/libcontainer/handler.go (`setMemoryStats`), opencontainers/cgroups
fs2/memory.go (`rootStatsFromMeminfo`), pkg/kubelet/stats/helper.go (`cadvisorInfoToCPUandMemoryStats`),
pkg/kubelet/eviction/helpers.go (`makeSignalObservations`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from memqos.kubelet.cgroups import kubepods_path
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.eviction import Observation
from memqos.kubelet.knobs import is_active
from memqos.kubelet.thresholds import ALLOCATABLE_MEMORY_AVAILABLE, MEMORY_AVAILABLE, SignalObservation
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Cgroup, Snapshot

_MAX_LIMIT: Final = 1 << 62
"""From here on cadvisor takes a limit for none."""


def working_set(usage: int, inactive_file: int) -> int:
    """Bytes in use that reclaim would not take first."""
    return max(0, usage - inactive_file)


def cgroup_working_set(cgroup: Cgroup) -> int | None:
    """Bytes of a cgroup's working set; `None` for the root and without the memory controller."""
    if cgroup.memory_current is None or cgroup.memory_stat is None:
        return None
    return working_set(cgroup.memory_current, cgroup.memory_stat.get("inactive_file", 0))


def node_working_set(snapshot: Snapshot) -> int | None:
    """Bytes of the node's working set; `None` when the root's memory.stat was not seen."""
    root = snapshot.cgroups.get("")
    if root is None or root.memory_stat is None:
        return None
    stat = root.memory_stat
    return working_set(stat.get("anon", 0) + stat.get("file", 0), stat.get("inactive_file", 0))


def observe(snapshot: Snapshot, pods: Iterable[PlacedPod], config: KubeletConfig) -> Observation:
    """Measure for one pass of the eviction manager, at the snapshot's time.

    A pod without a running container has no stats, whatever its cgroup holds: the kubelet reports of a pod
    through its containers (pkg/kubelet/stats, `ListPodStats`). What is available may be negative: the kubelet
    does not guard against a working set above the limit either; its unsigned difference comes out the same.
    """
    active = [placed for placed in pods if is_active(placed.pod)]
    sets = {placed.pod.uid: _of(snapshot.cgroups, placed) for placed in active}
    return Observation(
        _signals(snapshot, config),
        tuple(placed.pod for placed in active),
        {uid: size for uid, size in sets.items() if size is not None},
    )


def _of(cgroups: Mapping[str, Cgroup], placed: PlacedPod) -> int | None:
    cgroup = cgroups.get(placed.cgroup) if placed.cgroup is not None else None
    if cgroup is None or not any(_runs(cgroups.get(path)) for path in placed.containers.values()):
        return None
    return cgroup_working_set(cgroup)


def _runs(container: Cgroup | None) -> bool:
    if container is None:
        return False
    return container.cgroup_events is None or container.cgroup_events.get("populated", 1) != 0


def _signals(snapshot: Snapshot, config: KubeletConfig) -> dict[str, SignalObservation]:
    signals = {}
    used = node_working_set(snapshot)
    if used is not None and "MemTotal" in snapshot.node.meminfo:
        total = snapshot.node.meminfo["MemTotal"]
        signals[MEMORY_AVAILABLE] = SignalObservation(total - used, total, snapshot.time_us)
    kubepods = snapshot.cgroups.get(kubepods_path(config))
    if kubepods is not None and kubepods.memory_max is not None and kubepods.memory_max <= _MAX_LIMIT:
        used, limit = cgroup_working_set(kubepods), kubepods.memory_max
        if used is not None:
            signals[ALLOCATABLE_MEMORY_AVAILABLE] = SignalObservation(limit - used, limit, snapshot.time_us)
    return signals
