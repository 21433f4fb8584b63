"""How much swap there is to grant, and what bounds it: the node's swap or the admin's settings."""

from __future__ import annotations

from dataclasses import dataclass

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.swap import limited_swap
from memqos.model.pods import Container
from memqos.model.view import View
from memqos.policy.choice import Choice, Chosen
from memqos.policy.settings import SwapSettings
from memqos.units import format_bytes, page_floor


@dataclass(frozen=True, slots=True)
class SwapRoom:
    """The swap of a node and the bounds of its admin, in bytes: `budget` for all pods, `per_pod` for one."""

    budget: int
    per_pod: int
    page_size: int
    capacity: NodeCapacity

    @property
    def bounds(self) -> str:
        """What bounds a pod's swap, in words: what it may have is the policy's, what there is the node's."""
        if not self.capacity.swap:
            return "the node has none"
        if self.per_pod < self.budget:
            return f"policy allows up to {format_bytes(self.per_pod)} per pod"
        return f"pods may have {format_bytes(self.budget)} of the node's {format_bytes(self.capacity.swap)}"

    @property
    def remedy(self) -> str:
        """What to do where nothing can be granted."""
        if not self.capacity.swap:
            return "turn on a swap device on the node"
        return "add swap, or lower swap.reserve and raise swap.budget"

    @classmethod
    def of(cls, view: View, settings: SwapSettings) -> SwapRoom:
        """What there is on the node as it is now, within the admin's bounds."""
        meminfo, page_size = view.now.node.meminfo, view.now.node.page_size
        memory, swap = meminfo.get("MemTotal", 0), meminfo.get("SwapTotal", 0)
        budget = max(0, swap - settings.reserve)
        if settings.budget is not None:
            budget = min(budget, settings.budget)
        budget = page_floor(budget, page_size)
        per_pod = budget if settings.maximum_per_pod is None else settings.maximum_per_pod
        per_pod = page_floor(min(per_pod, budget), page_size)
        return cls(budget, per_pod, page_size, NodeCapacity(memory=memory, swap=swap))

    def formula(self, container: Container) -> int:
        """A container's share by the kubelet's LimitedSwap rule."""
        return limited_swap(container.resources.memory_request, self.capacity.memory, self.capacity.swap)

    def bytes_of(self, chosen: Chosen, container: Container) -> int:
        """What was chosen for a container."""
        return self.formula(container) if chosen.limit == "limited" else chosen.limit

    def bytes_of_pod(self, choice: Choice) -> int:
        """What was chosen for a pod as a whole."""
        return choice.pod.limit if choice.pod and choice.pod.limit != "limited" else 0
