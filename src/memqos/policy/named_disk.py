"""The disks that the admin named in `io.disks`, by the device number that control files use."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from memqos.model.snapshot import Snapshot
from memqos.policy.io_settings import DiskSettings


def named_disks(disks: Iterable[DiskSettings], now: Snapshot) -> dict[str, DiskSettings]:
    """Return by device the first of `disks` that fits its name. `io.stat` has whole disks only."""
    root = now.cgroups.get("")
    whole = now.node.disks.keys() & (root.io_stat or {}).keys() if root is not None else frozenset[str]()
    found = {}
    for device in sorted(whole):
        first = next((each for each in disks if fnmatchcase(now.node.disks[device].name, each.name)), None)
        if first is not None:
            found[device] = first
    return found
