"""Why a pod must be evicted: the node runs short, or a more important pod stalls and nothing else helped.

There is no other cause. Waiting for a disk is none: Talos killed its API server for that, in I/O-heavy runs
on nodes with memory to spare.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from memqos.policy.evict_settings import EvictSettings
from memqos.policy.rung import Situation
from memqos.policy.shortage import Outlook
from memqos.policy.signals import PodSignals
from memqos.policy.trouble import Trouble
from memqos.policy.victims import relief
from memqos.units import format_bytes

_SURGE: Final = 0.2
"""A rate counts for at most this part of the node, so that a burst of a second evicts nobody."""
_ROOM: Final = 1.5
"""Leaving a shortage takes so much more than entering it, so that the next breath ends nobody else."""
_LATE: Final = 3
"""So many times the lead time is looked ahead at most, however late a look comes."""


@dataclass(frozen=True, slots=True)
class Cause:
    """`deficit` is what must be freed, in bytes; `pods` are those who may go for it.

    `desperate`: half of the minimum is gone, or all would be before the shortage could be confirmed; the
    kernel is about to choose.
    """

    kind: Literal["shortage", "stall"]
    deficit: int
    why: str
    pods: tuple[PodSignals, ...]
    desperate: bool = False


def shortage(
    settings: EvictSettings,
    situation: Situation,
    coming: Outlook,
    *,
    leaving: Iterable[str],
    standing: bool,
) -> Cause | None:
    """Return the cause when less can be had than the minimum, now or within the lead time.

    What pods on their way out (`leaving`, by uid) will free counts as had; `standing`: there was a
    cause at the last look, so it takes more to be over.
    """
    minimum = int(coming.total * settings.minimum_percent / 100)
    if not situation.signals.over_us or not minimum:
        return None
    uids = frozenset(leaving)
    due = sum(relief(pod) for pod in situation.signals.pods if pod.placed.pod.uid in uids)
    soon = min(-min(0.0, coming.slope) * _lead(settings, situation), coming.total * _SURGE)
    if coming.obtainable + due >= minimum * (_ROOM if standing else 1.0) + soon:
        return None
    deficit = int(minimum * _ROOM + soon) - coming.obtainable - due
    why = f"{coming}; the node's minimum is {format_bytes(minimum)}"
    left = coming.exhausted_in
    unready = coming.obtainable < minimum and left is not None and left < settings.confirm_seconds
    desperate = coming.obtainable < minimum // 2 or unready
    return Cause("shortage", deficit, why, situation.signals.pods, desperate)


def _lead(settings: EvictSettings, situation: Situation) -> float:
    """Return how far ahead to look, in seconds: where looks come late, past the next one."""
    between = situation.view.elapsed_us / 1e6
    return max(settings.lead_seconds, min(2 * between, _LATE * settings.lead_seconds))


def stall(settings: EvictSettings, situation: Situation) -> Cause | None:
    """Return the cause when a pod has waited for memory for long, and nothing gentler helped.

    Only pods that matter less and take part in it may go: those that grow or refault.
    """
    patience = settings.patience_seconds * 1e6
    for trouble in situation.pressing("memory"):
        lasting = situation.now_us - trouble.since_us
        if trouble.share * 100 < settings.stall_percent or lasting < patience:
            continue
        culprits = tuple(
            pod for pod in situation.signals.below(trouble.importance) if _takes_part(pod, situation)
        )
        if culprits and _others_had_their_chance(culprits, trouble, situation, patience):
            why = f"{trouble}, for {lasting / 1e6:.0f} s, and milder remedies have not helped"
            return Cause("stall", 1, why, culprits)
    return None


def _takes_part(pod: PodSignals, situation: Situation) -> bool:
    noticeable = situation.view.now.node.meminfo.get("MemTotal", 0) / 1000
    return pod.refaults > noticeable or pod.growth > noticeable


def _others_had_their_chance(
    culprits: tuple[PodSignals, ...], trouble: Trouble, situation: Situation, patience: float
) -> bool:
    subjects = {"node", trouble.victim} | {pod.key for pod in culprits}
    below = [stand for stand in situation.stands if stand.subject in subjects and stand.step != "watch"]
    return all(stand.step == "spent" or situation.now_us - stand.since_us >= patience for stand in below)
