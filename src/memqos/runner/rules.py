"""What the kubelet says about the pods that the runner runs: the seam to `memqos.kubelet`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.cgroups import kubepods_path, pod_path, qos_path
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.cpu import cpu_writes
from memqos.kubelet.knobs import writes
from memqos.kubelet.oom import oom_score_adj
from memqos.model.plan import Write
from memqos.model.pods import Container, PlacedPod, Pod


class Rules(Protocol):
    """What a kubelet says about pods: where they live and what is written there."""

    @property
    def shared(self) -> tuple[str, ...]:
        """The paths of kubepods and of the QoS classes below it, kubepods first."""

    def pod_cgroup(self, pod: Pod) -> str:
        """Return the path of a pod's cgroup."""

    def writes(self, pods: Sequence[PlacedPod]) -> Iterable[Write]:
        """Return every knob of the shared cgroups, of these pods, and of their containers."""

    def oom_score_adj(self, pod: Pod, container: Container) -> int:
        """Return what a container's processes get."""


class KubeletRules:
    """The rules of a kubelet with this configuration on a node of this capacity.

    The driver is cgroupfs whatever the configuration says: there is no systemd to own slices here.
    """

    def __init__(self, config: KubeletConfig, capacity: NodeCapacity) -> None:
        self.config = replace(config, cgroup_driver="cgroupfs")
        self.capacity = capacity

    @property
    def shared(self) -> tuple[str, ...]:
        """The paths of kubepods and of the QoS classes below it, kubepods first."""
        classes = (qos_path("Burstable", self.config), qos_path("BestEffort", self.config))
        return (kubepods_path(self.config), *classes)

    def pod_cgroup(self, pod: Pod) -> str:
        """Return the path of a pod's cgroup."""
        return pod_path(pod, self.config)

    def writes(self, pods: Sequence[PlacedPod]) -> Iterable[Write]:
        """Return every knob of the shared cgroups, of these pods, and of their containers."""
        return (*writes(pods, self.capacity, self.config), *cpu_writes(pods, self.capacity, self.config))

    def oom_score_adj(self, pod: Pod, container: Container) -> int:
        """Return what a container's processes get, as far as the kernel takes it (OOM_SCORE_ADJ_MAX)."""
        pod_level = self.config.pod_level_resources
        return min(1000, oom_score_adj(pod, container, self.capacity.memory, pod_level=pod_level))
