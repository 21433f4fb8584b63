"""Page faults in mapped files, with read-around: mm/filemap.c (`filemap_fault`)."""

from __future__ import annotations

from memqos.sim.kernels import anon, buffered, dirty, folios, io, pagecache, readahead, tables
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.pagecache import DONE, FAILED, PAUSE, WAIT


@njit
def _fault_around(m: Mem, c: int, o: int, ra: int, index: int) -> None:
    """filemap_map_pages: a read fault maps what is cached around it; the profile says what of it is a hit."""
    base = m.obj[o, k.O_BASE]
    first = index & ~15
    counted = m.g[k.READ_AROUND_HITS]
    for i in range(first, min(first + 16, m.obj[o, k.O_PAGES])):
        word = m.w[base + i]
        folio = m.w[folios.head_of(m, base + i)]
        if word & k.RES and not word & (k.LOCKED | k.MAPPED) and not folio & k.RAHEAD:
            m.w[base + i] = tables.young(m, word, c) | k.MAPPED
            tables.mapped_by(m, ra, base + i, 0)
            m.cg[(word & k.CG_MASK) >> k.CG_SHIFT, k.N_MAPPED] += 1
            if folio & k.WS and counted != k.MAPPED_HIT:
                continue
            if counted == k.FAULTED_HIT and (i != index or m.obj[ra, k.O_TRIED] == base + i + 1):
                continue
            m.obj[ra, k.O_MMAP_MISS] = max(0, m.obj[ra, k.O_MMAP_MISS] - 1)


@njit
def _stored(m: Mem, ra: int, page: int, write: bool) -> bool:
    """Is this a first store to a cached page? It maps no others (`do_shared_fault`), and is a hit.

    Not the fault that is taken up again once its own page was read (FAULT_FLAG_TRIED).
    """
    return write and not m.w[page] & k.MAPPED and m.obj[ra, k.O_TRIED] != page + 1


@njit
def fault(m: Mem, t: int, o: int, ra: int, index: int, write: bool) -> int:
    """Touch a page of a mapped file that is not mapped yet; `ra` is the mapping whose read-around it is.

    Who has dirtied many pages so far pauses as one who writes does (mm/memory.c, `fault_dirty_shared_page`).
    """
    c = m.task[t, k.T_CG]
    page = m.obj[o, k.O_BASE] + index
    if write and m.task[t, k.T_DIRTIED] >= dirty.INTERVAL and dirty.balance(m, t, o, 0):
        return WAIT
    m.g[k.IN_FAULT] = 1
    if not anon.page_table(m, c, page):
        m.g[k.IN_FAULT] = 0
        return FAILED
    if not m.w[page] & k.RES:
        m.cg[c, k.PGMAJFAULT] += 1
        most = m.g[k.RA_PAGES]
        m.obj[ra, k.O_MMAP_MISS] += 1
        m.obj[ra, k.O_TRIED] = page + 1
        if most and m.obj[ra, k.O_MMAP_MISS] <= 100:
            start = max(0, index - most // 2)
            m.task[t, k.T_RA_START] = start
            m.task[t, k.T_RA_SIZE] = most
            m.task[t, k.T_RA_ASYNC] = most // 4
            m.task[t, k.T_RA_ORDER] = 0
            readahead.issue(m, t, c, o, start)
        if not m.w[page] & k.RES:
            if not pagecache.add_page(m, c, o, page, False, False):
                m.g[k.IN_FAULT] = 0
                return FAILED
            m.w[page] |= k.LOCKED
            io.submit(m, m.obj[o, k.O_DEV], c, page, 1, k.Q_READ)
    else:
        head = folios.head_of(m, page)
        ahead = m.w[head] & k.RAHEAD
        if ahead or _stored(m, ra, page, write):
            m.obj[ra, k.O_MMAP_MISS] = max(0, m.obj[ra, k.O_MMAP_MISS] - 1)
        if ahead:
            m.w[head] &= ~k.RAHEAD
            readahead.async_readahead(m, t, c, o, index, index + head - page, m.g[k.RA_PAGES])
    m.g[k.IN_FAULT] = 0
    if m.w[page] & k.LOCKED and io.still_read(m, m.obj[o, k.O_DEV], page):
        return WAIT
    if not m.w[page] & k.RES:
        m.g[k.DISK_WAIT] = m.g[k.NOW]
        return WAIT
    if not m.w[page] & k.MAPPED:
        m.cg[c, k.PGFAULT] += 1
        m.g[k.NOW] += m.g[k.NS_FAULT]
        if not write:
            _fault_around(m, c, o, ra, index)
        if not m.w[page] & k.MAPPED:
            m.w[page] |= k.MAPPED
            tables.mapped_by(m, ra, page, 0)
            m.cg[(m.w[page] & k.CG_MASK) >> k.CG_SHIFT, k.N_MAPPED] += 1
        m.obj[ra, k.O_TRIED] = 0
    elif write and not m.w[page] & k.DIRTY:  # ->page_mkwrite
        m.cg[c, k.PGFAULT] += 1
        m.g[k.NOW] += m.g[k.NS_FAULT]
    before = m.g[k.G_DIRTIED]
    if write and not buffered.page_mkwrite(m, c, o, page):
        m.g[k.DISK_WAIT] = m.g[k.NOW]
        return WAIT
    m.w[page] = tables.young(m, m.w[page], c)
    tables.mapped_by(m, ra, page, 1)
    return PAUSE if write and dirty.balance(m, t, o, m.g[k.G_DIRTIED] - before) else DONE
