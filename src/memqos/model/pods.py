"""Pods as the Kubernetes API describes them, reduced to what decides about memory.

Field names are the API's (`core/v1`), in snake case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from memqos.units import Quantity


@dataclass(frozen=True, slots=True)
class Resources:
    """`resources`: requests and limits by resource name (`memory`, `cpu`, `swap`, ...)."""

    requests: Mapping[str, Quantity] = field(default_factory=dict)
    limits: Mapping[str, Quantity] = field(default_factory=dict)

    @property
    def memory_request(self) -> int:
        """Bytes requested; 0 when there is none."""
        return self.requests["memory"].value if "memory" in self.requests else 0

    @property
    def memory_limit(self) -> int:
        """Bytes of the limit; 0 when there is none."""
        return self.limits["memory"].value if "memory" in self.limits else 0


@dataclass(frozen=True, slots=True)
class Container:
    """One container, init container or sidecar (an init container with `restart_policy` Always)."""

    name: str
    resources: Resources = Resources()
    restart_policy: str | None = None
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None

    @property
    def is_sidecar(self) -> bool:
        """True for a restartable init container (KEP-753)."""
        return self.restart_policy == "Always"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. `priority` is resolved; `None` means the pod has none (the kubelet takes 0).

    `status_qos_class` is the API server's word and wins over the computed class when not empty.
    `container_ids` maps a container's name to its runtime's id (64 hex digits), as far as known.
    `resources` is the pod-level `spec.resources`; `None` when the field is absent, which is not
    the same as empty. `ephemeral_containers` are names alone: such a container has no resources (KEP-277).
    """

    namespace: str
    name: str
    uid: str
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Resources | None = None
    overhead: Mapping[str, Quantity] = field(default_factory=dict)
    priority: int | None = None
    priority_class_name: str = ""
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    tolerations: tuple[Mapping[str, str], ...] = ()
    status_qos_class: str = ""
    phase: str = ""
    container_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`namespace/name`, as people write it."""
        return f"{self.namespace}/{self.name}"

    @property
    def all_containers(self) -> tuple[Container, ...]:
        """Init containers, then containers."""
        return self.init_containers + self.containers


@dataclass(frozen=True, slots=True)
class PlacedPod:
    """A pod and where it lives: its cgroup's path and, by container name, its containers' paths.

    `cgroup` is `None` while the node has no cgroup for the pod.
    """

    pod: Pod
    cgroup: str | None
    containers: Mapping[str, str] = field(default_factory=dict)
