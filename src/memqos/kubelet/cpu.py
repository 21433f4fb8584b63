"""Processor time: what a kubelet writes to `cpu.weight` and `cpu.max` for requests and limits.

========  =======================================================================================
kubepods  weight of node allocatable
classes   Burstable: weight of what its pods request in all; BestEffort: 1
pod       weight of its request; where its limits bound all of it, `cpu.max`
container weight of its request, or of its limit where it names no request; `cpu.max` of its limit
reserved  weight of the daemons' reservation, where `enforceNodeAllocatable` names it
========  =======================================================================================

A request of one core is 1,024 shares, in cgroup v1's own measure; cgroup v2 has weights from 1 to 10,000.
The kubelet and the container runtime convert one into the other by two different formulas, so a container's
weight compares with its siblings' and a pod's with other pods', never one with the other. A kubelet 1.36.2
with runc 1.3.6 does so (tests/golden/kubernetes-1.36).

Source: pkg/kubelet/cm/helpers_linux.go (`MilliCPUToShares`, `MilliCPUToQuota`, `ResourceConfigForPod`),
qos_container_manager_linux.go (`setCPUCgroupConfig`), node_container_manager_linux.go (`getCgroupConfig`,
`enforceExistingCgroup`),
pkg/kubelet/kuberuntime/kuberuntime_container_linux.go (`calculateLinuxResources`, `getCPULimit`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from memqos.kubelet.allocatable import NodeCapacity, allocatable_absolute
from memqos.kubelet.cgroups import kubepods_path, qos_path
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.knobs import POLICY, enforced_reservations, is_active
from memqos.kubelet.qos import pod_qos
from memqos.kubelet.resources import limits_declared, pod_limits, pod_requests
from memqos.model.plan import Bandwidth, Write
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.units import UNLIMITED, ZERO, Quantity

_SHARES_PER_CORE: Final = 1024
_LEAST_SHARES: Final = 2
_MOST_SHARES: Final = 262_144
_LEAST_QUOTA_US: Final = 1000


class Cpu(NamedTuple):
    """What one cgroup gets: shares as cgroup v1 counts them, and microseconds of each period.

    `quota` is `None` where no limit is written, `UNLIMITED` where limits are not enforced.
    """

    shares: int
    quota: int | None


def shares(millicores: int) -> int:
    """Return cgroup v1's cpu.shares for a request (`MilliCPUToShares`)."""
    return min(_MOST_SHARES, max(_LEAST_SHARES, millicores * _SHARES_PER_CORE // 1000))


def quota(millicores: int, period: int) -> int | None:
    """Microseconds of processor in each `period` for a limit; `None` for 0 (`MilliCPUToQuota`)."""
    return max(_LEAST_QUOTA_US, millicores * period // 1000) if millicores else None


def pod_cpu(pod: Pod, config: KubeletConfig) -> Cpu:
    """Return what a pod's cgroup gets (`ResourceConfigForPod`)."""
    pod_level = config.pod_level_resources
    qos = pod_qos(pod, pod_level=pod_level)
    if qos == "BestEffort":
        return Cpu(_LEAST_SHARES, None)
    request = pod_requests(pod, pod_level=pod_level).get("cpu", ZERO).milli_value
    if qos == "Burstable" and not limits_declared(pod, "cpu", pod_level=pod_level):
        return Cpu(shares(request), None)
    limit = pod_limits(pod, pod_level=pod_level).get("cpu", ZERO).milli_value
    return Cpu(shares(request), _enforced(limit, config))


def container_cpu(pod: Pod, container: Container, config: KubeletConfig) -> Cpu:
    """Return what a container's cgroup gets (`calculateLinuxResources`).

    Its limit is the pod's where it has none (`getCPULimit`), and its request its limit.
    """
    limit = container.resources.limits.get("cpu", ZERO)
    if not limit and config.pod_level_resources and pod.resources is not None:
        limit = pod.resources.limits.get("cpu", ZERO)
    request = container.resources.requests.get("cpu", limit)
    return Cpu(shares(request.milli_value), _enforced(limit.milli_value, config))


def _enforced(millicores: int, config: KubeletConfig) -> int | None:
    return quota(millicores, config.cpu_cfs_quota_period) if config.cpu_cfs_quota else UNLIMITED


def kubelet_weight(of_shares: int) -> int:
    """Convert shares as the kubelet does for its own cgroups: a straight line (`CpuSharesToCpuWeight`)."""
    return 1 + (of_shares - 2) * 9999 // 262_142


def runtime_weight(of_shares: int) -> int:
    """Convert shares as runc (from 1.3.2 on) and crun (1.23) do for containers: one core is near 100.

    Source: opencontainers/cgroups, utils.go (`ConvertCPUSharesToCgroupV2Value`).
    """
    if of_shares <= _LEAST_SHARES:
        return 1
    if of_shares >= _MOST_SHARES:
        return 10_000
    log = math.log2(of_shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


def cpu_writes(pods: Sequence[PlacedPod], capacity: NodeCapacity, config: KubeletConfig) -> Iterator[Write]:
    """Yield what a kubelet would write about the processor, from the top of the tree downwards.

    Pods without a cgroup are counted for their class. Nothing where `capacity.cpus` is not known.
    """
    if not capacity.cpus:
        return
    active = [placed.pod for placed in pods if is_active(placed.pod)]
    yield from _shared_writes(active, capacity, config)
    for placed in pods:
        pod = placed.pod
        if placed.cgroup is not None:
            yield from _writes(placed.cgroup, pod_cpu(pod, config), kubelet_weight, "pod", config)
        for container in pod.all_containers:
            if container.name in placed.containers:
                path, own = placed.containers[container.name], container_cpu(pod, container, config)
                yield from _writes(path, own, runtime_weight, "container", config)


def reserved_cpu_writes(config: KubeletConfig) -> Iterator[Write]:
    """Yield the weights of the daemons' cgroups, where a reservation of the processor is enforced."""
    for key, cgroup, reserved in enforced_reservations(config):
        if "cpu" in reserved:
            cores = reserved["cpu"].milli_value
            why = f"processor: {key} {cores / 1000:g} CPU is enforced"
            yield Write(cgroup, "cpu.weight", kubelet_weight(shares(cores)), why, POLICY)


def _shared_writes(pods: Iterable[Pod], capacity: NodeCapacity, config: KubeletConfig) -> Iterator[Write]:
    whole = {"cpu": Quantity(Fraction(capacity.cpus))}
    if "pods" in config.enforce_node_allocatable:
        whole = allocatable_absolute(whole, config)
    requested = sum(
        pod_requests(pod, pod_level=config.pod_level_resources).get("cpu", ZERO).milli_value
        for pod in pods
        if pod_qos(pod, pod_level=config.pod_level_resources) == "Burstable"
    )
    for cgroup, millicores, why in (
        (kubepods_path(config), whole["cpu"].milli_value, "node allocatable"),
        (qos_path("Burstable", config), requested, "what Burstable pods request in all"),
        (qos_path("BestEffort", config), 0, "BestEffort pods request none"),
    ):
        yield Write(cgroup, "cpu.weight", kubelet_weight(shares(millicores)), f"processor: {why}", POLICY)


def _writes(
    cgroup: str, cpu: Cpu, weight: Callable[[int], int], whose: str, config: KubeletConfig
) -> Iterator[Write]:
    yield Write(cgroup, "cpu.weight", weight(cpu.shares), f"the {whose}'s request of processor", POLICY)
    if cpu.quota is not None and cpu.quota < UNLIMITED:
        value = Bandwidth(cpu.quota, config.cpu_cfs_quota_period)
        yield Write(cgroup, "cpu.max", value, f"the {whose}'s limit of processor", POLICY)
