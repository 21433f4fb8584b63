"""Swap (KEP-2400): who may swap, and how much.

With `LimitedSwap` a Burstable container gets swap in proportion to its memory request::

    memory.swap.max = request / MemTotal * SwapTotal

in float64, truncated. The code does not keep any swap back for the system, though the KEP's example
does. Nothing is written at pod, class or node level, and the pod-level `spec.resources` do not feed
the formula.

Source: pkg/kubelet/kuberuntime/kuberuntime_container_linux.go (`GetContainerSwapBehavior`,
`configureContainerSwapResources`, `calcSwapForBurstablePods`).
"""

from __future__ import annotations

from typing import Literal

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.critical import is_critical_pod
from memqos.kubelet.qos import pod_qos
from memqos.model.pods import Container, Pod


def container_swap_behavior(
    pod: Pod, container: Container, config: KubeletConfig, capacity: NodeCapacity
) -> Literal["NoSwap", "LimitedSwap"]:
    """Decide for one container (`GetContainerSwapBehavior`).

    NoSwap unless the node has LimitedSwap, cgroup v2 and the swap controller, the pod is Burstable
    and not critical, and the container's memory request differs from its limit.
    """
    request, limit = container.resources.memory_request, container.resources.memory_limit
    limited = (
        config.swap_behavior == "LimitedSwap"
        and capacity.swap_controller
        and capacity.cgroup_version == 2
        and not is_critical_pod(pod)
        and pod_qos(pod, pod_level=config.pod_level_resources) == "Burstable"
        and request != limit
    )
    return "LimitedSwap" if limited else "NoSwap"


def limited_swap(request: int, memory: int, swap: int) -> int:
    """Bytes of swap for a memory request on a node with this MemTotal and SwapTotal.

    0 where the kubelet reports an error and gives none: no memory known, or a request beyond it.
    """
    if memory <= 0 or request > memory:
        return 0
    return int(float(request) / float(memory) * float(swap))


def memory_swap_max(pod: Pod, container: Container, config: KubeletConfig, capacity: NodeCapacity) -> int:
    """Bytes of the container's `memory.swap.max`.

    Nothing is written at all where `capacity.swap_controller` is false; ask that first.
    """
    if container_swap_behavior(pod, container, config, capacity) == "NoSwap":
        return 0
    return limited_swap(container.resources.memory_request, capacity.memory, capacity.swap)
