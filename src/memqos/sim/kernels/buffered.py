"""Reads and writes of a file through descriptors.

mm/filemap.c (`filemap_read`, `generic_perform_write`), fs/buffer.c.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, folios, inode, io, nodes, pagecache, readahead
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.access import accessed
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.pagecache import DONE, FAILED, WAIT


@njit
def read_page(m: Mem, t: int, o: int, index: int, want: int) -> int:
    """Read one page of a file through a descriptor; WAIT: again at `g[DISK_WAIT]`.

    `want` is how many pages this read call still asks for.
    """
    c = m.task[t, k.T_CG]
    page = m.obj[o, k.O_BASE] + index
    if not m.w[page] & k.RES:
        readahead.sync_readahead(m, t, c, o, index, want)
        if not m.w[page] & k.RES:
            if not pagecache.add_page(m, c, o, page, False, False):
                return FAILED
            m.w[page] |= k.LOCKED
            io.submit(m, m.obj[o, k.O_DEV], c, page, 1, k.Q_READ)
    else:
        head = folios.head_of(m, page)
        if m.w[head] & k.RAHEAD:
            m.w[head] &= ~k.RAHEAD
            first = index + head - page
            readahead.async_readahead(m, t, c, o, first, first, index + want - first)
    if m.w[page] & k.LOCKED and io.still_read(m, m.obj[o, k.O_DEV], page):
        return WAIT
    if not m.w[page] & k.RES:
        m.g[k.DISK_WAIT] = m.g[k.NOW]
        return WAIT
    if m.w[page] > 0 or not _same_folio(m, page, index - m.task[t, k.T_PREV]):
        accessed(m, page)
    m.task[t, k.T_PREV] = index
    return DONE


@inlined
def _same_folio(m: Mem, page: int, ago: int) -> bool:
    """Whether the page read before, so many before this one, is of its large folio (pos_same_folio)."""
    head = folios.head_of(m, page)
    return head <= page - ago < head + folios.pages_of(m, head)


@njit
def take_buffers(m: Mem, page: int) -> bool:
    """The first write to a page takes a buffer head, charged to the page's owner (alloc_page_buffers).

    It lasts until the page is freed. False when reclaim for it has freed the page.
    """
    word = m.w[page]
    if word & k.BUFFERS:
        return True
    c = (word & k.CG_MASK) >> k.CG_SHIFT
    charge.kernel_memory(m, c, k.BUFFER_BYTES)
    there = m.w[page] & k.RES != 0
    nodes.account(m, c, k.BUFFER_BYTES if there else 0)
    if there:
        m.w[page] |= k.BUFFERS
    return there


@njit
def set_dirty(m: Mem, c: int, o: int, page: int) -> None:
    """A file page is written to in memory."""
    word = m.w[page]
    if word & k.DIRTY:
        return
    m.w[page] = word | k.DIRTY
    m.cg[(word & k.CG_MASK) >> k.CG_SHIFT, k.N_DIRTY] += 1
    m.g[k.NDIRTY] += 1
    m.g[k.G_DIRTIED] += 1
    inode.attach(m, o, c)
    if m.obj[o, k.O_NDIRTY] == 0:
        m.obj[o, k.O_DIRTIED] = m.g[k.NOW]
        m.obj[o, k.O_CURSOR] = 0
    m.obj[o, k.O_NDIRTY] += 1


@njit
def _new_folio(m: Mem, c: int, o: int, index: int, want: int) -> int:
    """The folio a write that goes on for `want` pages begins (__filemap_get_folio, fgf_set_order): its pages.

    As large as fits what is written and is not cached; 0 when not even a page can be charged.
    """
    page = m.obj[o, k.O_BASE] + index
    pages = 1
    while 2 * pages <= min(want, m.g[k.FOLIO]) and index & (2 * pages - 1) == 0:
        pages *= 2
    while pages > 1:
        if folios.is_free(m, page, pages) and pagecache.add_folio(m, c, o, page, pages, False, True):
            return pages
        pages //= 2
    return 1 if pagecache.add_page(m, c, o, page, False, True) else 0


@njit
def write_pages(m: Mem, t: int, o: int, index: int, want: int) -> int:
    """Write whole pages through a descriptor (no mark_accessed, no read), `g[R0]` of `want` at once."""
    c = m.task[t, k.T_CG]
    page = m.obj[o, k.O_BASE] + index
    pages = 1
    if not m.w[page] & k.RES:
        pages = _new_folio(m, c, o, index, want)
        if pages == 0:
            return FAILED
    elif m.w[page] & k.LOCKED and io.still_read(m, m.obj[o, k.O_DEV], page):
        return WAIT
    elif not take_buffers(m, page):
        m.g[k.DISK_WAIT] = m.g[k.NOW]
        return WAIT
    for other in range(page, page + pages):
        set_dirty(m, c, o, other)
    m.g[k.R0] = pages
    return DONE


@njit
def page_mkwrite(m: Mem, c: int, o: int, page: int) -> bool:
    """A page is written to through a mapping: all of its folio is dirty. False when it went meanwhile."""
    head = folios.head_of(m, page)
    for other in range(head, head + folios.pages_of(m, head)):
        if not take_buffers(m, other):
            return False
    for other in range(head, head + folios.pages_of(m, head)):
        set_dirty(m, c, o, other)
    return True
