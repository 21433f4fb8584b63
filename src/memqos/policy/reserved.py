"""What a kubelet enforces on the node's daemons: `kube-reserved` and `system-reserved`, memory and processor.

For a node on which memqos runs the pods itself. It made none of these cgroups and takes none of them away, so
their values are the agent's: remembered before they are written, and brought back when it ends. A cgroup that
is not there is left out; a kubelet would not start.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.cpu import reserved_cpu_writes
from memqos.kubelet.knobs import reserved_writes
from memqos.model.plan import Plan
from memqos.model.view import View
from memqos.policy.compose import field_of


@dataclass(frozen=True, slots=True)
class ReservedPolicy:
    """Hold what this kubelet's `enforceNodeAllocatable` says of the daemons' cgroups."""

    config: KubeletConfig
    name: str = "reserved"

    def initial(self) -> None:
        """Return nothing: the rules look at the configuration alone."""

    def decide(self, memory: None, view: View) -> tuple[None, Plan]:
        """Return the writes to those of the cgroups that exist, and have the knob."""
        seen, writes = view.now.cgroups, []
        for write in (*reserved_writes(self.config), *reserved_cpu_writes(self.config)):
            cgroup, field = seen.get(write.cgroup), field_of(write.knob)
            if cgroup is not None and field is not None and getattr(cgroup, field) is not None:
                writes.append(structs.replace(write, policy=self.name, inode=cgroup.inode))
        return None, Plan(tuple(writes))
