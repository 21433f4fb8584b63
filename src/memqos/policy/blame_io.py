"""Whose use of a disk a more important pod waits for.

A victim waits for the disks that its own cgroup used in the window (`io.stat`), and, when it takes
back what it had lost to swap, for the swap device. Everybody's reads, writes, swap traffic and
writeback are in the `io.stat` of their own pod: swap reads are booked to who faults, swap writes and
writeback to the owner of the pages (kernel.md 11).

A pod takes part in it when it has `blame_percent` of all pods' bytes or requests there, for its own
kind of pods together: fifty small ones are seen as one big one (peers.md 0.5). A victim that reads
only for itself has nobody to blame, and whoever matters as much as the victim is not blamed.

A disk that is idle for `1 - saturated` of the window or more is not what anybody has to be kept from: then
a wait is the disk's own, or the CPU's.

What the victim waits when it has the disk to itself is learnt (`Alone`): a program that reads all the
time waits all the time, and nobody can help it. It is hurt only while it waits noticeably longer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from memqos.model.snapshot import IoStat
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.policy.trouble import Kind, Trouble

_BYTES: Final = ("rbytes", "wbytes")
_REQUESTS: Final = ("rios", "wios")
_NOTICEABLE: Final = 1.25
"""So much longer than alone is hurt: the project's own measure for a service beside a storm."""
_LEAST_EXCESS: Final = 0.02
_WEIGHT: Final = 0.2
_LEFT_ALONE: Final = 0.05

Alone: TypeAlias = Mapping[tuple[Kind, str], float]
"""By kind and victim: the share of time it waits while hardly anybody else uses its disks."""


@dataclass(frozen=True, slots=True)
class Hurt:
    """A victim, a disk it waits for, and the pods to blame, the heaviest user first.

    `used` is the part of the disk's traffic, 0 to 1, that is theirs; `now` is false while the victim's
    trouble stands but at this look it does not wait noticeably longer than alone, or the disk has time left.
    """

    trouble: Trouble
    device: str
    culprits: tuple[PodSignals, ...]
    used: float
    now: bool


def hurts(
    situation: Situation, alone: Alone, held: Collection[str], *, blame: float, saturated: float
) -> tuple[Hurt, ...]:
    """Return who waits for whom, those of the most important victims first.

    `held` are pods (by key) that memqos limits itself: they wait for that. `blame` and `saturated`
    are parts, 0 to 1: of a disk's traffic, and of the window that it was busy.
    """
    found = []
    for trouble in situation.pressing():
        victim = situation.signals.pod(trouble.victim)
        if victim is None or not victim.over_us or victim.key in held:
            continue
        excess = trouble.share - max(alone.get((trouble.kind, trouble.victim), 0.0) * _NOTICEABLE, 0.0)
        now = trouble.calm_since_us is None and excess > _LEAST_EXCESS
        for device in devices(victim, trouble.kind, situation):
            culprits, used = _culprits(situation, trouble, device)
            if culprits and used >= blame:
                busy = situation.signals.busy(device) >= saturated
                found.append(Hurt(trouble, device, culprits, used, now and busy))
    return tuple(found)


def devices(victim: PodSignals, kind: Kind, situation: Situation) -> tuple[str, ...]:
    """Return the disks that a pod's stalls can be spent on."""
    if kind == "memory" and victim.refaults <= 0:
        return ()
    found = dict.fromkeys(victim.io)
    if victim.rate("refaults_anon") > 0:
        found |= dict.fromkeys(swap_devices(situation))
    return tuple(found)


def swap_devices(situation: Situation) -> tuple[str, ...]:
    """Return the disks that are swapped to."""
    return tuple(swap.device for swap in situation.view.now.node.swaps if swap.device is not None)


def learn(situation: Situation, alone: Alone) -> Alone:
    """Return what is known of pods' own waiting after this look."""
    known = dict(alone)
    for pod in situation.signals.pods:
        if not pod.over_us or not pod.io:
            continue
        used = max(_used(situation, pod, device) for device in pod.io)
        if used > _LEFT_ALONE:
            continue
        for kind, counter in (("io", "io_some_us"), ("memory", "memory_some_us")):
            key: tuple[Kind, str] = (kind, pod.key)  # type: ignore[assignment]
            share = pod.share(counter)
            known[key] = share if key not in known else known[key] + _WEIGHT * (share - known[key])
    here = {pod.key for pod in situation.signals.pods}
    return {key: share for key, share in known.items() if key[1] in here}


def _used(situation: Situation, pod: PodSignals, device: str) -> float:
    others = [other for other in situation.signals.pods if other is not pod]
    return _part(others, situation.signals.pods, device)


def _culprits(situation: Situation, trouble: Trouble, device: str) -> tuple[tuple[PodSignals, ...], float]:
    lesser = situation.signals.below(trouble.importance)
    users = [(use_of(pod, device), pod) for pod in lesser if device in pod.io]
    users.sort(key=lambda user: -user[0])
    return tuple(pod for _, pod in users), _part(lesser, situation.signals.pods, device)


def _part(some: Iterable[PodSignals], everybody: Iterable[PodSignals], device: str) -> float:
    """Return the greater of some pods' part of all bytes and of all requests."""
    mine = [_sums(pod.io.get(device)) for pod in some]
    every = [_sums(pod.io.get(device)) for pod in everybody]
    parts = [
        sum(one[which] for one in mine) / total
        for which in (0, 1)
        if (total := sum(one[which] for one in every))
    ]
    return max(parts, default=0.0)


def use_of(pod: PodSignals, device: str) -> int:
    """Return how much a pod uses a disk: bytes per second, a request counting for at least 16 KiB."""
    size, requests = _sums(pod.io.get(device))
    return max(size, requests * 16384)


def _sums(stat: IoStat | None) -> tuple[int, int]:
    if stat is None:
        return 0, 0
    return sum(getattr(stat, name) for name in _BYTES), sum(getattr(stat, name) for name in _REQUESTS)
