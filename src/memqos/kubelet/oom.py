"""Out of memory: whom the kernel kills first, and how much of it.

`oom_score_adj` is set when a container's process starts and stays, also through an in-place resize.
The kernel adds adj/1000 of the node's memory to a process' size: a Burstable container that stays
within its request scores below any BestEffort one.

Source: pkg/kubelet/qos/policy.go (`GetContainerOOMScoreAdjust`),
pkg/kubelet/kuberuntime/kuberuntime_container_linux.go (`memory.oom.group`).
"""

from __future__ import annotations

from typing import Final

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.critical import is_node_critical_pod
from memqos.kubelet.qos import pod_qos
from memqos.kubelet.resources import aggregate_requests, pod_level_requests_set
from memqos.model.pods import Container, Pod
from memqos.units import ZERO

GUARANTEED_ADJ: Final = -997
BEST_EFFORT_ADJ: Final = 1000


def oom_score_adj(pod: Pod, container: Container, memory: int, *, pod_level: bool = True) -> int:
    """Return the container's `oom_score_adj` on a node with `memory` bytes of MemTotal (above 0).

    Burstable: 1000 − 1000 * request / MemTotal, at least 3 and never 1000. What a pod-level request exceeds
    the containers' is shared among them; a sidecar never scores above the smallest container. Of a pod-level
    request below the containers' sum, which the API server refuses, the kubelet makes more than 1000.
    """
    if is_node_critical_pod(pod):
        return GUARANTEED_ADJ
    match pod_qos(pod, pod_level=pod_level):
        case "Guaranteed":
            return GUARANTEED_ADJ
        case "BestEffort":
            return BEST_EFFORT_ADJ
    share = _pod_level_share(pod) if pod_level else 0
    adj = 1000 - _div(1000 * (container.resources.memory_request + share), memory)
    if any(init.name == container.name and init.is_sidecar for init in pod.init_containers):
        smallest = min((each.resources.memory_request for each in pod.containers), default=0)
        adj = min(adj, 1000 - _div(1000 * (smallest + share), memory))
    return max(1000 + GUARANTEED_ADJ, BEST_EFFORT_ADJ - 1 if adj == BEST_EFFORT_ADJ else adj)


def oom_group(config: KubeletConfig) -> bool:
    """Whether a container's `memory.oom.group` is set: an OOM kill takes all of the container."""
    return not config.single_process_oom_kill


def _pod_level_share(pod: Pod) -> int:
    """Bytes per container of what the pod-level memory request exceeds the containers' by."""
    if not pod_level_requests_set(pod) or pod.resources is None or pod.resources.memory_request <= 0:
        return 0
    spare = pod.resources.memory_request - aggregate_requests(pod).get("memory", ZERO).value
    return _div(spare, len(pod.all_containers))


def _div(number: int, divisor: int) -> int:
    """Divide as Go does: towards zero."""
    quotient = abs(number) // divisor
    return quotient if number >= 0 else -quotient
