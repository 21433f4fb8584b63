"""Read-ahead: what else is read when a file is read or a mapping of it is touched.

mm/readahead.c (`ondemand_readahead`, since 6.12 `page_cache_sync_ra` and `page_cache_async_ra`; as of 7.2
`page_cache_ra_order` too). Its charges never call the OOM killer: the window is cut short.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, folios, io, pagecache
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

IO_PAGES = 320  # bdi io_pages: max_sectors_kb 1280


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
        elif pagecache.add_page(m, c, o, page, True, False):
            m.w[page] |= k.LOCKED | (k.RAHEAD if i == marker else 0)
            run += 1
        else:
            break
        i += 1
    if run:
        io.submit(m, d, c, base + i - run, run, k.Q_READ)


@njit
def read_folios(m: Mem, t: int, c: int, o: int, start: int, size: int, marker: int) -> None:
    """page_cache_ra_order: read a window in folios of `T_RA_ORDER`, smaller ones where it is not aligned.

    Where a page is cached already, or none can be charged, single pages fill what is left.
    """
    base = m.obj[o, k.O_BASE]
    end = min(start + size, m.obj[o, k.O_PAGES])
    most = 1
    while 2 * most <= min(size, m.g[k.FOLIO], 1 << m.task[t, k.T_RA_ORDER]):
        most *= 2
    m.task[t, k.T_RA_ORDER] = _order(most)
    i = start
    while i < end:
        pages = most if i & (most - 1) == 0 else i & -i
        while i + pages > end:
            pages //= 2
        if not folios.is_free(m, base + i, pages):
            if charge.new_folio(m, c, pages, True):  # charged before it is looked up
                charge.give_back(m, c, pages)
            break
        if pages > 1:
            if not pagecache.add_folio(m, c, o, base + i, pages, True, False):
                break
        elif not pagecache.add_page(m, c, o, base + i, True, False):
            break
        folios.change(m, base + i, 0, k.LOCKED)
        if i == marker & -pages:
            m.w[base + i] |= k.RAHEAD
        i += pages
    if i > start:
        io.submit(m, m.obj[o, k.O_DEV], c, base + start, i - start, k.Q_READ)
    if i < end:
        read_window(m, c, o, i, end - i, marker)


@inlined
def _order(pages: int) -> int:
    order = 0
    while pages >> (order + 1):
        order += 1
    return order


@njit
def issue(m: Mem, t: int, c: int, o: int, start: int) -> None:
    """Read the task's window, from where it starts on."""
    size = m.task[t, k.T_RA_SIZE]
    marker = start + size - m.task[t, k.T_RA_ASYNC]
    if m.g[k.FOLIO] > 1:
        read_folios(m, t, c, o, start, size, marker)
    else:
        read_window(m, c, o, start, size, marker)


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
def _grow_and_issue(m: Mem, t: int, c: int, o: int, index: int, most: int) -> None:
    """Read the window; until 6.9 one that begins with its marker grows first."""
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
    issue(m, t, c, o, m.task[t, k.T_RA_START])


@njit
def _most(m: Mem, t: int) -> int:
    """The largest window: read_ahead_kb, twice that after POSIX_FADV_SEQUENTIAL (mm/fadvise.c)."""
    return m.g[k.RA_PAGES] << m.prog[m.task[t, k.T_PC], k.P_RA]


@njit
def sync_readahead(m: Mem, t: int, c: int, o: int, index: int, want: int) -> None:
    """A read missed: decide how much to read from its index."""
    most = _most(m, t)
    if most == 0:
        read_window(m, c, o, index, 1, -1)
        return
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
        _grow_and_issue(m, t, c, o, index, most)
        return
    # ra->prev_pos: until 6.5 it moves within a read call, later when one ends (mm/filemap.c filemap_read)
    before = m.task[t, k.T_PREV] + 1 if m.g[k.RA_61] else m.task[t, k.T_CALL]
    if index == 0 or want > most or 0 <= index - before <= 1:
        size = _init_size(want, most)
        m.task[t, k.T_RA_START] = index
        m.task[t, k.T_RA_SIZE] = size
        if size > want:
            m.task[t, k.T_RA_ASYNC] = size - want
        else:
            m.task[t, k.T_RA_ASYNC] = size if m.g[k.RA_61] else size // 2
        m.task[t, k.T_RA_ORDER] = 0
        _grow_and_issue(m, t, c, o, index, most)
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
    m.task[t, k.T_RA_ORDER] = 0
    _grow_and_issue(m, t, c, o, index, most)


@njit
def async_readahead(m: Mem, t: int, c: int, o: int, index: int, folio: int, want: int) -> None:
    """A read from page `index` on met the marker, on the folio that begins at page `folio`: read further.

    On 7.2 each time in folios four times as large, as far as the window goes, which ends where one ends.
    """
    most = _most(m, t)
    if most == 0:
        return
    if want > most:
        most = max(most, min(want, IO_PAGES))
    start = m.task[t, k.T_RA_START]
    size = m.task[t, k.T_RA_SIZE]
    pages = folios.pages_of(m, m.obj[o, k.O_BASE] + folio)
    if index == (start + size - m.task[t, k.T_RA_ASYNC]) & -pages:
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
    if m.g[k.FOLIO] > 1:
        m.task[t, k.T_RA_ORDER] += 2
        align = min(1 << min(m.task[t, k.T_RA_ORDER], 30), most & -most)
        end = (m.task[t, k.T_RA_START] + size) & -align
        if end > m.task[t, k.T_RA_START]:
            size = end - m.task[t, k.T_RA_START]
    m.task[t, k.T_RA_SIZE] = size
    m.task[t, k.T_RA_ASYNC] = size
    _grow_and_issue(m, t, c, o, index, most)
