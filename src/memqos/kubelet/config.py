"""The part of a kubelet's configuration that decides about memory.

`KubeletConfig` holds the values of a `KubeletConfiguration` (kubelet.config.k8s.io/v1beta1) under
the same names in snake case; `memqos.kubelet.configfile` reads one. A field that is `None` takes
the default of its version. Defaults: pkg/kubelet/apis/config/v1beta1/defaults.go and
pkg/features/kube_features.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from memqos.units import ZERO, Quantity

Version: TypeAlias = Literal["1.34", "1.35", "1.36", "1.37"]
CgroupDriver: TypeAlias = Literal["systemd", "cgroupfs"]
Runtime: TypeAlias = Literal["containerd", "cri-o"]
ReservationPolicy: TypeAlias = Literal["None", "TieredReservation"]
SwapBehavior: TypeAlias = Literal["", "NoSwap", "LimitedSwap"]

DEFAULT_EVICTION_HARD: Final[Mapping[str, str]] = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}
"""What a Linux kubelet evicts by without an `evictionHard` (pkg/kubelet/eviction/defaults_linux.go)."""

DEFAULT_THROTTLING_FACTOR: Final = 0.9


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """One kubelet's settings. Durations are microseconds, amounts Kubernetes quantities."""

    version: Version = "1.36"
    """Kubernetes minor version: what the code does, not what the file says. 1.34 is the first with
    NodeSwap locked on and PSI on; 1.36 brought `memoryReservationPolicy`, 1.37 MemoryQoS by default."""

    cgroup_driver: CgroupDriver = "systemd"
    """Who makes the cgroups. `systemd`, what kubeadm and every large distribution set since 1.22;
    a bare kubelet without a runtime that reports its driver would take `cgroupfs`."""

    container_runtime: Runtime = "containerd"
    """Who names the containers' cgroups below a pod's. The most used runtime."""

    cgroup_root: str = "/"
    """The cgroup all of it lives in, as a cgroupfs path (kind: `/kubelet`). `/`: the whole node."""

    memory_qos: bool | None = None
    """Gate MemoryQoS (KEP-2570). `None` takes the version's: off up to 1.36 (alpha), on from 1.37."""

    memory_reservation_policy: ReservationPolicy = "None"
    """`TieredReservation` protects requests: `memory.min` for Guaranteed, `memory.low` for Burstable.
    `None` as upstream: hard reservation makes page cache unreclaimable (k/k#137880)."""

    memory_throttling_factor: float | None = None
    """0 < factor ≤ 1: where between request and limit `memory.high` lies. `None` takes the version's
    (0.9 up to 1.36); from 1.37 on `None` means no `memory.high` at all."""

    swap_behavior: SwapBehavior = ""
    """`LimitedSwap` gives Burstable containers swap in proportion to their request; "" is `NoSwap`,
    as upstream: no workload swaps unless the admin says so."""

    fail_swap_on: bool = True
    """A kubelet with this does not start while a swap device is on. True as upstream."""

    single_process_oom_kill: bool | None = None
    """True leaves `memory.oom.group` alone; `None` is False on cgroup v2: an OOM kills the container."""

    pod_level_resources: bool = True
    """Gate PodLevelResources (KEP-2837): honour `spec.resources`. On since 1.34."""

    cpu_cfs_quota: bool = True
    """Whether limits of the processor are enforced (`cpu.max`). True as upstream."""

    cpu_cfs_quota_period: int = 100_000
    """Microseconds in which such a limit counts; 100 ms as upstream and in the kernel (the gate
    CustomCPUCFSQuotaPeriod allows others)."""

    enforce_node_allocatable: tuple[str, ...] = ("pods",)
    """Which of `pods`, `kube-reserved`, `system-reserved` get a `memory.max`. `pods` as upstream."""

    kube_reserved: Mapping[str, Quantity] = field(default_factory=dict)
    """Set aside for Kubernetes' daemons, by resource. Empty as upstream."""

    system_reserved: Mapping[str, Quantity] = field(default_factory=dict)
    """Set aside for the system's daemons, by resource. Empty as upstream."""

    kube_reserved_cgroup: str = ""
    """Absolute path of the Kubernetes daemons' cgroup; needed to enforce `kube-reserved`."""

    system_reserved_cgroup: str = ""
    """Absolute path of the system daemons' cgroup; needed to enforce `system-reserved`."""

    eviction_hard: Mapping[str, str] | None = None
    """Signal to quantity or percentage: evict at once below it. `None` takes `DEFAULT_EVICTION_HARD`."""

    eviction_soft: Mapping[str, str] = field(default_factory=dict)
    """Signal to quantity or percentage: evict after the grace period below it. Empty as upstream."""

    eviction_soft_grace_period: Mapping[str, str] = field(default_factory=dict)
    """Signal to Go duration; every soft threshold needs one."""

    eviction_minimum_reclaim: Mapping[str, str] = field(default_factory=dict)
    """Signal to quantity or percentage: how far above the threshold pressure ends. Empty as upstream."""

    merge_default_eviction_settings: bool = False
    """Add the defaults for signals that `eviction_hard` leaves out. False as upstream: naming one
    signal turns the others off."""

    eviction_max_pod_grace_period: int = 0
    """Seconds a soft eviction leaves a pod at most. 0 as upstream (killed after 1 s)."""

    eviction_pressure_transition_period: int = 5 * 60 * 10**6
    """Microseconds a node condition outlives its cause; 5 minutes as upstream, against flapping."""

    @property
    def minor(self) -> int:
        """The minor version as a number: 36 for 1.36."""
        return int(self.version.partition(".")[2])

    @property
    def memory_qos_on(self) -> bool:
        """Whether Memory QoS is in force."""
        return self.minor >= 37 if self.memory_qos is None else self.memory_qos

    @property
    def tiered(self) -> bool:
        """Whether requests are protected by tier."""
        return self.memory_qos_on and self.memory_reservation_policy == "TieredReservation"

    @property
    def throttling_factor(self) -> float | None:
        """The factor in force; `None` when the kubelet sets no `memory.high`."""
        if self.memory_throttling_factor is None and self.minor < 37:
            return DEFAULT_THROTTLING_FACTOR
        return self.memory_throttling_factor

    @property
    def effective_eviction_hard(self) -> Mapping[str, str]:
        """The hard thresholds in force, defaults merged in."""
        if self.eviction_hard is None:
            return DEFAULT_EVICTION_HARD
        if self.merge_default_eviction_settings:
            return {**DEFAULT_EVICTION_HARD, **self.eviction_hard}
        return self.eviction_hard

    def reserved(self, resource: str = "memory") -> Quantity:
        """Return what is set aside of a resource, for Kubernetes and the system together."""
        return self.kube_reserved.get(resource, ZERO) + self.system_reserved.get(resource, ZERO)
