"""The page cache: reads with readahead, buffered writes, access marks.

mm/filemap.c, mm/readahead.c (`ondemand_readahead`, since 6.12 `page_cache_sync_ra` and
`page_cache_async_ra`), mm/swap.c (`folio_mark_accessed`); kernel.md 2.8, 4.3, 8. A page belongs to
the cgroup that touches it first. Readahead charges never call the OOM killer: the window is cut short.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, inode, io, lists, nodes, placement, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.access import accessed
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.layout import Mem

DONE, WAIT, FAILED = range(3)
IO_PAGES = 320  # bdi io_pages: max_sectors_kb 1280


@inlined
def into_lru(m: Mem, page: int, active: bool) -> None:
    """folio_add_lru: a new page joins the lists of its cgroup."""
    word = m.w[page]
    kind = 0 if word & k.ANON else 1
    if m.g[k.MGLRU]:
        if m.g[k.IN_FAULT]:
            if m.g[k.MGLRU_72]:
                active = word & k.WS != 0
                if not active:
                    accessed(m, page)
            else:
                active = True
        placement.add(m, page, active)
    else:
        lists.add(m, page, 2 * kind + (1 if active else 0))


@njit
def add_page(m: Mem, c: int, o: int, page: int, noretry: bool, write: bool) -> bool:
    """Bring a file page into memory, charged to `c`; False when it cannot be charged."""
    need = nodes.need(m, page) + (k.BUFFER_BYTES if write else 0)
    if need and not charge.kernel_memory(m, c, need):
        return False
    if not charge.new_page(m, c, noretry):
        return False
    enter(m, c, o, page, write)
    return True


@njit
def enter(m: Mem, c: int, o: int, page: int, write: bool) -> None:
    """A page that is charged, and its node's memory too, joins its file and the lists of `c`."""
    old = m.w[page]
    had = old & k.SHADOW != 0
    nodes.add(m, c, page, had)
    flags = 0
    active = False
    if had and not write:
        flags = workingset.refault(m, c, old, 1)
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
def read_window(m: Mem, c: int, o: int, start: int, size: int, marker: int) -> None:
    """page_cache_ra_unbounded: read what is not cached of a window, one request per gap-free run."""
    base = m.obj[o, k.O_BASE]
    d = m.obj[o, k.O_DEV]
    end = min(start + size, m.obj[o, k.O_PAGES])
    run = 0
    i = max(start, 0)
    while i < end:
        page = base + i
        if m.w[page] & k.RES:
            if run:
                io.submit(m, d, c, page - run, run, k.Q_READ)
                run = 0
        elif add_page(m, c, o, page, True, False):
            m.w[page] |= k.LOCKED | (k.RAHEAD if i == marker else 0)
            run += 1
        else:
            break
        i += 1
    if run:
        io.submit(m, d, c, base + i - run, run, k.Q_READ)


@njit
def _next_size(size: int, most: int) -> int:
    if size < most // 16:
        return 4 * size
    return 2 * size if size <= most // 2 else most


@njit
def _init_size(want: int, most: int) -> int:
    size = 1
    while size < want:
        size *= 2
    if size <= most // 32:
        return size * 4
    return size * 2 if size <= most // 4 else most


@njit
def _issue(m: Mem, t: int, c: int, o: int, index: int, most: int) -> None:
    size = m.task[t, k.T_RA_SIZE]
    if m.g[k.RA_61] and index == m.task[t, k.T_RA_START] and size == m.task[t, k.T_RA_ASYNC]:
        more = _next_size(size, most)
        if size + more <= most:
            m.task[t, k.T_RA_ASYNC] = more
            size += more
        else:
            size = most
            m.task[t, k.T_RA_ASYNC] = most // 2
        m.task[t, k.T_RA_SIZE] = size
    start = m.task[t, k.T_RA_START]
    read_window(m, c, o, start, size, start + size - m.task[t, k.T_RA_ASYNC])


@njit
def _most(m: Mem, t: int) -> int:
    """The largest window: read_ahead_kb, twice that after POSIX_FADV_SEQUENTIAL (mm/fadvise.c)."""
    return m.g[k.RA_PAGES] << m.prog[m.task[t, k.T_PC], k.P_RA]


@njit
def _fold(m: Mem, o: int, pages: int) -> None:
    """Decide once how large a file's folios are: from 64 pages on they stand above the leaf nodes (7.2)."""
    if m.g[k.FOLIO] > 1 and m.obj[o, k.O_TASK] < 0:
        m.obj[o, k.O_TASK] = 0
        m.obj[o, k.O_BIG] = 1 if pages >= 64 else 0


@njit
def sync_readahead(m: Mem, t: int, c: int, o: int, index: int, want: int) -> None:
    """A read missed: decide how much to read from its index."""
    most = _most(m, t)
    if most == 0:
        read_window(m, c, o, index, 1, -1)
        return
    _fold(m, o, most)
    if want > most:
        most = max(most, min(want, IO_PAGES))
    start = m.task[t, k.T_RA_START]
    size = m.task[t, k.T_RA_SIZE]
    ahead = m.task[t, k.T_RA_ASYNC]
    if m.g[k.RA_61] and index and (index == start + size - ahead or index == start + size):
        m.task[t, k.T_RA_START] = start + size
        size = _next_size(size, most)
        m.task[t, k.T_RA_SIZE] = size
        m.task[t, k.T_RA_ASYNC] = size
        _issue(m, t, c, o, index, most)
        return
    if index == 0 or want > most or 0 <= index - m.task[t, k.T_PREV] <= 1:
        size = _init_size(want, most)
        m.task[t, k.T_RA_START] = index
        m.task[t, k.T_RA_SIZE] = size
        if size > want:
            m.task[t, k.T_RA_ASYNC] = size - want
        else:
            m.task[t, k.T_RA_ASYNC] = size if m.g[k.RA_61] else size // 2
        _issue(m, t, c, o, index, most)
        return
    base = m.obj[o, k.O_BASE]
    history = 0
    while history < most and index - 1 - history >= 0 and m.w[base + index - 1 - history] & k.RES:
        history += 1
    if history <= want:
        read_window(m, c, o, index, want, -1)
        return
    if history >= index:
        history *= 2
    m.task[t, k.T_RA_START] = index
    m.task[t, k.T_RA_SIZE] = min(history + want, most)
    m.task[t, k.T_RA_ASYNC] = 1
    _issue(m, t, c, o, index, most)


@njit
def async_readahead(m: Mem, t: int, c: int, o: int, index: int, want: int) -> None:
    """A read met the marker page: start the next window before it is needed."""
    most = _most(m, t)
    if most == 0:
        return
    if want > most:
        most = max(most, min(want, IO_PAGES))
    start = m.task[t, k.T_RA_START]
    size = m.task[t, k.T_RA_SIZE]
    if index == start + size - m.task[t, k.T_RA_ASYNC]:
        m.task[t, k.T_RA_START] = start + size
        size = max(size, _next_size(size, most))
    else:
        base = m.obj[o, k.O_BASE]
        start = index + 1
        while start - index <= most and start < m.obj[o, k.O_PAGES] and m.w[base + start] & k.RES:
            start += 1
        if start - index > most or start >= m.obj[o, k.O_PAGES]:
            return
        m.task[t, k.T_RA_START] = start
        size = _next_size(start - index + want, most)
    m.task[t, k.T_RA_SIZE] = size
    m.task[t, k.T_RA_ASYNC] = size
    _issue(m, t, c, o, index, most)


@njit
def read_page(m: Mem, t: int, o: int, index: int, want: int) -> int:
    """Read one page of a file through a descriptor; WAIT: again at `g[DISK_WAIT]`.

    `want` is how many pages this read call still asks for.
    """
    c = m.task[t, k.T_CG]
    page = m.obj[o, k.O_BASE] + index
    if not m.w[page] & k.RES:
        sync_readahead(m, t, c, o, index, want)
        if not m.w[page] & k.RES:
            if not add_page(m, c, o, page, False, False):
                return FAILED
            m.w[page] |= k.LOCKED
            io.submit(m, m.obj[o, k.O_DEV], c, page, 1, k.Q_READ)
    elif m.w[page] & k.RAHEAD:
        m.w[page] &= ~k.RAHEAD
        async_readahead(m, t, c, o, index, want)
    if m.w[page] & k.LOCKED and io.still_read(m, m.obj[o, k.O_DEV], page):
        return WAIT
    if not m.w[page] & k.RES:
        m.g[k.DISK_WAIT] = m.g[k.NOW]
        return WAIT
    accessed(m, page)
    m.task[t, k.T_PREV] = index
    return DONE


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
def write_page(m: Mem, t: int, o: int, index: int) -> int:
    """Write one whole page of a file through a descriptor (no mark_accessed, no read)."""
    c = m.task[t, k.T_CG]
    page = m.obj[o, k.O_BASE] + index
    if not m.w[page] & k.RES:
        _fold(m, o, 64)
        if not add_page(m, c, o, page, False, True):
            return FAILED
    elif m.w[page] & k.LOCKED and io.still_read(m, m.obj[o, k.O_DEV], page):
        return WAIT
    elif not take_buffers(m, page):
        m.g[k.DISK_WAIT] = m.g[k.NOW]
        return WAIT
    set_dirty(m, c, o, page)
    return DONE
