"""Which disk the node swaps to, by the number that `io.stat` and `io.max` know it by.

/proc/swaps names a file. A swap device's number is the device node's own; a swap file's is that of
the filesystem it lies on. `io.max` takes whole disks only (`blkg_conf_open_bdev` in
block/blk-cgroup.c refuses a partition), so a partition stands for its disk: /sys/dev/block links to
it, and a partition's directory lies in its disk's.

A filesystem without a disk of its own (btrfs with its anonymous device numbers, NFS) has no answer.
An agent in a container may not see the file; then a device is known by its name in /proc/diskstats.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from memqos.model.snapshot import Disk, Swap


class SwapDevices:
    """Answers once for each swap: where it lies does not change while it is on."""

    def __init__(self, sys: str = "/sys") -> None:
        self._sys = sys
        self._known: dict[tuple[str, int], str | None] = {}

    def named(self, swaps: tuple[Swap, ...], disks: Mapping[str, Disk]) -> tuple[Swap, ...]:
        """Return the swaps with their devices."""
        keys = [(swap.filename, swap.size) for swap in swaps]
        for key in [key for key in self._known if key not in keys]:
            del self._known[key]
        for key in keys:
            if key not in self._known:
                self._known[key] = self._find(key[0], disks)
        return tuple(
            msgspec.structs.replace(swap, device=self._known[key])
            for swap, key in zip(swaps, keys, strict=True)
        )

    def _find(self, filename: str, disks: Mapping[str, Disk]) -> str | None:
        number = _number(filename)
        if number is None:
            name = filename.rpartition("/")[2]
            number = next((disk.device for disk in disks.values() if disk.name == name), None)
        return number and self._whole(number)

    def _whole(self, number: str) -> str | None:
        """Return the disk of a partition, and a disk itself; `None` for what is no block device."""
        try:
            place = (Path(self._sys) / "dev/block" / number).resolve(strict=True)
            return (
                (place.parent if (place / "partition").exists() else place)
                .joinpath("dev")
                .read_text()
                .strip()
            )
        except OSError:
            return None


def _number(filename: str) -> str | None:
    try:
        found = os.stat(filename)
    except OSError:
        return None
    number = found.st_rdev if stat.S_ISBLK(found.st_mode) else found.st_dev
    return f"{os.major(number)}:{os.minor(number)}"
