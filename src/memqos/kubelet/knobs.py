"""Every memory knob a kubelet would write for these pods, at every level, each with its rule.

=================  ====================================================================
kubepods           memory.max; memory.min (and from 1.37 memory.low = 0) by Memory QoS
Burstable class    memory.low (up to 1.35 memory.min) by Memory QoS
pod                memory.max when its limits bound it; memory.min or memory.low
container          memory.max, memory.min/low/high, memory.swap.max, memory.oom.group
reserved cgroups   memory.max and, with Memory QoS, memory.min, when enforced
=================  ====================================================================

A knob the kubelet leaves alone is not in the result: it keeps what it holds. The kubelet writes a
pod's knobs when it makes the cgroup, kubepods' and the class' every minute, and a container's when
it starts or is resized.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from memqos.kubelet.allocatable import NodeCapacity, enforced_memory
from memqos.kubelet.cgroups import daemons_path, kubepods_path, qos_path
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.memory_qos import container_memory_qos, pod_memory_qos, qos_memory_qos
from memqos.kubelet.oom import oom_group
from memqos.kubelet.qos import pod_qos
from memqos.kubelet.resources import container_memory_limit, limits_declared, pod_memory_limit
from memqos.kubelet.swap import container_swap_behavior, memory_swap_max
from memqos.model.plan import Value, Write
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.units import ZERO, Quantity, format_bytes

POLICY: Final = "kubelet"
COMPRESSIBLE: Final = "-compressible"


def writes(pods: Sequence[PlacedPod], capacity: NodeCapacity, config: KubeletConfig) -> tuple[Write, ...]:
    """Return what a kubelet would write, from the top of the tree downwards.

    Pods without a cgroup are counted for kubepods and their class, as the kubelet does.
    """
    active = [placed.pod for placed in pods if is_active(placed.pod)]
    return (
        *reserved_writes(config),
        *kubepods_writes(active, capacity, config),
        *(write for placed in pods for write in placed_writes(placed, capacity, config)),
    )


def is_active(pod: Pod) -> bool:
    """True until the pod has ended for good."""
    return pod.phase not in ("Succeeded", "Failed")


def reserved_writes(config: KubeletConfig) -> Iterator[Write]:
    """Yield the writes to the daemons' cgroups, where `enforceNodeAllocatable` names them.

    Source: pkg/kubelet/cm/node_container_manager_linux.go (`enforceExistingCgroup`).
    """
    for key, cgroup, reserved in enforced_reservations(config):
        size = reserved.get("memory", ZERO).value
        if size and not key.endswith(COMPRESSIBLE):
            keys = {"memory.max": size} | ({"memory.min": size} if config.memory_qos_on else {})
            yield from _all(cgroup, keys, f"{key} {format_bytes(size)} is enforced")


def enforced_reservations(config: KubeletConfig) -> Iterator[tuple[str, str, Mapping[str, Quantity]]]:
    """Yield what `enforceNodeAllocatable` names besides pods: its word, the daemons' cgroup, the reservation.

    A word that ends in `COMPRESSIBLE` is about the processor alone.
    """
    for key, name, reserved in (
        ("system-reserved", config.system_reserved_cgroup, config.system_reserved),
        ("kube-reserved", config.kube_reserved_cgroup, config.kube_reserved),
    ):
        cgroup = daemons_path(name, config)
        for word in (key, f"{key}{COMPRESSIBLE}"):
            if cgroup and word in config.enforce_node_allocatable:
                yield word, cgroup, reserved


def kubepods_writes(pods: Iterable[Pod], capacity: NodeCapacity, config: KubeletConfig) -> Iterator[Write]:
    """Yield the writes to kubepods and the Burstable class, for these active pods."""
    size, why = capacity.memory, "the node's memory; enforceNodeAllocatable leaves out pods"
    if "pods" in config.enforce_node_allocatable:
        size = enforced_memory(capacity, config)
        aside = format_bytes(config.reserved().value)
        why = f"node allocatable: {format_bytes(capacity.memory)} less {aside} reserved"
    if size:
        yield from _all(kubepods_path(config), {"memory.max": size}, why)
    whole, burstable = qos_memory_qos(pods, config)
    yield from _all(kubepods_path(config), whole, _sum_why(config, "Guaranteed and Burstable"))
    yield from _all(qos_path("Burstable", config), burstable, _sum_why(config, "Burstable"))


def placed_writes(placed: PlacedPod, capacity: NodeCapacity, config: KubeletConfig) -> Iterator[Write]:
    """Yield the writes to one pod's cgroup and to its containers', as far as they exist."""
    pod = placed.pod
    if placed.cgroup is not None:
        qos = pod_qos(pod, pod_level=config.pod_level_resources)
        if size := pod_memory_max(pod, config):
            why = f"the pod's memory limit is {format_bytes(size)}, overhead included"
            yield from _all(placed.cgroup, {"memory.max": size}, why)
        for knob, value in pod_memory_qos(pod, config, capacity.page_size).items():
            yield _write(placed.cgroup, knob, value, _memory_qos_why(knob, value, qos, config))
    for container in pod.all_containers:
        if container.name in placed.containers:
            path = placed.containers[container.name]
            yield from container_writes(pod, container, path, capacity, config)


def container_writes(
    pod: Pod, container: Container, path: str, capacity: NodeCapacity, config: KubeletConfig
) -> Iterator[Write]:
    """Yield the writes to one container's cgroup."""
    limit = container_memory_limit(pod, container, pod_level=config.pod_level_resources)
    if limit:
        whose = "the container's" if container.resources.memory_limit else "the pod's"
        yield _write(path, "memory.max", limit, f"{whose} memory limit is {format_bytes(limit)}")
    qos = pod_qos(pod, pod_level=config.pod_level_resources)
    allocatable = enforced_memory(capacity, config)
    keys = container_memory_qos(pod, container, config, allocatable, capacity.page_size)
    for knob, value in keys.items():
        yield _write(path, knob, value, _memory_qos_why(knob, value, qos, config))
    if capacity.swap_controller:
        swap = memory_swap_max(pod, container, config, capacity)
        yield _write(path, "memory.swap.max", swap, _swap_why(pod, container, capacity, config))
    if oom_group(config):
        yield _write(path, "memory.oom.group", True, "an OOM kill takes the whole container")


def pod_memory_max(pod: Pod, config: KubeletConfig) -> int:
    """Bytes of the pod's `memory.max`; 0 when it is not written (`ResourceConfigForPod`).

    BestEffort pods have none, Burstable ones only when every part of them has a limit.
    """
    pod_level = config.pod_level_resources
    match pod_qos(pod, pod_level=pod_level):
        case "BestEffort":
            return 0
        case "Burstable" if not limits_declared(pod, "memory", pod_level=pod_level):
            return 0
    return pod_memory_limit(pod, pod_level=pod_level)


def _write(cgroup: str, knob: str, value: Value, why: str) -> Write:
    return Write(cgroup, knob, value, why, POLICY)


def _all(cgroup: str, keys: Mapping[str, int], why: str) -> Iterator[Write]:
    for knob, value in keys.items():
        yield _write(cgroup, knob, value, why)


def _sum_why(config: KubeletConfig, whose: str) -> str:
    if config.tiered or (config.memory_qos_on and config.minor < 36):
        return f"the memory requests of all {whose} pods (KEP-2570)"
    return "no reservation policy protects requests"


def _memory_qos_why(knob: str, value: int, qos: str, config: KubeletConfig) -> str:
    if knob == "memory.high":
        if not config.memory_qos_on:
            return "Memory QoS is off: no throttling"
        return f"throttled at {config.throttling_factor} of the way from request to limit (KEP-2570)"
    if not value:
        return "no request, or no reservation policy: nothing is protected"
    if config.minor < 36:
        return f"the memory request of {format_bytes(value)} (KEP-2570)"
    return f"{qos} requests {format_bytes(value)}, protected by TieredReservation (KEP-2570)"


def _swap_why(pod: Pod, container: Container, capacity: NodeCapacity, config: KubeletConfig) -> str:
    if config.swap_behavior != "LimitedSwap":
        return "the node's swapBehavior is NoSwap"
    if container_swap_behavior(pod, container, config, capacity) == "NoSwap":
        return "LimitedSwap is for Burstable, not critical pods' containers with request other than limit"
    request = format_bytes(container.resources.memory_request)
    return f"LimitedSwap: {request} of {format_bytes(capacity.memory)}, of {format_bytes(capacity.swap)} swap"
