"""What pages belong to: the files, regions and mappings of a simulated node.

Each has a row of `m.obj` and the pages from its base on. Sizes here are bytes.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from memqos.errors import ExperimentError
from memqos.sim.arrays import PAGE, Arrays
from memqos.sim.kernels import control
from memqos.sim.kernels import layout as k
from memqos.sim.profiles import Profile
from memqos.sim.spec import Costs, NodeSpec

_WRITTEN_NS = 1_000_000_000
"""By then a write to swap that was under way when its region went has ended."""


class Objects(Arrays):
    """The arrays of a node, its objects in them, and the way to the compiled kernels."""

    def __init__(self, profile: Profile, spec: NodeSpec, costs: Costs) -> None:
        super().__init__(profile, spec, costs)
        self.pages = 0
        self._table_end = 0
        self._unmapped: dict[int, int] = {}
        self._places: dict[tuple[int, ...], int] = {}
        self._divided: dict[tuple[int, int], int] = {}

    def order(self, what: int, a: int = 0, b: int = 0, c: int = 0) -> int:
        """Have the compiled kernels do something (`kernels.control`)."""
        return int(control.order(self.m, self.clock, what, int(a), int(b), int(c)))

    def with_tables(self, tab: Any, lat: Any, what: int, a: int, b: int) -> int:
        """As `order`, with other tables of pages to touch and of numbers."""
        own = {"tab": self.m.tab, "lat": self.m.lat}
        self._replace(tab=tab, lat=lat)
        try:
            return self.order(what, a, b)
        finally:
            self._replace(**own)

    def _add_object(self, kind: int, size: int, align: int) -> int:
        pages = -(-size // PAGE)
        base = -(-self.pages // align) * align
        self.pages = base + -(-pages // 512) * 512
        if self.pages >= 1 << 31:
            raise ExperimentError("more than 8 TiB of files and memory", remedy="make the scenario smaller")
        self._room(self.pages)
        o = self.m.g[k.NOBJ]
        self._more_rows("obj", o + 1)
        m = self.m
        m.obj[o, k.O_KIND] = kind
        m.obj[o, k.O_BASE] = base
        m.obj[o, k.O_PAGES] = pages
        m.obj[o, k.O_TASK] = -1
        m.obj[o, k.O_MAPCG] = -1
        blk: Any = m.blk
        blk[base >> 9 : self.pages >> 9, k.B_OBJ] = o
        m.g[k.NOBJ] = o + 1
        return o

    def file(self, size: int, disk: str = "") -> int:
        """Create a file of so many bytes on a disk (the first by default); return its object number."""
        o = self._add_object(k.FILE_OBJ, size, 512 if size <= 64 * PAGE else 4096)
        self.m.obj[o, k.O_DEV] = self.disk_numbers[disk] if disk else 0
        self.m.obj[o, k.O_WBCG] = -1
        return o

    def image(self, pages: int) -> int:
        """Create a file of so many pages that is not on any of the disks, as a program's own is."""
        o = self.file(pages * PAGE)
        self.m.obj[o, k.O_DEV] = -1
        return o

    def own_inode(self, o: int) -> None:
        """The root cgroup was the first to write the file, and its inode has been in memory since."""
        self.m.obj[o, k.O_WBCG] = 0

    def stored(self, o: int, *, yes: bool = True) -> None:
        """A file has all its blocks on its disk, or none."""
        self.m.obj[o, k.O_STORED] = int(yes)

    def pages_of(self, o: int) -> int:
        """How many pages a file or region has."""
        return int(self.m.obj[o, k.O_PAGES])

    def free_object(self, o: int) -> None:
        """Drop all pages of a file or region, shadows and dirty ones too."""
        self.order(control.FREE_OBJECT, o)

    def region(self, task: int, size: int, *, zero: bool = False) -> int:
        """Map anonymous memory into a task; nothing is charged until it is touched."""
        o = self._spare(-(-size // PAGE))
        if o < 0:
            o = self._add_object(k.ANON_OBJ, size, 512)
        self.m.obj[o, k.O_KIND] = k.ANON_OBJ
        self.m.obj[o, k.O_TASK] = task
        self.m.obj[o, k.O_MAPCG] = self.m.task[task, k.T_CG]
        self.m.obj[o, k.O_ZERO] = int(zero)
        return o

    def divide(self, o: int, sizes: tuple[int, ...]) -> None:
        """A region is made of several mappings, of so many pages: swap reads ahead within each by itself."""
        if len(sizes) < 2:
            return
        key = o, len(sizes)
        parts = [(end, 0, 0, 0) for end in accumulate(sizes)]
        at = self.table(k.RA_CELLS * len(parts)) if key not in self._divided else self._divided[key]
        self._divided[key] = at
        tab: Any = self.m.tab
        tab[at : at + k.RA_CELLS * len(parts)] = [cell for part in parts for cell in part]
        self.m.obj[o, k.O_PARTS] = at + 1

    def unmapped(self, o: int) -> None:
        """A region was munmapped whole: nothing is left of it, and its place may be given to another."""
        self.m.obj[o, k.O_KIND] = k.GONE
        self._unmapped[o] = int(self.m.g[k.NOW])

    def _spare(self, pages: int) -> int:
        """The place of a region of so many pages that is gone, emptied; -1 when there is none.

        Without this a program that maps its memory anew all the time, as stress-ng does, and one that is
        started again and again, would need ever more of this machine's memory.
        """
        table: Any = self.m.obj
        obj = table[: self.m.g[k.NOBJ]]
        for o in np.flatnonzero((obj[:, k.O_KIND] == k.GONE) & (obj[:, k.O_PAGES] == pages)):
            base, task = int(obj[o, k.O_BASE]), int(obj[o, k.O_TASK])
            since = self._unmapped.get(int(o), int(self.m.task[task, k.T_ENDED]))
            if self.m.blk[base >> 9, k.B_OBJ] != o:
                continue  # a mapping, which lies where its file does
            if self.spec.swap and self.m.g[k.NOW] - since < _WRITTEN_NS:
                continue
            self._unmapped.pop(int(o), None)
            obj[o] = 0
            obj[o, k.O_BASE], obj[o, k.O_PAGES] = base, pages
            return int(o)
        return -1

    def mapping(self, task: int, file: int, size: int) -> int:
        """Map the first bytes of a file, shared, into a task; return the mapping's object number."""
        o = self.m.g[k.NOBJ]
        self._more_rows("obj", o + 1)
        m = self.m
        row = {
            k.O_KIND: k.MAP_OBJ, k.O_BASE: m.obj[file, k.O_BASE], k.O_PAGES: -(-size // PAGE),
            k.O_TASK: task, k.O_MAPCG: m.task[task, k.T_CG], k.O_DEV: m.obj[file, k.O_DEV],
        }  # fmt: skip
        for field, value in row.items():
            m.obj[o, field] = value
        m.g[k.NOBJ] = o + 1
        return o

    def table(self, size: int) -> int:
        """Set aside `size` places of `tab` (pages to touch) and of `lat`; return the first."""
        first = self._table_end
        self._table_end += size
        self._more_rows("tab", self._table_end)
        self._more_rows("lat", self._table_end)
        return first

    def places(self, places: tuple[int, ...]) -> int:
        """Where these places stand in the table, for good: many processes need the same."""
        if places not in self._places:
            at = self.table(len(places))
            tab: Any = self.m.tab
            tab[at : at + len(places)] = places
            self._places[places] = at
        return self._places[places]

    def drop_caches(self) -> None:
        """`echo 1 > /proc/sys/vm/drop_caches`: clean, unmapped page cache goes."""
        for o in range(self.m.g[k.NOBJ]):
            if self.m.obj[o, k.O_KIND] == k.FILE_OBJ:
                self.order(control.FREE_OBJECT, o, 1)
