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
        "Swap out idle memory also while nobody needs it, of pods that may swap.",
        "swapping out takes time that a pod in need has not",
    )
    tolerance_percent: float = setting(
        2.0,
        "Share of its time that a least important pod may wait because of it; more ends it at once, and what "
        "it waited is made up for by a pause as long as that share says.",
        "twice senpai's target, which is of waiting for memory only and not for the disk it comes from",
        unit="percent",
        least=0.1,
    )
    longest_pause_seconds: float = setting(
        120.0,
        "The longest pause after memory in use was taken; the first is 4 s, each next four times as long.",
        "a pod whose memory is all in use then pays for one small try in two minutes",
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
        "The most that is written to swap a day, for all pods.",
        "a quarter of a 240 GB SSD's daily write allowance at one drive write a day",
        unit="bytes",
        least=0,
    )
