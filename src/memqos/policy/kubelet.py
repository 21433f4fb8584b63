"""What a kubelet would write: limits, Memory QoS, swap behaviour (`memqos.kubelet.knobs`).

For nodes without a kubelet, where memqos runs pods itself or plays a recorded or a simulated node.
Beside a running kubelet it is left off: what that kubelet wrote stands until another policy asks
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.knobs import writes
from memqos.model.plan import Plan
from memqos.model.view import View


def capacity_of(view: View) -> NodeCapacity:
    """Return the node's memory and swap as the kubelet takes them: MemTotal and SwapTotal."""
    meminfo = view.now.node.meminfo
    return NodeCapacity(
        memory=meminfo.get("MemTotal", 0),
        swap=meminfo.get("SwapTotal", 0),
        page_size=view.now.node.page_size,
        swap_controller="memory.swap" in view.now.features,
    )


@dataclass(frozen=True, slots=True)
class KubeletPolicy:
    """Hold every memory knob as a kubelet with this configuration would write it."""

    config: KubeletConfig = KubeletConfig()
    name: str = "kubelet"

    def initial(self) -> None:
        """Return nothing: a kubelet's rules look at pods only."""

    def decide(self, memory: None, view: View) -> tuple[None, Plan]:
        """Return the kubelet's writes to the cgroups that exist."""
        plan = writes(view.pods, capacity_of(view), self.config)
        seen = view.now.cgroups
        return None, Plan(
            tuple(
                structs.replace(write, policy=self.name, inode=seen[write.cgroup].inode)
                for write in plan
                if write.cgroup in seen
            )
        )
