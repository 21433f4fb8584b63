"""QoS classes: Guaranteed, Burstable, BestEffort.

Only cpu and memory count, and only amounts above 0. The API server stores the class at creation
and it never changes, so `status.qosClass` wins where it is known.

Source: pkg/apis/core/v1/helper/qos/qos.go (`GetPodQOS`, `ComputePodQOS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from memqos.model.pods import Pod
from memqos.units import ZERO, Quantity

QosClass: TypeAlias = Literal["Guaranteed", "Burstable", "BestEffort"]
QOS_CLASSES: Final[tuple[QosClass, ...]] = get_args(QosClass)

_RESOURCES: Final = ("cpu", "memory")


def pod_qos(pod: Pod, *, pod_level: bool = True) -> QosClass:
    """Return the class the API server stored, or else the computed one (`GetPodQOS`)."""
    for name in QOS_CLASSES:
        if pod.status_qos_class == name:
            return name
    return compute_pod_qos(pod, pod_level=pod_level)


def compute_pod_qos(pod: Pod, *, pod_level: bool = True) -> QosClass:
    """Return the class that the spec gives (`ComputePodQOS`).

    `pod_level` is the gate PodLevelResources: with it `spec.resources`, even an empty one, hides
    what the containers say.
    """
    if pod_level and pod.resources is not None:
        parts = [pod.resources]
        limited = not pod.resources.limits or _has_both(pod.resources.limits)
    else:
        parts = [container.resources for container in pod.all_containers]
        limited = all(_has_both(part.limits) for part in parts)
    requests = _sum([part.requests for part in parts])
    limits = _sum([part.limits for part in parts])
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if limited and requests == limits else "Burstable"


def _has_both(limits: Mapping[str, Quantity]) -> bool:
    return all(limits.get(name, ZERO) > ZERO for name in _RESOURCES)


def _sum(lists: list[Mapping[str, Quantity]]) -> dict[str, Quantity]:
    total: dict[str, Quantity] = {}
    for resources in lists:
        for name in _RESOURCES:
            if (quantity := resources.get(name, ZERO)) > ZERO:
                total[name] = total.get(name, ZERO) + quantity
    return total
