"""The page cache: how a page or a folio of a file gets into memory.

mm/filemap.c (`filemap_add_folio`). A page belongs to the cgroup that touches it first.
What reads (`readahead`) and what reads and writes through descriptors (`buffered`) builds on this.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, folios, lists, lru_batch, nodes, placement, workingset, zones
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.access import accessed
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

DONE, WAIT, FAILED, PAUSE = range(4)  # PAUSE: done, and to sleep until `g[DISK_WAIT]`


@inlined
def into_lru(m: Mem, page: int, active: bool) -> None:
    """folio_add_lru: a new page or folio joins the lists of its cgroup, perhaps by a batch."""
    word = m.w[page]
    kind = 0 if word & k.ANON else 1
    if m.g[k.MGLRU]:
        if m.g[k.DMA_FREE] and zones.is_short(m):
            zones.take(m, page)
        if m.g[k.IN_FAULT]:
            if m.g[k.MGLRU_72]:
                active = word & k.WS != 0
                if not active:
                    accessed(m, page)
            else:
                active = True
        if m.g[k.LRU_BATCH] == 0 or m.g[k.CUR] < 0:
            placement.add(m, page, active)
        elif kind == 0:
            placement.add(m, page, active)
            lru_batch.push(m, -1)
        elif word > 0:
            lru_batch.add(m, page, active)
        else:
            lru_batch.drain(m)
            placement.add(m, page, active)
    else:
        lists.add(m, page, 2 * kind + (1 if active else 0))


@njit
def add_page(m: Mem, c: int, o: int, page: int, noretry: bool, write: bool) -> bool:
    """Bring a file page into memory, charged to `c`; False when it cannot be charged."""
    need = nodes.need(m, page, 1) + (k.BUFFER_BYTES if write else 0)
    if need and not charge.kernel_memory(m, c, need):
        return False
    if not charge.new_page(m, c, noretry):
        nodes.account(m, c, 0)  # the nodes are not needed after all
        return False
    enter(m, c, o, page, write)
    return True


@njit
def enter(m: Mem, c: int, o: int, page: int, write: bool) -> None:
    """A page that is charged, and its node's memory too, joins its file and the lists of `c`."""
    old = m.w[page]
    had = old & k.SHADOW != 0
    nodes.add(m, c, page, 1, 1 if had else 0)
    flags = 0
    active = False
    if had and not write:
        flags = workingset.refault(m, c, old, 1, 1)
        active = m.g[k.R0] != 0
    if write:
        nodes.account(m, c, k.BUFFER_BYTES)
        flags |= k.BUFFERS
    m.w[page] = k.RES | (c << k.CG_SHIFT) | flags
    m.cg[c, k.N_FILE] += 1
    m.obj[o, k.O_RESIDENT] += 1
    m.g[k.CHANGES] += 1
    m.g[k.NOW] += m.g[k.NS_READ_MISS]
    into_lru(m, page, active)


@njit
def add_folio(m: Mem, c: int, o: int, page: int, pages: int, noretry: bool, write: bool) -> bool:
    """As `add_page`, for a folio of that many pages. The last shadow in its place speaks for all."""
    need = nodes.need(m, page, pages) + (pages * k.BUFFER_BYTES if write else 0)
    if need and not charge.kernel_memory(m, c, need):
        return False
    if not charge.new_folio(m, c, pages, noretry):
        nodes.account(m, c, 0)
        return False
    old = 0
    known = 0
    for other in range(page, page + pages):
        if m.w[other] & k.SHADOW:
            old = m.w[other]
            known += 1
    nodes.add(m, c, page, pages, known)
    mine = 0
    active = False
    if known and not write:
        mine = workingset.refault(m, c, old, 1, pages)
        active = m.g[k.R0] != 0
    if write:
        nodes.account(m, c, pages * k.BUFFER_BYTES)
    folios.make(m, page, pages, k.RES | (c << k.CG_SHIFT) | (k.BUFFERS if write else 0), mine)
    m.cg[c, k.N_FILE] += pages
    m.obj[o, k.O_RESIDENT] += pages
    m.g[k.CHANGES] += pages
    m.g[k.NOW] += pages * m.g[k.NS_READ_MISS]
    into_lru(m, page, active)
    return True
