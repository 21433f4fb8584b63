"""What a pod requests and may use in all: init containers, sidecars, overhead, pod-level resources.

Init containers run one after another, before the containers; a sidecar (KEP-753) stays. So::

    total = Σ containers + Σ sidecars
    each init container = its own + the sidecars started before it
    result = max(total, each init container)

Source: staging/src/k8s.io/component-helpers/resource/helpers.go (`AggregateContainerRequests`,
`PodRequests`, `PodLimits`), pkg/api/v1/resource/helpers.go (`GetResourceRequestQuantity`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from memqos.model.pods import Container, Pod
from memqos.units import ZERO, Quantity


def is_supported_pod_level(resource: str) -> bool:
    """True for the resources that `spec.resources` may name (`IsSupportedPodLevelResource`)."""
    return resource in ("cpu", "memory") or resource.startswith("hugepages-")


def pod_level_resources_set(pod: Pod) -> bool:
    """True when `spec.resources` names a supported resource (`IsPodLevelResourcesSet`)."""
    return pod_level_requests_set(pod) or (
        pod.resources is not None and any(map(is_supported_pod_level, pod.resources.limits))
    )


def pod_level_requests_set(pod: Pod) -> bool:
    """True when `spec.resources.requests` names a supported resource (`IsPodLevelRequestsSet`)."""
    return pod.resources is not None and any(map(is_supported_pod_level, pod.resources.requests))


def aggregate_requests(pod: Pod) -> dict[str, Quantity]:
    """Sum the containers' requests by the init rule, without overhead and pod-level resources."""
    return _aggregate(pod, lambda container: container.resources.requests)


def pod_requests(pod: Pod, *, pod_level: bool = True) -> dict[str, Quantity]:
    """Return the pod's requests by resource, overhead included (`PodRequests`).

    `pod_level` is the gate PodLevelResources: what `spec.resources.requests` names replaces the sum.
    """
    requests = aggregate_requests(pod)
    if pod_level and pod.resources is not None:
        requests |= _supported(pod.resources.requests)
    return _add(requests, pod.overhead)


def pod_limits(pod: Pod, *, pod_level: bool = True) -> dict[str, Quantity]:
    """Return the pod's limits by resource; overhead is added to non-zero limits only (`PodLimits`)."""
    limits = _aggregate(pod, lambda container: container.resources.limits)
    if pod_level and pod.resources is not None:
        limits |= _supported(pod.resources.limits)
    return _add(limits, {name: extra for name, extra in pod.overhead.items() if limits.get(name)})


def pod_memory_request(pod: Pod, *, pod_level: bool = True) -> int:
    """Bytes of memory the pod requests in all; 0 when none."""
    return pod_requests(pod, pod_level=pod_level).get("memory", ZERO).value


def pod_memory_limit(pod: Pod, *, pod_level: bool = True) -> int:
    """Bytes of memory the pod is limited to in all; 0 when none. See `limits_declared`."""
    return pod_limits(pod, pod_level=pod_level).get("memory", ZERO).value


def limits_declared(pod: Pod, resource: str, *, pod_level: bool = True) -> bool:
    """True when the pod's limit of a resource, `memory` or `cpu`, bounds all of it.

    Every container must have one, and every init container together with the sidecars before it; or
    the pod itself has one (pkg/kubelet/cm/helpers_linux.go `ResourceConfigForPod`).
    """
    if pod_level and pod.resources is not None and pod.resources.limits.get(resource):
        return True
    return all(
        limits.get(resource)
        for limits in (
            *(container.resources.limits for container in pod.containers),
            *_init_steps(pod, lambda container: container.resources.limits),
        )
    )


def container_memory_limit(pod: Pod, container: Container, *, pod_level: bool = True) -> int:
    """Bytes of the container's memory limit, or the pod-level one where it has none; 0 when neither.

    Source: pkg/kubelet/kuberuntime/kuberuntime_container_linux.go (`getMemoryLimit`).
    """
    own = container.resources.memory_limit
    if own or not pod_level or pod.resources is None:
        return own
    return pod.resources.memory_limit


def eviction_memory_request(pod: Pod, *, pod_level: bool = True) -> Quantity:
    """Return the memory request that eviction ranks by (`GetResourceRequestQuantity`).

    Once any pod-level resource is set the containers' requests do not count: a pod with only
    pod-level cpu requests no memory here. Overhead counts only on top of a request.
    """
    if pod_level and pod_level_resources_set(pod):
        assert pod.resources is not None
        request = pod.resources.requests.get("memory", ZERO)
    else:
        request = aggregate_requests(pod).get("memory", ZERO)
    return request + pod.overhead.get("memory", ZERO) if request else request


_Part = Callable[[Container], Mapping[str, Quantity]]


def _init_steps(pod: Pod, part: _Part) -> Iterator[dict[str, Quantity]]:
    """Yield what is held while each init container runs: its own and the sidecars so far."""
    sidecars: dict[str, Quantity] = {}
    for container in pod.init_containers:
        held = _add(sidecars, part(container))
        if container.is_sidecar:
            sidecars = held
        yield held


def _aggregate(pod: Pod, part: _Part) -> dict[str, Quantity]:
    total: dict[str, Quantity] = {}
    sidecars = [container for container in pod.init_containers if container.is_sidecar]
    for container in (*pod.containers, *sidecars):
        total = _add(total, part(container))
    for held in _init_steps(pod, part):
        for name, quantity in held.items():
            total[name] = max(total.get(name, quantity), quantity)
    return total


def _add(left: Mapping[str, Quantity], right: Mapping[str, Quantity]) -> dict[str, Quantity]:
    return dict(left) | {name: left.get(name, ZERO) + quantity for name, quantity in right.items()}


def _supported(resources: Mapping[str, Quantity]) -> dict[str, Quantity]:
    return {name: quantity for name, quantity in resources.items() if is_supported_pod_level(name)}
