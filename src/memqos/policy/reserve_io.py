"""Reserve part of a disk for the most important pods that use it, before anybody waits.

A disk that is busy all the time makes every request wait, whoever sent it; a volume sold by its rate serves
the next request only when the rate allows. Weights (`memqos.policy.weigh_io`) divide what there is and keep
nothing free. An `io.max` after a stall (`memqos.policy.limit_io`) comes a second or two late, and by then a
service of ten requests a second has lost its 99th percentile.

So while a more important pod uses a disk that the admin named with its figures, the less important pods
together may use what that pod leaves, less `headroom_percent`. Those that use the disk notably share it: each
may have what the others leave, and an equal part at least. A limit is tightened at once, and loosened
`dwell_seconds` after its last change at the earliest; small differences are ignored.

`memqos.policy.disk_room` says how the room is divided. While the more important pod's requests take notably
longer than when it has the disk to itself, the room gets smaller (`memqos.policy.strain`), down to a quarter
of the disk.

Limits end `calm_seconds` after the more important pods have stopped using the disk. The last value written is
what others had set there, so that a rung above that still limits the pod knows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec.structs import astuple

from memqos.model.plan import Plan, Write
from memqos.model.snapshot import IoMax
from memqos.policy.blame_io import use
from memqos.policy.disk_room import Room, part_of, shares
from memqos.policy.io_demand import tighter
from memqos.policy.io_settings import DiskSettings, IoSettings
from memqos.policy.named_disk import named_disks
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.policy.strain import Strain, strain_of

_NOTABLE: Final = 0.02
"""Part of a disk's figures that a pod must use to be reserved for, or held."""
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
    """Claims and strains by device, and held pods by device and cgroup."""

    claims: Mapping[str, Claim] = field(default_factory=dict)
    strains: Mapping[str, Strain] = field(default_factory=dict)
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
        strains: dict[str, Strain] = {}
        held: dict[tuple[str, str], Reserved] = {}
        limits: dict[str, dict[str, tuple[IoMax, str]]] = {}
        for device, disk in named_disks(self.settings.disks, now).items():
            claim = self._claim(memory.claims.get(device), device, disk, situation)
            if claim is None or not disk.headroom_percent:
                continue
            claims[device] = claim
            strain = memory.strains.get(device)
            if (first := situation.signals.pod(claim.key)) is not None:
                strain = strains[device] = strain_of(strain, first, device, situation, self.settings)
            room = Room(device, disk, claim.size, claim.requests, strain.part if strain else 1.0)
            lesser = [
                pod
                for pod in situation.signals.pods
                if pod.importance[:2] < claim.rank and not pod.leaving and pod.cgroup.io_max is not None
                and (part_of(pod, device, disk) >= _NOTABLE or (device, pod.path) in memory.held)
            ]  # fmt: skip
            for pod, share in shares(lesser, room, situation):
                one = self._reserved(memory.held.get((device, pod.path)), pod, device, share, situation)
                held[device, pod.path] = one
                why = f"{now.node.disks[device].name} is kept free for {claim.key}"
                why += ", whose requests take longer than alone" if room.part < 1 else ""
                limits.setdefault(pod.path, {})[device] = (tighter(one.theirs, one.limit), why)
        left = {
            (device, path): one.theirs
            for (device, path), one in memory.held.items()
            if (device, path) not in held
            and (device in now.node.disks or not now.node.disks)
            and (cgroup := now.cgroups.get(path)) is not None
            and cgroup.inode == one.inode
        }
        return ReserveMemory(claims, strains, held), Plan(tuple(self._writes(limits, left, situation)))

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
        users = [pod for pod in situation.signals.pods if part_of(pod, device, disk) >= _NOTABLE]
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
