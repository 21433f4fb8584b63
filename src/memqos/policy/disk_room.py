"""The room on a disk that lesser users have together, and each one's part of it (`memqos.policy.reserve_io`).

The kernel counts requests before it merges them (blk-throttle), but a disk serves them merged. So `riops` and
`wiops` are the disk's requests, multiplied by how many were merged into one lately. Swap is the exception: it
is read page by page, now in clusters of eight and now a page at a time, and a limit meant for clusters lets
single pages take all of the disk until the next look. So reads of a disk that is swapped to are counted as
the kernel counts them. A pod that swaps writes a page for every page that it reads back, and
from 6.12 on no limit holds those writes; so it may also read half as many bytes from such a disk.
There its files have a limit from the start. Where that limit would hold swap as well (6.1), only pods that
write files get it (`memqos.policy.limit_io` says why).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from memqos.model.snapshot import IoMax, IoStat
from memqos.policy.blame_io import swap_devices, use
from memqos.policy.io_demand import writes_files
from memqos.policy.io_settings import DiskSettings
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.units import UNLIMITED

_LEAST: Final = 0.25
"""Part of a disk that the lesser users keep whatever the others take."""
_STEP: Final = 0.05


class Room(NamedTuple):
    """A disk, what its most important users take of it each second, and the part of the rest to be used."""

    device: str
    disk: DiskSettings
    size: float
    requests: float
    part: float


def part_of(pod: PodSignals, device: str, disk: DiskSettings) -> float:
    """Return the part of a disk's figures that a pod uses, of bytes or of requests, whichever is more."""
    size, requests = use(pod, device)
    return max(size / disk.bytes_per_second, requests / disk.requests_per_second)


def shares(lesser: list[PodSignals], room: Room, situation: Situation) -> Iterator[tuple[PodSignals, IoMax]]:
    """Yield what each may have of the room that they have together."""
    device, disk = room.device, room.disk
    swapped = device in swap_devices(situation)
    reads, writes = (_merged(lesser, device, way, situation) for way in ("rios", "wios"))
    stats = [pod.io.get(device, IoStat()) for pod in lesser]
    sizes = [stat.rbytes + stat.wbytes for stat in stats]
    served = [stat.rios / reads + stat.wios / writes for stat in stats]
    for pod, size, requests in zip(
        lesser,
        _parts(disk.bytes_per_second, room.size, sizes, room),
        _parts(disk.requests_per_second, room.requests, served, room),
        strict=True,
    ):
        if swapped:
            spared = "io.max spares swap" in situation.view.now.features
            files = size if spared or writes_files(pod, device) else UNLIMITED
            yield pod, IoMax(rbps=size // 2, wbps=files, riops=requests)
        else:
            riops, wiops = int(requests * reads), int(requests * writes)
            yield pod, IoMax(rbps=size, wbps=size, riops=riops, wiops=wiops)


def _parts(whole: int, claimed: float, uses: Sequence[float], room: Room) -> Iterator[int]:
    """Yield for each use what the others leave of the room, in whole steps; its equal part at least."""
    step = whole * _STEP
    free = (whole * (1 - room.disk.headroom_percent / 100) - claimed) * room.part
    free = max(free, whole * _LEAST)
    for used in uses:
        part = max(free - (sum(uses) - used), free / len(uses))
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
