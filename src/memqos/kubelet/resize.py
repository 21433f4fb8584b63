"""In-place resize (KEP-1287), as far as memory goes: when swap stands in its way.

Source: pkg/kubelet/allocation/handlers.go (`disallowResizeForSwappableContainers`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.swap import container_swap_behavior
from memqos.model.pods import Pod
from memqos.units import ZERO

SWAP_MESSAGE: Final = "In-place resize of containers with swap is not supported."


def infeasible(
    desired: Pod,
    allocated: Pod,
    config: KubeletConfig,
    capacity: NodeCapacity,
    restarts: Collection[str] = (),
) -> str:
    """Return why the kubelet calls a resize Infeasible on account of swap; "" when it does not.

    A changed memory request would change the swap limit, which the kubelet does not do in place.
    `restarts` names the containers whose `resizePolicy` for memory is RestartContainer.
    """
    before = {container.name: container for container in allocated.all_containers}
    for wanted in desired.all_containers:
        had = before.get(wanted.name)
        if had is None or wanted.name in restarts:
            continue
        if wanted.resources.requests.get("memory", ZERO) == had.resources.requests.get("memory", ZERO):
            continue
        behaviors = {
            container_swap_behavior(desired, wanted, config, capacity),
            container_swap_behavior(allocated, had, config, capacity),
        }
        if "LimitedSwap" in behaviors:
            return SWAP_MESSAGE
    return ""
