"""The disks that the admin named in `io.disks`, by the device number that control files use.

A name that fits no disk would do nothing, and nobody would know: an `Advice` says so, and which disks there
are. The usual slip is a partition's name: the kernel limits and schedules whole disks only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Final

from memqos.model.plan import Advice
from memqos.model.snapshot import Snapshot
from memqos.policy.io_settings import DiskSettings

_SHOWN: Final = 10
"""So many disks are named; a node may have dozens of loop devices."""


def named_disks(disks: Iterable[DiskSettings], now: Snapshot) -> dict[str, DiskSettings]:
    """Return by device the first of `disks` that fits its name. `io.stat` has whole disks only."""
    found = {}
    for device in _whole(now):
        first = next((each for each in disks if fnmatchcase(now.node.disks[device].name, each.name)), None)
        if first is not None:
            found[device] = first
    return found


def lost_names(disks: Collection[DiskSettings], now: Snapshot, name: str) -> tuple[Advice, ...]:
    """Return an advice, signed with `name`, for each of `disks` that fits none on the node.

    A node that shows no disks, as one that is only imagined, tells nothing about names.
    """
    there = sorted(now.node.disks[device].name for device in _whole(now)) if disks else []
    if not there:
        return ()
    named = ", ".join(there[:_SHOWN]) + (f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else "")
    return tuple(
        Advice(
            "node",
            f"io.disks names {disk.name}, and no disk is called that: nothing is done for it",
            f"name one of {named}, or a shell pattern for several",
            name,
        )
        for disk in disks
        if not any(fnmatchcase(one, disk.name) for one in there)
    )


def _whole(now: Snapshot) -> list[str]:
    root = now.cgroups.get("")
    return [] if root is None else sorted(now.node.disks.keys() & (root.io_stat or {}).keys())
