"""Many cycles of reclaim and reading at once, where all pages that go, and all that come, lie in a row.

What a copy or a checksum of a file larger than its cgroup settles into: the oldest pages are pages of one
file in order, the pages that are read are too, and nothing differs between them. Then as many cycles
(`cycles`) as fill a chunk of a list go by together: first all is looked at, without a branch for each eight
pages, then all pages go, then all come. A tree node that pages of one cycle leave and pages of a later one
enter has the same count and is on the same list whichever comes first. The distance of a refault only grows
between the first cycle and the last: it is held against its limit as of both.
"""

from __future__ import annotations

from memqos.sim.kernels import eights, evict, lists, reading, runs, shadow_nodes
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

FRESH = k.RES | k.REF | k.INACTIVE_FILE << k.LIST_SHIFT
CAME = k.RES | k.SHADOW | k.CG_MASK


@inlined
def _may_go(m: Mem, at: int, some: int, first: int, last: int) -> bool:
    """Whether what stands in a list from `at` on, at least eight pages, are clean ones of a file in a row."""
    page = m.pool[at]
    if page < first or page + some + runs.PAGES > last:  # eight are written where fewer go
        return False
    alike = True
    for done in range(0, some, runs.PAGES):
        near = min(done, some - runs.PAGES)  # the last eight overlap those before
        alike &= eights.in_order(m.pool, at + near, page + near)
        alike &= eights.alike(m.w, page + near, 0, evict.SPECIAL)
    return alike


@inlined
def _may_come(m: Mem, c: int, i: int, page: int, some: int, age: int, rivals: int) -> bool:
    """Whether the reads from `tab[i]` on are of pages in a row that all join the inactive list of `c`.

    The first of their cycles begins when the age is `age`, the last one less than `some` later.
    """
    word = m.w[page]
    mark = k.SHADOW | c << k.CG_SHIFT
    if word & k.RES or (word & k.SHADOW and word & CAME != mark):
        return False
    alike = True
    for done in range(0, some, runs.PAGES):
        near = min(done, some - runs.PAGES)
        alike &= eights.in_order(m.tab, i + near, m.tab[i] + near)
        alike &= eights.alike(m.w, page + near, word, CAME)
    if word & k.SHADOW:
        nearest = age - rivals - 1
        farthest = k.POS - rivals - some
        for done in range(0, some, runs.PAGES):
            near = min(done, some - runs.PAGES)
            alike &= eights.all_nearer(m.w, page + near, nearest, k.POS, farthest)
    for node in range(page >> 6, ((page + some - 1) >> 6) + 1):
        alike &= m.xn[node] != 0
    return alike


@inlined
def _go(m: Mem, c: int, at: int, some: int, age: int) -> None:
    """The pages that stand from `at` on leave shadows of rising age."""
    page = m.pool[at]
    mark = k.SHADOW | c << k.CG_SHIFT
    for done in range(0, some, runs.PAGES):
        runs.leave(m, page + done, mark, age + done, some - done)
    end = page + some
    while page < end:
        near = min(end - page, 64 - (page & 63))
        evict.left_one(m, page >> 6, near)
        page += near


@inlined
def _come(m: Mem, c: int, page: int, some: int, known: bool) -> None:
    """So many pages come, and stand at the newest end of the inactive list."""
    lid = c * k.LISTS + k.INACTIVE_FILE
    word = FRESH | c << k.CG_SHIFT
    end = page + some
    first = page
    while page < end:
        at, full = lists.head_room(m, lid)
        if at == full:
            lists.open_head(m, lid)
            at, full = lists.head_room(m, lid)
        some = min(end - page, full - at)
        for done in range(0, some, runs.PAGES):
            runs.enter(m, page + done, at + done, word, some - done)
        lists.set_head(m, lid, at + some)
        page += some
    page = first
    while page < end:
        near = min(end - page, 64 - (page & 63))
        reading.enter_node(m, page, m.xn[page >> 6], near, near if known else 0)
        page += near


@njit
def run(
    m: Mem, c: int, base: int, last: int, i: int, end: int, size: int, left: int, age: int, rivals: int
) -> int:
    """Read pages of the file that lies from `base` to `last`; return how many, whole cycles of `size`.

    -1: pages are not alike, and may not be soon. `age` is the cgroup's, `left` what its lists hold at the
    least. What is counted is the caller's; `g[R0]`: whether there were shadows.
    """
    lid = c * k.LISTS + k.INACTIVE_FILE
    some = min(k.CHUNK, end - i) // size * size
    if some < runs.PAGES:
        return 0
    page = base + m.tab[i]
    emptied = (some >> 6) + 4  # tree nodes, of two rows of pages
    if page + some + runs.PAGES > last or shadow_nodes.may_shrink(m, c, emptied, left):
        return 0
    chunk = m.ls[lid, k.TAIL]
    newer = m.ch[chunk, k.NEWER]
    if newer < 0:
        return 0
    old = (chunk << k.CHUNK_SHIFT) + m.ch[chunk, k.LO]
    near = min(some, (chunk << k.CHUNK_SHIFT) + m.ch[chunk, k.HI] - old)
    more = some - near  # these are in the next chunk
    other = (newer << k.CHUNK_SHIFT) + m.ch[newer, k.LO]
    if near < runs.PAGES or m.ch[newer, k.LO] + max(more, runs.PAGES) > m.ch[newer, k.HI]:
        return 0
    known = m.w[page] & k.SHADOW != 0
    m.g[k.R0] = 1 if known else 0
    if not _may_come(m, c, i, page, some, age + size, rivals):
        return -1
    if not _may_go(m, old, near, base, last):
        return -1
    if more and not _may_go(m, other, max(more, runs.PAGES), base, last):
        return -1
    _go(m, c, old, near, age)
    m.ch[chunk, k.LO] += near
    if more:
        _go(m, c, other, more, age + near)
        m.ch[newer, k.LO] += more
    if m.ch[chunk, k.LO] == m.ch[chunk, k.HI]:
        lists.drop_tail(m, lid)
    _come(m, c, page, some, known)
    return some
