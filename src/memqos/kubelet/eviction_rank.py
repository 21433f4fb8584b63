"""Whom eviction takes first.

In this order: pods without stats; pods using more than they request; lower priority; more use above
the request. The QoS class plays no part of its own. The kubelet breaks ties by the order of a Go
map, that is at random; here the order given stands.

Source: pkg/kubelet/eviction/helpers.go (`rankMemoryPressure`, `exceedMemoryRequests`, `priority`,
`memory`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Final, TypeAlias

from memqos.kubelet.resources import eviction_memory_request
from memqos.model.pods import Pod

Comparator: TypeAlias = Callable[[Pod, int | None, bool], int | tuple[bool, Fraction]]
"""From a pod, its working set in bytes (`None`: no stats) and the gate PodLevelResources to a sort key."""


def exceed_memory_requests(pod: Pod, working_set: int | None, pod_level: bool) -> int:
    """Pods without stats, then those above their request (strictly), then the rest."""
    if working_set is None:
        return 0
    return 1 if working_set > eviction_memory_request(pod, pod_level=pod_level).amount else 2


def priority(pod: Pod, working_set: int | None, pod_level: bool) -> int:
    """Lower priority first; a pod without one has 0."""
    return pod.priority or 0


def memory(pod: Pod, working_set: int | None, pod_level: bool) -> tuple[bool, Fraction]:
    """Pods without stats, then by working set minus request, largest first."""
    if working_set is None:
        return (False, Fraction(0))
    return (True, eviction_memory_request(pod, pod_level=pod_level).amount - working_set)


MEMORY_PRESSURE: Final = (exceed_memory_requests, priority, memory)


def rank(
    pods: Iterable[Pod],
    working_set: Mapping[str, int],
    comparators: Iterable[Comparator] = MEMORY_PRESSURE,
    *,
    pod_level: bool = True,
) -> tuple[Pod, ...]:
    """Order pods for eviction, the first to go first. `working_set`: bytes by pod UID, as far as known."""
    keys = tuple(comparators)
    return tuple(
        sorted(pods, key=lambda pod: [key(pod, working_set.get(pod.uid), pod_level) for key in keys])
    )
