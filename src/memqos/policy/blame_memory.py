"""Which pod lost memory that it needs, and which pods took it.

A pod is hurt while it stalls on memory that it lost (it refaults), or because the node is short. To the
kernel, reading a reclaimed file page again is a wait for the disk; PSI counts it as a wait for memory only if
the page had been in the working set (`folio_test_workingset`). So a pod that waits for a disk is hurt, too,
when half of what it reads are refaults and reclaim goes on taking pages from it.

A pod need not stall yet to be a victim. It is `robbed` when reclaim takes from it although it uses no more
than its `memory.low` promises. The kernel reports that as `low` in memory.events. It happens where everybody
is protected, and with MGLRU up to 7.2 also while others have more than enough (`shrink_one`, mm/vmscan.c).

Less important pods are to blame that grow, or that read through more than they keep.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from memqos.policy.importance import Importance
from memqos.policy.rung import Situation
from memqos.policy.shortage import is_short
from memqos.policy.signals import PodSignals
from memqos.policy.trouble import Trouble
from memqos.units import format_bytes

_NOTICEABLE: Final = 0.001
"""Part of the node's memory a second from which on growth, reclaim or refaults count."""
_TAKEN: Final = 0.5
"""Part of what a pod reads that had been taken from it: then it waits for memory, at a disk."""


class Hurt(NamedTuple):
    """A pod that loses what it needs, in words, and its trouble; `None` of one that does not stall yet."""

    victim: str
    importance: Importance
    why: str
    trouble: Trouble | None = None


def hurts(situation: Situation, held: Collection[str], short_percent: float) -> tuple[Hurt, ...]:
    """Return who is hurt now, those who stall first; who is `held` itself is not.

    The node is short with less than `short_percent` of its memory to be had.
    """
    stalling = tuple(_stalling(situation, held, short_percent))
    known = {*held, *(hurt.victim for hurt in stalling)}
    robbed = (_robbed(pod, situation) for pod in situation.signals.pods if pod.key not in known)
    return (*stalling, *(hurt for hurt in robbed if hurt is not None))


def _stalling(situation: Situation, held: Collection[str], short_percent: float) -> list[Hurt]:
    short = is_short(situation.signals, short_percent / 100)
    found = []
    for trouble in situation.pressing():
        victim = situation.signals.pod(trouble.victim)
        if victim is None or trouble.calm_since_us is not None or victim.key in held:
            continue
        if trouble.kind == "io":
            reads = (disk.rbytes for disk in victim.io.values())
            lost = victim.rate("stolen") > 0 and victim.refaults > _TAKEN * sum(reads)
        else:
            lost = short or victim.refaults > _noticeable(situation)
        if lost:
            found.append(Hurt(victim.key, trouble.importance, said(trouble, situation), trouble))
    return found


def _robbed(pod: PodSignals, situation: Situation) -> Hurt | None:
    """Return what a pod loses below its memory.low; `None` of one that is let be, or is its own cause."""
    lost = pod.rate("stolen") * pod.page_size
    own = pod.rate("max_events") > 0 or pod.rate("high_events") > 0
    if own or pod.rate("low_events") <= 0 or lost <= _noticeable(situation):
        return None
    low = format_bytes(pod.cgroup.memory_low or 0)
    return Hurt(
        pod.key, pod.importance, f"{pod.key} loses {format_bytes(int(lost))} a second, below its {low}"
    )


def said(trouble: Trouble, situation: Situation) -> str:
    """Write a trouble for people, with what its victim takes back."""
    victim = situation.signals.pod(trouble.victim)
    back = format_bytes(int(victim.refaults)) if victim is not None else ""
    return f"{trouble} and takes back {back} a second"


def culprits(hurt: Sequence[Hurt], situation: Situation) -> tuple[PodSignals, ...]:
    """Return who matters less than a victim and takes part, the furthest over its request first."""
    noticeable = _noticeable(situation)
    found: dict[str, PodSignals] = {}
    for one in hurt:
        for pod in situation.signals.below(one.importance):
            turnover = pod.rate("stolen") * pod.page_size
            if max(pod.growth, turnover, pod.refaults) > noticeable and not pod.leaving:
                found[pod.path] = pod
    return tuple(sorted(found.values(), key=lambda pod: (pod.request - pod.current - pod.swap, pod.key)))


def _noticeable(situation: Situation) -> float:
    return situation.view.now.node.meminfo.get("MemTotal", 0) * _NOTICEABLE
