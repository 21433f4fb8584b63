"""Critical pods: who is never evicted, never swaps, and may outrank the rest.

Source: pkg/kubelet/types/pod_update.go (`IsCriticalPod`, `IsNodeCriticalPod`, `IsStaticPod`,
`IsMirrorPod`), pkg/apis/scheduling/types.go (the priorities).
"""

from __future__ import annotations

from typing import Final

from memqos.model.pods import Pod

CONFIG_SOURCE: Final = "kubernetes.io/config.source"
CONFIG_MIRROR: Final = "kubernetes.io/config.mirror"
CONFIG_HASH: Final = "kubernetes.io/config.hash"

SYSTEM_CRITICAL_PRIORITY: Final = 2_000_000_000
"""From this priority on a pod is critical; `system-node-critical` is 2000001000."""

SYSTEM_NODE_CRITICAL: Final = "system-node-critical"


def is_static_pod(pod: Pod) -> bool:
    """True when the pod came from a file or URL, not from the API server."""
    return pod.annotations.get(CONFIG_SOURCE, "api") != "api"


def is_mirror_pod(pod: Pod) -> bool:
    """True for the API server's image of a static pod."""
    return CONFIG_MIRROR in pod.annotations


def is_critical_pod(pod: Pod) -> bool:
    """True for static and mirror pods and from priority 2,000,000,000 on."""
    return (
        is_static_pod(pod)
        or is_mirror_pod(pod)
        or (pod.priority is not None and pod.priority >= SYSTEM_CRITICAL_PRIORITY)
    )


def is_node_critical_pod(pod: Pod) -> bool:
    """True for a critical pod of the class `system-node-critical`."""
    return is_critical_pod(pod) and pod.priority_class_name == SYSTEM_NODE_CRITICAL
