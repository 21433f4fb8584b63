"""How much of a guest's memory its pods could have, so that a simulated machine has the same.

What a guest holds beside its pods (the kernel, the unpacked root, the player, pages that lie about with the
CPUs) differs by 20 MiB between experiments, by 4 MiB between runs of e6 on 7.2. On a full node that decides
whether anything is swapped: in e6 a real 7.2 swapped 595 pages, a simulated one 6,837 with the room that
other experiments had, and none with this one's.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from memqos.lab.recording import Recording

_PODS = "kubepods"
_PART = 4
"""The samples with the least free memory count, one in so many: the CPUs' own pages are given up by then."""


def room_of(recording: Recording) -> int | None:
    """Bytes that were free or charged to pods when least was free; `None` when nobody looked."""
    if recording.room is not None:
        return recording.room
    seen = []
    for look in recording.samples:
        free = look.snapshot.node.meminfo.get("MemFree")
        pods = look.snapshot.cgroups.get(_PODS)
        if free is not None and pods is not None and pods.memory_current is not None:
            seen.append((free, free + pods.memory_current))
    seen.sort()
    return int(median(room for _, room in seen[: -(-len(seen) // _PART)])) if seen else None


def median_room(recordings: Iterable[Recording]) -> int | None:
    """The median of several runs' room, of those that know it."""
    known = [room for each in recordings if (room := room_of(each)) is not None]
    return int(median(known)) if known else None
