"""Which pods make a more important pod wait for a disk.

A victim waits for the disks that its own cgroup used in the window (`io.stat`), and for the swap device while
it reads back what it lost to swap. The `io.stat` of each pod has its own reads, writes, swap traffic and
writeback: the kernel charges swap reads to the cgroup that faults, swap writes and writeback to the owner of
the pages.

Less important pods are to blame when they have `blame_percent` of all pods' bytes or requests on that disk
together, so that fifty small ones are seen as one big one. A victim that shares the disk with nobody else has
nobody to blame, and pods as important as the victim are never blamed.

Nobody is limited on a disk that is idle for `1 - saturated` of the window or more: there the victim waits for
the disk itself, or for the CPU.

How long the victim waits when it has the disk to itself is learnt (`Alone`), because a program that reads all
the time always waits. It is hurt only while it waits noticeably longer than that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.policy.trouble import COUNTERS, Kind, Trouble

_REQUEST: Final = 16384
"""Bytes that a request counts for at least, where pods are put in an order."""
_NOTICEABLE: Final = 1.25
"""So much longer than alone is hurt: the project's own measure for a service beside a storm."""
_LEAST_EXCESS: Final = 0.02
_WEIGHT: Final = 0.2
_LEFT_ALONE: Final = 0.05

Totals: TypeAlias = Mapping[str, tuple[int, int]]
"""By device: bytes and requests per second of all pods together."""
Alone: TypeAlias = Mapping[tuple[Kind, str], float]
"""By kind and victim: the share of time it waits while hardly anybody else uses its disks."""


@dataclass(frozen=True, slots=True)
class Hurt:
    """A victim, a disk it waits for, and the pods to blame, the heaviest user first.

    `used` is the part of the disk's traffic, 0 to 1, that is theirs; `bearable` the share of time the victim
    may wait before that is noticeably longer than alone; `now` is false while its trouble stands but at this
    look it does not wait so long, or the disk has time left.
    """

    trouble: Trouble
    device: str
    culprits: tuple[PodSignals, ...]
    used: float
    bearable: float
    now: bool


def hurts(
    situation: Situation,
    alone: Alone,
    totals: Totals,
    held: Collection[str],
    *,
    blame: float,
    saturated: float,
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
        bearable = alone.get((trouble.kind, trouble.victim), 0.0) * _NOTICEABLE + _LEAST_EXCESS
        now = trouble.calm_since_us is None and trouble.share > bearable
        for device in devices(victim, trouble.kind, situation):
            culprits, used = _culprits(situation, trouble, device, totals)
            if culprits and used >= blame:
                busy = situation.signals.busy(device) >= saturated
                found.append(Hurt(trouble, device, culprits, used, bearable, now and busy))
    return tuple(found)


def devices(victim: PodSignals, kind: Kind, situation: Situation) -> tuple[str, ...]:
    """Return the disks that a pod's stalls can be spent on."""
    if kind == "memory" and victim.refaults <= 0:
        return ()
    if victim.rate("refaults_anon") <= 0:
        return tuple(victim.io)
    return tuple(dict.fromkeys((*victim.io, *swap_devices(situation))))


def swap_devices(situation: Situation) -> tuple[str, ...]:
    """Return the disks that are swapped to."""
    return tuple(swap.device for swap in situation.view.now.node.swaps if swap.device is not None)


def learn(situation: Situation, alone: Alone, totals: Totals) -> Alone:
    """Return what is known of pods' own waiting after this look."""
    known = {}
    for pod in situation.signals.pods:
        left_alone = (
            bool(pod.over_us and pod.io)
            and 1 - min(_part(use(pod, device), totals[device], min) for device in pod.io) <= _LEFT_ALONE
        )
        for kind, counter in COUNTERS.items():
            key = (kind, pod.key)
            before = alone.get(key)
            if left_alone:
                share = pod.share(counter)
                known[key] = share if before is None else before + _WEIGHT * (share - before)
            elif before is not None:
                known[key] = before
    return known


def all_use(situation: Situation) -> Totals:
    """Return the bytes and requests per second of all pods together, by device."""
    totals: dict[str, tuple[int, int]] = {}
    for pod in situation.signals.pods:
        for device in pod.io:
            size, requests = use(pod, device)
            before = totals.get(device, (0, 0))
            totals[device] = (before[0] + size, before[1] + requests)
    return totals


def use(pod: PodSignals, device: str) -> tuple[int, int]:
    """Return a pod's bytes and requests per second on a disk, read and written."""
    stat = pod.io.get(device)
    return (0, 0) if stat is None else (stat.rbytes + stat.wbytes, stat.rios + stat.wios)


def _culprits(
    situation: Situation, trouble: Trouble, device: str, totals: Totals
) -> tuple[tuple[PodSignals, ...], float]:
    users = [pod for pod in situation.signals.below(trouble.importance) if device in pod.io]
    uses = [use(pod, device) for pod in users]
    together = (sum(size for size, _ in uses), sum(requests for _, requests in uses))
    users.sort(key=lambda pod: max(use(pod, device)[0], use(pod, device)[1] * _REQUEST), reverse=True)
    return tuple(users), _part(together, totals.get(device, (0, 0)), max)


def _part(some: tuple[int, int], total: tuple[int, int], choose: Callable[[Iterable[float]], float]) -> float:
    """Return the greater, or the smaller, of a part of all bytes and of all requests."""
    parts = [one / whole for one, whole in zip(some, total, strict=True) if whole]
    return choose(parts) if parts else 0.0
