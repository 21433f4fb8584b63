"""Reserve part of a disk for the most important pods that use it, before anybody waits.

A disk that is busy all the time makes every request wait, whoever sent it; a volume sold by its rate serves
the next request only when the rate allows. Weights (`memqos.policy.weigh_io`) divide what there is and keep
nothing free. An `io.max` after a stall (`memqos.policy.limit_io`) comes a second or two late, and by then a
service of ten requests a second has lost its 99th percentile.

So while a more important pod uses a disk that the admin named with its figures, the less important pods
together may use what that pod leaves, less `headroom_percent`. Those that use the disk notably share it: each
may have what the others leave, and an equal part at least. A limit is tightened at once, and loosened
`dwell_seconds` after its last change at the earliest; small differences are ignored.

The kernel counts requests before it merges them (blk-throttle), but a disk serves them merged. So `riops` and
`wiops` are the disk's requests, multiplied by how many were merged into one lately. Swap is the exception: it
is read page by page, now in clusters of eight and now a page at a time, and a limit meant for clusters lets
single pages take all of the disk until the next look. So reads of a disk that is swapped to are counted as
the kernel counts them. A pod that swaps writes a page for every page that it reads back, and
from 6.12 on no limit holds those writes; so it may also read half as many bytes from such a disk.
There its files have a limit from the start. Where that limit would hold swap as well (6.1), only pods that
write files get it (`memqos.policy.limit_io` says why).

Limits end `calm_seconds` after the more important pods have stopped using the disk. The last value written is
what others had set there, so that a rung above that still limits the pod knows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec.structs import astuple

from memqos.model.plan import Plan, Write
from memqos.model.snapshot import IoMax, IoStat
from memqos.policy.blame_io import swap_devices, use
from memqos.policy.io_demand import tighter, writes_files
from memqos.policy.io_settings import DiskSettings, IoSettings
from memqos.policy.named_disk import named_disks
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.units import UNLIMITED

_NOTABLE: Final = 0.02
"""Part of a disk's figures that a pod must use to be reserved for, or held."""
_LEAST: Final = 0.25
"""Part of a disk that the less important pods keep whatever the others take."""
_STEP: Final = 0.05
_ALIKE: Final = 0.8
"""A limit stays while it is this part of the other one, either way."""
_HALF_US: Final = 4_000_000


class Claim(NamedTuple):
    """The most important users of a disk: who, when they used it last, and what is theirs of each second.

    `size` bytes and `requests`: what they took, and what they took before, halved every `_HALF_US`.
    """

    key: str
    rank: tuple[bool, int]
    size: float
    requests: float
    used_us: int
    seen_us: int


class Reserved(NamedTuple):
    """A held pod's cgroup, what others had set there, what it may have, and when that changed last."""

    inode: int
    theirs: IoMax
    limit: IoMax
    changed_us: int


@dataclass(frozen=True, slots=True)
class ReserveMemory:
    """Claims by device, and held pods by device and cgroup."""

    claims: Mapping[str, Claim] = field(default_factory=dict)
    held: Mapping[tuple[str, str], Reserved] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReserveIo:
    """`io.max` for the lesser users of a named disk that a more important pod uses."""

    settings: IoSettings = field(default_factory=IoSettings)
    name: str = "reserve"

    def initial(self) -> ReserveMemory:
        """Return the memory of a rung that reserves nothing."""
        return ReserveMemory()

    def decide(self, memory: ReserveMemory, situation: Situation) -> tuple[ReserveMemory, Plan]:
        """Return the new memory and every limit that shall be held."""
        now = situation.view.now
        if "io.max" not in now.features:
            return memory, Plan()
        claims: dict[str, Claim] = {}
        held: dict[tuple[str, str], Reserved] = {}
        limits: dict[str, dict[str, tuple[IoMax, str]]] = {}
        for device, disk in named_disks(self.settings.disks, now).items():
            claim = self._claim(memory.claims.get(device), device, disk, situation)
            if claim is None or not disk.headroom_percent:
                continue
            claims[device] = claim
            lesser = [
                pod
                for pod in situation.signals.pods
                if pod.importance[:2] < claim.rank and not pod.leaving and pod.cgroup.io_max is not None
                and (_part(pod, device, disk) >= _NOTABLE or (device, pod.path) in memory.held)
            ]  # fmt: skip
            for pod, share in _shares(lesser, device, disk, claim, situation):
                one = self._reserved(memory.held.get((device, pod.path)), pod, device, share, situation)
                held[device, pod.path] = one
                why = f"{now.node.disks[device].name} is kept free for {claim.key}"
                limits.setdefault(pod.path, {})[device] = (tighter(one.theirs, one.limit), why)
        left = {
            (device, path): one.theirs
            for (device, path), one in memory.held.items()
            if (device, path) not in held
            and (cgroup := now.cgroups.get(path)) is not None
            and cgroup.inode == one.inode
        }
        return ReserveMemory(claims, held), Plan(tuple(self._writes(limits, left, situation)))

    def _claim(
        self, before: Claim | None, device: str, disk: DiskSettings, situation: Situation
    ) -> Claim | None:
        """Return who the disk is reserved for; their use fades slowly, for it comes in bursts."""
        now_us = situation.now_us
        if before is not None:
            if now_us - before.used_us > self.settings.calm_seconds * 1e6:
                before = None
            else:
                left = 0.5 ** ((now_us - before.seen_us) / _HALF_US)
                before = before._replace(
                    size=left * before.size, requests=left * before.requests, seen_us=now_us
                )
        users = [pod for pod in situation.signals.pods if _part(pod, device, disk) >= _NOTABLE]
        if not users or (before is not None and users[0].importance[:2] < before.rank):
            return before
        rank = users[0].importance[:2]
        uses = [use(pod, device) for pod in users if pod.importance[:2] == rank]
        size, requests = (float(sum(column)) for column in zip(*uses, strict=True))
        served = sum(situation.signals.disk_rate(device, way) for way in ("rios", "wios"))
        requests = min(requests, served or requests)
        if before is not None and before.rank == rank:
            size, requests = max(size, before.size), max(requests, before.requests)
        return Claim(users[0].key, rank, size, requests, now_us, now_us)

    def _reserved(
        self, before: Reserved | None, pod: PodSignals, device: str, share: IoMax, situation: Situation
    ) -> Reserved:
        """Return what a pod is held at, when it may have `share` now."""
        now_us = situation.now_us
        if before is None or before.inode != pod.cgroup.inode:
            theirs = (pod.cgroup.io_max or {}).get(device, IoMax())
            return Reserved(pod.cgroup.inode, theirs, share, now_us)
        pairs = tuple(zip(astuple(share), astuple(before.limit), strict=True))
        if any(new < _ALIKE * old for new, old in pairs):
            return before._replace(limit=tighter(before.limit, share), changed_us=now_us)
        settled = now_us - before.changed_us >= self.settings.dwell_seconds * 1e6
        if settled and any(old < _ALIKE * new for new, old in pairs):
            return before._replace(limit=share, changed_us=now_us)
        return before

    def _writes(
        self,
        limits: Mapping[str, Mapping[str, tuple[IoMax, str]]],
        left: Mapping[tuple[str, str], IoMax],
        situation: Situation,
    ) -> Iterator[Write]:
        for path in dict.fromkeys([*limits, *(path for _, path in left)]):
            cgroup, devices = situation.view.now.cgroups[path], limits.get(path, {})
            value = dict(cgroup.io_max or {})
            value |= {device: theirs for (device, there), theirs in left.items() if there == path}
            value |= {device: limit for device, (limit, _) in devices.items()}
            why = "; ".join(why for _, why in devices.values()) or "nothing is kept free there any more"
            yield Write(path, "io.max", value, why, self.name, cgroup.inode)


def _shares(
    lesser: list[PodSignals], device: str, disk: DiskSettings, claim: Claim, situation: Situation
) -> Iterator[tuple[PodSignals, IoMax]]:
    """Yield what each may have of the room that they have together."""
    swapped = device in swap_devices(situation)
    reads, writes = (_merged(lesser, device, way, situation) for way in ("rios", "wios"))
    stats = [pod.io.get(device, IoStat()) for pod in lesser]
    sizes = [stat.rbytes + stat.wbytes for stat in stats]
    served = [stat.rios / reads + stat.wios / writes for stat in stats]
    for pod, size, requests in zip(
        lesser,
        _parts(disk.bytes_per_second, claim.size, sizes, disk),
        _parts(disk.requests_per_second, claim.requests, served, disk),
        strict=True,
    ):
        if swapped:
            spared = "io.max spares swap" in situation.view.now.features
            files = size if spared or writes_files(pod, device) else UNLIMITED
            yield pod, IoMax(rbps=size // 2, wbps=files, riops=requests)
        else:
            riops, wiops = int(requests * reads), int(requests * writes)
            yield pod, IoMax(rbps=size, wbps=size, riops=riops, wiops=wiops)


def _parts(whole: int, claimed: float, uses: Sequence[float], disk: DiskSettings) -> Iterator[int]:
    """Yield for each use what the others leave of the room, in whole steps; its equal part at least."""
    step = whole * _STEP
    room = max(whole * (1 - disk.headroom_percent / 100) - claimed, whole * _LEAST)
    for used in uses:
        part = max(room - (sum(uses) - used), room / len(uses))
        yield max(1, int(max(part // step, 1) * step))


def _merged(lesser: Sequence[PodSignals], device: str, way: str, situation: Situation) -> float:
    """Return how many of their requests a disk served as one, at least 1.

    /proc/diskstats counts what it served, `io.stat` what was sent (blk_cgroup_bio_start).
    """
    paths = {pod.path for pod in lesser}
    mine = others = 0
    for pod in situation.signals.pods:
        number = getattr(pod.io.get(device, IoStat()), way)
        if pod.path in paths:
            mine += number
        else:
            others += number
    served = situation.signals.disk_rate(device, way) - others
    return max(1.0, mine / served) if served > 0 else 1.0


def _part(pod: PodSignals, device: str, disk: DiskSettings) -> float:
    """Return the part of a disk's figures that a pod uses, of bytes or of requests, whichever is more."""
    size, requests = use(pod, device)
    return max(size / disk.bytes_per_second, requests / disk.requests_per_second)
