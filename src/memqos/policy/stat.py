"""Lines of `memory.stat`, and what they say about a cgroup: what may be swapped, what no reclaim can take.

Rungs ask for this of every cgroup at every turn, so lines that are wanted together are found by their
positions in the file, which all cgroups of a kernel share (`memqos.model.snapshot.Counters`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Final

from memqos.model.snapshot import Cgroup, Counters
from memqos.units import UNLIMITED


class Lines:
    """Reads the same lines, two or more, by key, of many files; 0 where a kernel has no such line."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys
        self._layout: Mapping[str, int] | None = None
        self._lacking = False
        self._pick: Callable[[tuple[int, ...]], tuple[int, ...]]

    def of(self, counters: Counters | None) -> tuple[int, ...]:
        """Return the values in the order of the keys."""
        if counters is None:
            return (0,) * len(self._keys)
        if counters.layout is not self._layout:  # mostly there is but one
            layout = self._layout = counters.layout
            self._lacking = any(key not in layout for key in self._keys)
            self._pick = itemgetter(*(layout.get(key, len(layout)) for key in self._keys))
        return self._pick((*counters.values_, 0) if self._lacking else counters.values_)


_CACHE: Final = Lines("file", "shmem", "file_dirty", "file_writeback")
_SWAPPABLE: Final = Lines("anon", "shmem")
_KEPT: Final = Lines("anon", "shmem", "unevictable", "kernel", "slab_reclaimable")


def stat_of(cgroup: Cgroup, key: str) -> int:
    """Return one value of a cgroup's memory.stat; 0 where the kernel has no such line."""
    return 0 if cgroup.memory_stat is None else cgroup.memory_stat.get(key, 0)


def clean_cache(cgroup: Cgroup) -> int:
    """Return the bytes of a cgroup's page cache that can be dropped without writing anything."""
    file, shmem, dirty, writeback = _CACHE.of(cgroup.memory_stat)
    return min(cgroup.memory_current or 0, max(0, file - shmem - dirty - writeback))


def swapping_out(meminfo: Mapping[str, int]) -> int:
    """Return the bytes on their way to swap: in the swap cache, and being written.

    What is in the swap cache and is not written came back and kept its slot, or was read ahead.
    """
    return min(meminfo.get("SwapCached", 0), meminfo.get("Writeback", 0))


def swappable(cgroup: Cgroup, free: int = UNLIMITED) -> int:
    """Return the bytes that a cgroup's own swap.max, and `free` bytes of swap, still let out."""
    if not cgroup.memory_swap_max or cgroup.memory_stat is None:
        return 0
    room = cgroup.memory_swap_max - (cgroup.memory_swap_current or 0)
    return min(room, free, sum(_SWAPPABLE.of(cgroup.memory_stat))) if room > 0 else 0


def unreclaimable(cgroup: Cgroup, free: int = UNLIMITED) -> int:
    """Return the bytes of a cgroup that no reclaim can take when `free` bytes of swap are left."""
    if (stat := cgroup.memory_stat) is None:
        return 0
    anon, shmem, unevictable, kernel, slab = _KEPT.of(stat)
    kept = anon + shmem
    room = (cgroup.memory_swap_max or 0) - (cgroup.memory_swap_current or 0)
    if room > 0:  # as `swappable`
        kept -= min(room, free, kept)
    kept += unevictable + (kernel - slab if kernel > slab else 0)
    return min(cgroup.memory_current or 0, kept)
