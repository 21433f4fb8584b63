"""Node allocatable: what is left for pods.

Two different sums (pkg/kubelet/cm/node_container_manager_linux.go): *enforcement*, kubepods'
`memory.max`, is capacity − kubeReserved − systemReserved; *scheduling*, what the node's status says,
also leaves the hard eviction threshold out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.thresholds import MEMORY_AVAILABLE, Threshold, parse_thresholds
from memqos.units import ZERO, Quantity


@dataclass(frozen=True, slots=True)
class NodeCapacity:
    """What the node has: `memory` is MemTotal and `swap` SwapTotal, in bytes.

    `swap_controller`: memory.swap.max exists (the kubelet looks at its own cgroup, once).
    `cgroup_version` 1 matters only to the rules that ask for 2. `cpus` are its processors; where they are
    not known (0), the kubelet's writes about them are left out.
    """

    memory: int
    swap: int = 0
    page_size: int = 4096
    swap_controller: bool = True
    cgroup_version: Literal[1, 2] = 2
    cpus: int = 0


def allocatable_absolute(capacity: Mapping[str, Quantity], config: KubeletConfig) -> dict[str, Quantity]:
    """Return what enforcement leaves of each resource, never below 0 (`GetNodeAllocatableAbsolute`)."""
    return {name: _minus(total, config.reserved(name)) for name, total in capacity.items()}


def reservation(
    capacity: Mapping[str, Quantity], config: KubeletConfig, thresholds: tuple[Threshold, ...]
) -> dict[str, Quantity]:
    """Return what scheduling sets aside, by resource, zeros left out (`GetNodeAllocatableReservation`)."""
    result = {name: config.reserved(name) for name in capacity}
    for threshold in thresholds:
        if threshold.hard and threshold.signal == MEMORY_AVAILABLE and "memory" in capacity:
            evicted = threshold.value.of(capacity["memory"].value)
            result["memory"] = config.reserved("memory") + evicted
    return {name: quantity for name, quantity in result.items() if quantity}


def enforced_memory(capacity: NodeCapacity, config: KubeletConfig) -> int:
    """Bytes that pods may use: kubepods' `memory.max`, and the top of unlimited containers' `memory.high`."""
    whole = {"memory": Quantity(Fraction(capacity.memory))}
    return allocatable_absolute(whole, config)["memory"].value


def schedulable_memory(capacity: NodeCapacity, config: KubeletConfig) -> int:
    """Bytes in `node.status.allocatable`, before huge pages are subtracted."""
    whole = Quantity(Fraction(capacity.memory))
    aside = reservation({"memory": whole}, config, parse_thresholds(config))
    return _minus(whole, aside.get("memory", ZERO)).value


def _minus(left: Quantity, right: Quantity) -> Quantity:
    return Quantity(max(Fraction(0), left.amount - right.amount))
