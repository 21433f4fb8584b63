"""Memory QoS (KEP-2570): `memory.min`, `memory.low` and `memory.high` from requests and limits.

Each function returns the keys a kubelet puts into the cgroup's unified map; a key that is absent is
left as it is. 0 is written as 0. What changed over the versions:

===========  ===========================  ================================================
version      memory.high                  memory.min / memory.low
===========  ===========================  ================================================
1.22 - 1.26  factor of the limit          min = request, everywhere
1.27 - 1.35  request + factor of the gap  min = request, everywhere
1.36         the same                     with TieredReservation Guaranteed min, others low
1.37         also when both are 0, and    the same; 0 written at start when not tiered
             at pod level
===========  ===========================  ================================================

What 1.37 does with pod-level resources is inferred from its unit test and its release notes: the pod's
`memory.high` by the container formula, from the pod's request and limit; a container without a limit
measured against the pod's.

Source: pkg/kubelet/kuberuntime/kuberuntime_container_linux.go (`generateLinuxContainerResources`),
pkg/kubelet/cm/helpers_linux.go (`ResourceConfigForPod`, 1.37 `ApplyPodLevelMemoryHigh`),
pkg/kubelet/cm/qos_container_manager_linux.go (`setMemoryQoS`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.qos import pod_qos
from memqos.kubelet.resources import (
    container_memory_limit,
    limits_declared,
    pod_level_resources_set,
    pod_memory_limit,
    pod_memory_request,
)
from memqos.model.pods import Container, Pod
from memqos.units import UNLIMITED


def memory_high_1_22(request: int, limit: int, allocatable: int, factor: float) -> int:
    """Bytes of `memory.high` up to 1.26; 0 when it is not written."""
    high = int(float(limit or allocatable) * factor)
    return high if high > request else 0


def memory_high(
    request: int, limit: int, allocatable: int, factor: float, page_size: int = 4096, minor: int = 36
) -> int:
    """Bytes of `memory.high` from 1.27 on; 0 when it is not written.

    `limit` 0 is none: the node's allocatable memory stands in. Up to 1.36 a container with request
    and limit equal has none, 0 and 0 included (k/k#137685, mended in 1.37). Float64 throughout, in
    the kubelet's order of operations.
    """
    if request == limit and not (minor >= 37 and request == 0):
        return 0
    top = limit or allocatable
    if top <= 0:
        return 0
    wanted = math.floor(float(request) + (float(top) - float(request)) * factor)
    high = int(float(wanted) / float(page_size)) * page_size
    return high if high > request else 0


def container_memory_qos(
    pod: Pod, container: Container, config: KubeletConfig, allocatable: int, page_size: int = 4096
) -> dict[str, int]:
    """Return the container's keys. `allocatable`: bytes enforcement leaves for pods."""
    if not config.memory_qos_on:
        # k/k#139377: switching the gate off heals a throttled container when it is made anew
        return {"memory.high": UNLIMITED} if config.minor >= 37 else {}
    request = container.resources.memory_request
    keys = _protection(request, pod, config)
    if config.minor >= 36 and not keys:
        keys = {"memory.min": 0, "memory.low": 0}
    if config.throttling_factor is not None:
        # up to 1.36 a shadowed variable kept the pod-level limit from standing in here
        pod_level = config.pod_level_resources and config.minor >= 37
        limit = container_memory_limit(pod, container, pod_level=pod_level)
        high = memory_high(request, limit, allocatable, config.throttling_factor, page_size, config.minor)
        if high:
            keys["memory.high"] = high
    return keys


def pod_memory_qos(pod: Pod, config: KubeletConfig, page_size: int = 4096) -> dict[str, int]:
    """Return the pod's keys. They are written when the pod's cgroup is made, and not again."""
    if not config.memory_qos_on:
        return {}
    pod_level = config.pod_level_resources
    request = pod_memory_request(pod, pod_level=pod_level)
    keys = _protection(request, pod, config)
    if (
        config.minor >= 37
        and config.throttling_factor is not None
        and pod_level
        and pod_level_resources_set(pod)
        and limits_declared(pod, "memory")
    ):
        limit = pod_memory_limit(pod)
        high = memory_high(request, limit, 0, config.throttling_factor, page_size, config.minor)
        if high:
            keys["memory.high"] = high
    return keys


def qos_memory_qos(pods: Iterable[Pod], config: KubeletConfig) -> tuple[dict[str, int], dict[str, int]]:
    """Return the keys of kubepods and of the Burstable class, for these active pods.

    Up to 1.36 nothing undoes them once the gate is off; 1.37 writes zeros at start (k/k#138903).
    """
    if config.memory_qos_on and (config.tiered or config.minor < 36):
        guaranteed, burstable = protected_requests(pods, config)
        if config.minor >= 36:
            return {"memory.min": guaranteed + burstable}, {"memory.low": burstable}
        whole = {"memory.min": guaranteed + burstable} if guaranteed + burstable else {}
        return whole, {"memory.min": burstable} if burstable else {}
    if config.minor >= 37:
        return {"memory.min": 0, "memory.low": 0}, {"memory.low": 0}
    return ({"memory.min": 0}, {"memory.low": 0}) if config.memory_qos_on else ({}, {})


def protected_requests(pods: Iterable[Pod], config: KubeletConfig) -> tuple[int, int]:
    """Bytes requested by Guaranteed and by Burstable pods."""
    sums = {"Guaranteed": 0, "Burstable": 0, "BestEffort": 0}
    for pod in pods:
        qos = pod_qos(pod, pod_level=config.pod_level_resources)
        sums[qos] += pod_memory_request(pod, pod_level=config.pod_level_resources)
    return sums["Guaranteed"], sums["Burstable"]


def _protection(request: int, pod: Pod, config: KubeletConfig) -> dict[str, int]:
    """Return the one key that protects a request; none when nothing does.

    The pod's class decides, also for its containers: a container with request = limit in a
    Burstable pod gets `memory.low`.
    """
    if request <= 0:
        return {}
    if config.minor < 36:
        return {"memory.min": request}
    if not config.tiered:
        return {}
    guaranteed = pod_qos(pod, pod_level=config.pod_level_resources) == "Guaranteed"
    return {"memory.min" if guaranteed else "memory.low": request}
