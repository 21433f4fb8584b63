"""The admin's `MemoryPolicy`: every setting with its unit, its default and the reason for it.

These are the values policies and the agent read. `memqos.agent.config` reads them from YAML, where
a name is spelt as Kubernetes spells it (`maximum_per_pod` is `maximumPerPod`) and a size is a
Kubernetes quantity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from memqos.kubelet.config import KubeletConfig, Version
from memqos.policy.ease import EaseSettings
from memqos.policy.evict_settings import EvictSettings
from memqos.policy.io_settings import IoSettings
from memqos.policy.protect import ProtectSettings
from memqos.policy.reclaim_settings import ReclaimSettings
from memqos.policy.relax import RelaxSettings
from memqos.policy.setting import setting
from memqos.policy.throttle_settings import ThrottleSettings
from memqos.policy.trouble import WatchSettings
from memqos.units import GIB, MIB

API_VERSION: Final = "memqos.dev/v1alpha1"
KIND: Final = "MemoryPolicy"

SwapMode: TypeAlias = Literal["PodChoice", "Limited", "None"]
SwapDefault: TypeAlias = Literal["0", "limited"]


@dataclass(frozen=True, slots=True)
class SwapSettings:
    """Swap per pod, as far as the node allows."""

    mode: SwapMode = setting(
        "PodChoice",
        "Who decides about a pod's swap: its user (PodChoice), the kubelet's LimitedSwap rule for all "
        "pods (Limited), or nobody: no pod swaps (None).",
        "a pod without an annotation is treated as under a kubelet without swap; see swap.default",
    )
    default: SwapDefault = setting(
        "0",
        "PodChoice only: what a pod gets that chose nothing, or whose choice cannot be read.",
        "swap is opt-in, as KEP-5359 proposes for WorkloadControlledSwap; on a node with LimitedSwap "
        "memqos names the pods that lose their share, which `limited` lets them keep",
    )
    maximum_per_pod: int | None = setting(
        1 * GIB,
        "The most swap one pod can have, whatever it asks for; null leaves it to the budget.",
        "enough for a peak or an idle heap, too little for one pod to drain a usual swap device",
        unit="bytes",
        least=0,
    )
    budget: int | None = setting(
        None,
        "The most swap that all pods together are granted; null is all of the node's swap but the reserve.",
        "whatever is granted is there: swap is not overcommitted",
        unit="bytes",
        least=0,
    )
    reserve: int = setting(
        128 * MIB,
        "Swap kept for the node's own daemons: pods are never granted it.",
        "the kubelet and the runtime may swap too (KEP-2400), and a full swap device turns reclaim into OOM",
        unit="bytes",
        least=0,
    )
    namespaces: tuple[str, ...] = setting(
        ("*",),
        "PodChoice only: namespaces whose pods may choose; shell patterns. Others get the default.",
        "the maximum and the budget bound every namespace already",
    )


@dataclass(frozen=True, slots=True)
class KubeletSettings:
    """What a kubelet would write, for nodes that have none."""

    write: bool = setting(
        False,
        "Write what a kubelet would: limits, Memory QoS, swap behaviour.",
        "a running kubelet does it itself",
    )
    version: Version = setting(
        "1.36",
        "Which Kubernetes release's rules to follow: what a kubelet does differs between releases.",
        "the release memqos was checked against",
    )
    config: KubeletConfig = setting(
        KubeletConfig,
        "That kubelet's settings: the fields of a KubeletConfiguration (kubelet.config.k8s.io/v1beta1).",
        "they are a kubelet's own defaults",
    )


@dataclass(frozen=True, slots=True)
class HierarchySettings:
    """Protection (`memory.low`, `memory.min`) that holds only when every ancestor has it too."""

    repair: bool = setting(
        True,
        "Give kubepods and the QoS cgroups the memory.low that their pods' protection needs to hold; "
        "off, void protection is only reported.",
        "memory.low never causes an OOM kill, and without it what the kubelet wrote is void; with MGLRU on "
        "6.12 the kernel does not keep memory.low even so (echo n > /sys/kernel/mm/lru_gen/enabled)",
    )


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The loop: how often it looks, and what it keeps on disk."""

    interval_seconds: float = setting(
        1.0,
        "Longest time between two looks at the node; memory pressure ends it early.",
        "a tenth of the kubelet's eviction interval (10 s), so that memqos acts first",
        unit="seconds",
        least=0.1,
    )
    least_interval_seconds: float = setting(
        0.2,
        "Shortest time from one look to the next that memory pressure calls for.",
        "a storm of pressure must not spin the agent, and no remedy shows its effect sooner",
        unit="seconds",
        least=0.0,
    )
    restore_on_exit: bool = setting(
        True,
        "Write the original values back when the agent ends.",
        "a node without memqos is as it was before memqos",
    )
    protect_itself: bool = setting(
        True,
        "Give the agent a cgroup of its own with memory.min, oom_score_adj -999 and locked memory.",
        "an agent that is paged out or killed helps nobody",
    )
    journal_size: int = setting(
        64 * MIB,
        "The most the journal takes on disk; 0 keeps none.",
        "most of an hour at one look a second: 110 pods, a third of them busy, took 26 kB a turn",
        unit="bytes",
        least=0,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole `MemoryPolicy`'s `spec`."""

    kubelet: KubeletSettings = setting(KubeletSettings, "What a kubelet would write.", "")
    swap: SwapSettings = setting(SwapSettings, "Swap per pod.", "")
    hierarchy: HierarchySettings = setting(HierarchySettings, "Protection down the cgroup tree.", "")
    watch: WatchSettings = setting(WatchSettings, "When a pod counts as disturbed.", "")
    relax: RelaxSettings = setting(RelaxSettings, "Lending what nobody uses.", "")
    evict: EvictSettings = setting(EvictSettings, "Ending pods, where nothing weaker helps.", "")
    ease: EaseSettings = setting(EaseSettings, "Slowing writers down at their own limit.", "")
    throttle: ThrottleSettings = setting(ThrottleSettings, "Holding back who takes memory.", "")
    io: IoSettings = setting(IoSettings, "Limits on the disk.", "")
    protect: ProtectSettings = setting(ProtectSettings, "Protection of important pods' memory.", "")
    reclaim: ReclaimSettings = setting(ReclaimSettings, "Taking back memory that is not in use.", "")
    agent: AgentSettings = setting(AgentSettings, "The agent's loop.", "")
