"""What a program holds and works with besides the memory it is asked to hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from zlib import crc32

from memqos.sim.footprints import HOLDING, NONE, WORKING, Footprint, Places, sort_of
from memqos.sim.kernels import layout as k
from memqos.sim.starting import LOAD_NS, WORKLOAD_NS
from memqos.sim.text import Text
from memqos.workload.many import draws_many
from memqos.workload.spec import (
    PAGE,
    Action,
    Hold,
    Phase,
    ReadFile,
    Repeat,
    RequestFile,
    Requests,
    Touch,
    WriteFile,
)

Row: TypeAlias = dict[int, int]


Table: TypeAlias = Callable[[Places], int]
"""Where places of pages stand in the machine's table."""


@dataclass(frozen=True, slots=True)
class Own:
    """What a process holds besides the memory it is asked to hold, in pages.

    `pages` of heap, stack and written library data, `kernel` of kernel stack, page tables and slab beyond
    the tables of `pages`. Which of them it needs when says its `footprint`. With `buffers` it has one of a
    block's size while it reads or writes a file; a phase that draws by a power law makes a table first, and
    one of requests what its loop takes, up to `table` pages, in place of the last one's; `spare` pages for it
    are there. It goes through `last` of its pages, the first ones, once more before it exits. `text` are its
    files. `shared` is how many pages of other files it maps, at least and at most: the interpreter and libc,
    which are in memory already.
    They are nobody's here, and count where the OOM killer looks for the largest process (get_mm_rss). Sizes
    were measured in guests: memory.stat of each program at work. It takes `start` ns to start (`starting`).
    """

    pages: int = 0
    kernel: int = 0
    footprint: Footprint = NONE
    buffers: bool = False
    table: int = 0
    spare: int = 0
    last: int = 0
    text: Text | None = None
    shared: tuple[int, int] = (0, 0)
    start: int = 0

    def shares(self, seed: int, task: int) -> int:
        """How many pages of `shared` a task maps: what faults around it had brought in by then is chance."""
        least, most = self.shared
        return least + crc32(b"%d/%d" % (seed, task)) % (most - least + 1)

    def begin(self, region: int, table: Table, ns: int = 0) -> list[Row]:
        """What the process does before its first phase, its own memory being that region.

        `ns` of the processor go by as it makes what does not come with its libraries.
        """
        made = self.footprint.made(self.pages)
        loaded = sum(self.footprint.fixed)
        parts = [made[:loaded], made[loaded:]] if ns else [made]
        rows = [self._visit(region, part, table) | {k.P_WRITE: 1} for part in parts]
        rows[-1][k.P_NS] = ns // len(parts[-1])
        return [*rows, rows[0] | {k.P_OP: k.OP_BEGIN, k.P_COUNT: self.kernel}]

    @property
    def size(self) -> int:
        """Its pages with those of a table, but for a buffer."""
        return self.pages + self.table - min(self.spare, self.table)

    def mappings(self, most: int) -> Places:
        """The pages of each mapping that its own memory is made of, with a buffer of `most`."""
        parts = (*self.footprint.mappings(self.pages), self.size - self.pages, most)
        return tuple(size for size in parts if size)

    def between(self, region: int, action: Action, seen: set[object], table: Table) -> list[Row]:
        """What it does of its own after a phase.

        Of the pages it needs then it writes to three of five: guests wrote 100 out anew (k2, k9).
        """
        rows = []
        if self.footprint.between:
            read = self._visit(region, self.footprint.between, table)
            rows += [read, read | {k.P_COUNT: read[k.P_COUNT] * 3 // 5, k.P_WRITE: 1}]
        if self.footprint.said and isinstance(action, Touch) and _SAID not in seen:
            seen.add(_SAID)
            rows.append(self._visit(region, self.footprint.said, table))
        return rows

    def buffer(self, phase: Phase) -> int:
        """Pages that a phase's buffer takes, behind all else: what malloc maps for it (M_MMAP_THRESHOLD)."""
        if isinstance(phase, Repeat):
            return max(map(self.buffer, phase.phases), default=0)
        file = phase.file if isinstance(phase, Requests) else phase
        if not self.buffers or not isinstance(file, ReadFile | WriteFile | RequestFile):
            return 0
        return file.block // PAGE + 1 if file.block > _MAPPED else 0

    def before(self, region: int, action: Action, seen: set[object], table: Table) -> list[Row]:
        """What comes before a phase: a table is made; a buffer, before its file is opened (and emptied).

        `seen` is which sorts of phases it has known before. From then on it needs what the phase's loop does.
        """
        made = min(self.table, _makes(action, self.spare))
        parts = [(self.pages - self.spare, made), (self.size, self.buffer(action))]
        rows = [
            self._touch(region) | {k.P_FIRST: first, k.P_COUNT: pages, k.P_CHUNK: pages}
            for first, pages in parts
            if pages
        ]
        if isinstance(action, Hold) and self.footprint.holding:
            rows.append(self._visit(region, self.footprint.holding, table))
        if not isinstance(action, Touch | ReadFile | WriteFile | Requests):
            return rows
        sort = sort_of(action)
        needed = [self.footprint.begin[sort], () if sort in seen else self.footprint.first[sort]]
        rows += [self._visit(region, places, table) for places in needed if places]
        seen.add(sort)
        loop = self.footprint.loop(action)
        if made and _by_power_law(action):
            loop += tuple(range(self.pages - self.spare, self.pages - self.spare + self.footprint.of_table))
        use = {k.P_OP: k.OP_USE, k.P_A: table(loop), k.P_COUNT: len(loop)}
        return [*rows, use | {k.P_B: int(self.footprint.keeps)}]

    def after(self, region: int, action: Action) -> list[Row]:
        """The buffer is freed when the phase is done."""
        first = self.size
        return [{k.P_OP: k.OP_FREE, k.P_OBJ: region, k.P_FIRST: first}] if self.buffer(action) else []

    def ending(self) -> list[int]:
        """The pages it goes through once its last phase is done and its regions are gone, in that order.

        An interpreter takes its objects apart. Of 2,740 to 2,970 of its pages that were in swap by then,
        guests brought back 2,490 to 2,610 before the process was gone, nearly all of which it touched, 1.6 to
        2.1 with each fault, in 1.2 to 1.6 seconds (e6, e7); with nothing in swap that took 0.2.
        """
        pairs = self.last // 2
        return [2 * (i * _SCATTER % pairs) + j for i in range(pairs) for j in range(2)]

    def end(self, region: int, table: int, count: int) -> Row:
        """Go through `count` of its pages, whose places are in the machine's table."""
        order = {k.P_PATTERN: k.TRACE, k.P_A: table, k.P_COUNT: count, k.P_NS: _ENDING_NS}
        return self._touch(region) | order

    def _visit(self, region: int, places: Places, table: Table) -> Row:
        """Read pages at these places."""
        order = {k.P_PATTERN: k.TRACE, k.P_A: table(places), k.P_COUNT: len(places), k.P_WRITE: 0}
        return self._touch(region) | order

    def _touch(self, region: int) -> Row:
        return {k.P_OBJ: region, k.P_CHUNK: self.pages, k.P_OP: k.OP_TOUCH, k.P_WRITE: 1}


_SAID = "said"
_SCATTER = 1021
"""A prime, so that neighbouring turns are far apart."""
_ENDING_NS = 2000
"""A page's part of an interpreter's end, its own time: 0.2 s for all on a guest, 25 times as slow."""
_MAPPED = 128 << 10
"""A buffer of no more finds room in the heap there is. M_MMAP_THRESHOLD is that size at first, but rises with
each larger piece that is freed (mallopt(3)), as an interpreter's start does. Guests that read by 128 KiB had
room for 33 pages more of page cache than with a mapping for it: of 30 MiB they freed by 32 pages at first and
then by 63, and of 24 by 63 in one run of two (k15 on 6.1)."""


def of_workload(phases: Sequence[Phase]) -> Own:
    """`memqos workload`, with these phases."""
    own = WORKLOAD
    if any(map(draws_many, phases)):
        more = _NUMPY.pages
        own = replace(own, pages=own.pages + more, kernel=own.kernel + _NUMPY.kernel, spare=_SPARE)
    return replace(own, table=max((_makes(phase, own.spare) for phase in phases), default=0))


def _makes(phase: Phase, spare: int) -> int:
    """Pages that it makes as it comes to a phase, if they are not there yet."""
    if isinstance(phase, Repeat):
        return max((_makes(each, spare) for each in phase.phases), default=0)
    if isinstance(phase, Requests) and phase.file is not None:
        if not _by_power_law(phase):
            return _SERVING
        return _TABLE + _SERVING if spare else _SERVING_TABLE
    return _TABLE if _by_power_law(phase) else 0


def _by_power_law(phase: Phase) -> bool:
    if isinstance(phase, Requests) and phase.file is not None and phase.file.order.kind == "zipf":
        return True
    return isinstance(phase, Touch | ReadFile | Requests) and phase.order.kind == "zipf"


def plain(name: str, buffer: int) -> Own:
    """One of coreutils, with so many bytes of buffer."""
    pages = buffer >> 12
    text = Text(name, 11, large=(15, 0))
    return Own(27 + pages, 16, Footprint(tuple(range(4 + pages))), text=text, shared=_LIBC)


_LIBC = 367, 403
SLEEP = Own(27, 16, Footprint(tuple(range(4))), text=Text("sleep", 11, waits=True), shared=_LIBC)
NOTHING = Own()
PYTHON = Own(
    *(903, 21, HOLDING),
    text=Text("memqos.lab.load", 0, 5, large=(0, 9)),
    shared=(1449, 1525),
    start=LOAD_NS,
)
"""A bare interpreter in a loop: `memqos.lab.load`. `shared` as kernels wrote it down at kills (file-rss): the
middle nine tenths of 173; of `memqos workload` of 163; and all eight of sleep and dd."""
WORKLOAD = Own(
    *(3198, 33, WORKING),
    buffers=True,
    last=2890,
    text=Text("memqos workload", 10, 5, large=(10, 14)),
    shared=(1906, 1962),
    start=WORKLOAD_NS,
)
"""`memqos workload`."""
_NUMPY = Own(147, 18)
"""What importing numpy adds, which guests refuse half way (`memqos.linux.workload.program.load_numpy`)."""
_SPARE = 66
"""Pages of that which are free then, and where a table is made: guests' memory grew by 19 pages in a phase
that drew by a power law (k9 on 6.1: pgsteal less what was swapped in), and by the whole table where numpy was
not asked for (k8)."""
_TABLE = 85
"""Pages more that it makes when it draws by a power law: a table of some 1,200 classes, and what is left of
making it. Guests freed 87, 96 and 85 pages more of a file, on 6.1, 6.12 and 7.2 (k8)."""
_SERVING, _SERVING_TABLE = 28, 68
"""Pages more for a loop of requests that read a file, and with a table for its blocks: guests' memory grew by
27 to 29 (e7) and 67 to 69 (k18). Where numpy was asked for 43 to 46 more than those that are free then (e6,
e16): as for both, less `_SPARE`. A loop that reads no file takes 7 to 10 (e11, e14), which are left out."""
