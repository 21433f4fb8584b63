"""What the admin says about taking back memory that is not in use."""

from __future__ import annotations

from dataclasses import dataclass

from memqos.policy.setting import setting
from memqos.units import GIB, MIB


@dataclass(frozen=True, slots=True)
class ReclaimSettings:
    """Taking back memory that is not in use."""

    enabled: bool = setting(
        True,
        "Take back idle memory, of the least important pods first (memory.reclaim).",
        "memory that nobody uses is there when somebody needs it, without a wait",
    )
    idle: bool = setting(
        True,
        "Swap out idle memory of pods that may swap even while nobody needs it.",
        "swapping out takes time, which a pod in need does not have",
    )
    tolerance_percent: float = setting(
        2.0,
        "How much of its time one of the least important pods may wait because of it. More ends it at once, "
        "and a pause follows that brings the average back to this share.",
        "twice senpai's target, which counts waits for memory only, not for the disk it comes from",
        unit="percent",
        least=0.1,
    )
    longest_pause_seconds: float = setting(
        120.0,
        "The longest pause after memory in use was taken; the first is 4 s, each next four times as long.",
        "a pod that uses all of its memory then pays for one small try in two minutes",
        unit="seconds",
        least=4,
    )
    swap_writes_per_second: int = setting(
        32 * MIB,
        "The most that is written to swap a second, for all pods.",
        "a tenth of a slow SSD's speed, so that others' reads hardly wait",
        unit="bytes",
        least=0,
    )
    swap_writes_per_day: int = setting(
        64 * GIB,
        "The most that is written to swap a day, for all pods, as far as this run of the agent knows.",
        "a quarter of a 240 GB SSD's daily write allowance at one drive write a day",
        unit="bytes",
        least=0,
    )
