"""What the admin says about holding back pods that take memory."""

from __future__ import annotations

from dataclasses import dataclass

from memqos.policy.setting import setting


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """Holding back pods that take the memory a more important one needs."""

    enabled: bool = setting(
        True,
        "Lower the memory.high of less important pods while a more important one stalls on memory, or loses "
        "memory that its memory.low should protect.",
        "the kernel reclaims the least recently used pages, no matter how important their pod is",
    )
    short_percent: float = setting(
        5.0,
        "Available memory below which the node counts as short, and a stall as caused by that.",
        "the kubelet's evictionHard is about that on a small node",
        unit="percent",
        least=0.0,
    )
    step_percent: float = setting(
        5.0,
        "Part of the node's memory by which all throttled pods together are lowered in one step.",
        "twenty steps from all of the node to nothing, each of which shows its effect",
        unit="percent",
        least=0.5,
    )
    margin_percent: float = setting(
        10.0,
        "How far memory.high stays above what reclaim cannot take from a pod, in percent of that.",
        "at the edge memory.high stops a program instead of slowing it",
        unit="percent",
        least=1.0,
        most=1000.0,
    )
    dwell_seconds: float = setting(
        2.0,
        "How long memory.high is kept before it is changed, either way.",
        "the figures of the last second then show what it did",
        unit="seconds",
        least=0.5,
    )
    calm_seconds: float = setting(
        10.0,
        "How long no more important pod may have stalled before memory.high is raised step by step.",
        "longer than a usual pause within a batch job",
        unit="seconds",
        least=1.0,
    )
