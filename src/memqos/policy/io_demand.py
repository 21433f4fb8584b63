"""What a pod would take of a disk without limits: its limits are fractions of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from msgspec.structs import astuple

from memqos.model.snapshot import IoMax
from memqos.policy.blame_io import Totals, swap_devices, use
from memqos.policy.brake import Brake
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.units import UNLIMITED

_LARGE: Final = 32 * 1024
"""Requests of this size and more are limited by bytes: about where a disk's time goes into moving them."""
_NOTABLE: Final = 0.05
_LEAST_BUSY: Final = 0.2
"""A disk that was busy for less of the window says little of what a pod would take of a whole second."""

Peaks: TypeAlias = Mapping[str, tuple[int, int]]
"""By device: the most bytes and requests per second that all pods together had of it so far."""


@dataclass(frozen=True, slots=True)
class Held:
    """One pod's cgroup: by device what it would take (`UNLIMITED`: no notable use), and others' limits."""

    inode: int
    key: str
    took: Mapping[str, IoMax] = field(default_factory=dict)
    theirs: Mapping[str, IoMax] = field(default_factory=dict)
    brake: Brake | None = None


def peaks_after(known: Peaks, totals: Totals, situation: Situation) -> dict[str, tuple[int, int]]:
    """Return the peaks after this look; a disk that is gone is forgotten."""
    peaks = {device: peak for device, peak in known.items() if device in situation.view.now.node.disks}
    for device, (size, requests) in totals.items():
        before = peaks.get(device, (0, 0))
        peaks[device] = (max(size, before[0]), max(requests, before[1]))
    return peaks


def add(
    held: dict[str, Held],
    culprits: Iterable[PodSignals],
    device: str,
    peak: tuple[int, int],
    total: tuple[int, int],
    situation: Situation,
) -> None:
    """Note what each culprit takes of a disk now; what is known of it already only grows.

    Whoever takes little beside the heaviest of them is left alone; fifty small ones are all held.
    """
    culprits = list(culprits)
    least = [_NOTABLE * max(column) for column in zip(*(use(pod, device) for pod in culprits), strict=True)]
    for pod in culprits:
        size, requests = use(pod, device)
        if pod.cgroup.io_max is None or (size < least[0] and requests < least[1]):
            continue
        took = _demand(pod, device, peak, total, situation)
        one = held.get(pod.path, Held(pod.cgroup.inode, pod.key))
        known = one.took.get(device, IoMax())
        took = IoMax(
            *(
                max(old, new) if old < UNLIMITED and new < UNLIMITED else min(old, new)
                for old, new in zip(astuple(known), astuple(took), strict=True)
            )
        )
        theirs = {device: _set_there(pod.path, device, situation), **one.theirs}
        held[pod.path] = replace(one, took={**one.took, device: took}, theirs=theirs)


def limits_of_others(path: str, held: Held, situation: Situation) -> Mapping[str, IoMax]:
    """Return what a pod may have of each disk without this rung: a lower one changes that turn by turn.

    The last limits of a lower one are what it found there (`memqos.policy.reserve_io`).
    """
    if (path, "io.max") not in situation.held:
        return held.theirs
    return {device: _set_there(path, device, situation) for device in held.theirs}


def _set_there(path: str, device: str, situation: Situation) -> IoMax:
    return (situation.view.now.cgroups[path].io_max or {}).get(device, IoMax())


def _demand(
    pod: PodSignals, device: str, peak: tuple[int, int], total: tuple[int, int], situation: Situation
) -> IoMax:
    """Return what a pod would take of a disk that it had to itself.

    That is what it takes now, scaled up to a disk that is busy all the time; but no less than its part
    of the most that was seen of the disk, because a pod that only just began took little so far. Reads
    and writes get the same: a storm that pushes pages out reads them back next.
    """
    busy = max(_LEAST_BUSY, situation.signals.busy(device) or 1.0)
    uses = use(pod, device)
    size, requests = (
        max(int(used / busy), used * most // max(1, whole))
        for used, whole, most in zip(uses, total, peak, strict=True)
    )
    if device in swap_devices(situation):
        spared = "io.max spares swap" in situation.view.now.features
        return IoMax(rbps=size, wbps=size if spared or writes_files(pod, device) else UNLIMITED)
    if uses[0] >= uses[1] * _LARGE:
        return IoMax(rbps=size, wbps=size)
    return IoMax(riops=requests, wiops=requests)


def tighter(one: IoMax, other: IoMax) -> IoMax:
    """Return what holds where both are set: of each limit the lower one."""
    return IoMax(*map(min, astuple(one), astuple(other)))


def writes_files(pod: PodSignals, device: str) -> bool:
    """Tell whether a pod notably writes files to a disk that it also swaps to."""
    if device not in pod.io:
        return False
    swapped = max(0.0, pod.rate("swap")) + pod.rate("refaults_anon") * pod.page_size
    return pod.io[device].wbytes - swapped > _NOTABLE * use(pod, device)[0]
