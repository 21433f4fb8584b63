"""A node as it would be with some pods on it: for a plan about pods that do not run yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.cgroups import kubepods_path, pod_path, qos_path
from memqos.kubelet.config import KubeletConfig
from memqos.model.pods import PlacedPod, Pod
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot, Swap
from memqos.units import UNLIMITED

_INODE = 0
"""Not born yet: no write of such a plan can reach a cgroup."""


def empty_node(capacity: NodeCapacity) -> Snapshot:
    """Return a node of this capacity without any pods."""
    meminfo = {"MemTotal": capacity.memory, "SwapTotal": capacity.swap, "SwapFree": capacity.swap}
    swaps = (Swap("swap", "partition", capacity.swap, 0, -2),) if capacity.swap else ()
    node = NodeFacts(
        meminfo=Counters.of(meminfo), vmstat=Counters.of({}), swaps=swaps, page_size=capacity.page_size
    )
    features = frozenset({"memory.swap", "memory_recursiveprot"} | ({"swap"} if swaps else set()))
    return Snapshot(
        time_us=0, boot_id="", node=node, cgroups={"": Cgroup(path="", inode=1)}, features=features
    )


def with_pods(
    snapshot: Snapshot, pods: Sequence[Pod], config: KubeletConfig
) -> tuple[Snapshot, tuple[PlacedPod, ...]]:
    """Return the node with the pods' cgroups as the kernel would make them, and where the pods are.

    A container's cgroup is named after the container, as the pod runner does.
    """
    placed = tuple(_place(pod, config) for pod in pods)
    paths = [kubepods_path(config), qos_path("Burstable", config), qos_path("BestEffort", config)]
    for each in placed:
        paths += [each.cgroup or "", *each.containers.values()]
    cgroups = dict(snapshot.cgroups)
    for path in _with_ancestors(paths):
        cgroups.setdefault(path, _newborn(path))
    return msgspec.structs.replace(snapshot, cgroups=cgroups), placed


def _place(pod: Pod, config: KubeletConfig) -> PlacedPod:
    cgroup = pod_path(pod, config)
    return PlacedPod(pod, cgroup, {each.name: f"{cgroup}/{each.name}" for each in pod.all_containers})


def _with_ancestors(paths: Iterable[str]) -> list[str]:
    found = dict.fromkeys(
        ancestor for path in paths for ancestor in accumulate(path.split("/"), "{}/{}".format)
    )
    return sorted(found)


def _newborn(path: str) -> Cgroup:
    return Cgroup(
        path=path,
        inode=_INODE,
        memory_current=0,
        memory_min=0,
        memory_low=0,
        memory_high=UNLIMITED,
        memory_max=UNLIMITED,
        memory_oom_group=False,
        memory_swap_current=0,
        memory_swap_high=UNLIMITED,
        memory_swap_max=UNLIMITED,
    )
