"""Pages read from swap: the one that is wanted, and others that may be wanted next.

mm/swap_state.c (`swap_cluster_readahead`, `swap_vma_readahead`). On a disk that rotates the slots around the
page's own are read, on any other the pages around it in its mapping, each of which has a window of its own: a
process has dozens of small mappings, and the first fault in each reads eight pages.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, io, pagecache, plug, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

_MOST_HITS = 63  # SWAP_RA_HITS_MASK


@njit
def _swap_read(m: Mem, blamed: int, page: int, noretry: bool) -> bool:
    """read_swap_cache_async: bring one swapped page into the swap cache, charged to its slot's cgroup."""
    slot = m.aux[page] - 1
    c = (m.sw[slot] >> k.SW_CG_SHIFT) & 0xFFF
    if not m.cg[c, k.ONLINE]:
        c = blamed
    if not charge.new_page(m, c, noretry):
        return False
    old = m.w[page]
    flags = 0
    active = False
    if old & k.SHADOW:
        flags = workingset.refault(m, c, old, 0, 1)
        active = m.g[k.R0] != 0
    m.w[page] = k.RES | k.ANON | k.SWAPCACHE | (c << k.CG_SHIFT) | flags | (old & k.ZERO)
    m.cg[c, k.N_SWAPCACHED] += 1
    m.obj[m.blk[page >> 9, k.B_OBJ], k.O_RESIDENT] += 1
    m.g[k.CHANGES] += 1
    pagecache.into_lru(m, page, active)
    if m.sw[slot] & k.SW_ZERO:
        m.cg[c, k.SWPIN_ZERO] += 1
        return True
    m.w[page] |= k.LOCKED
    m.cg[c, k.PSWPIN] += 1
    io.submit(m, m.g[k.SWAP_DEV], blamed, page, 1, k.Q_SWAPIN)
    return True


@njit
def _window(m: Mem, hits: int, beside: bool, before: int) -> int:
    """__swapin_nr_pages: how many pages to read, by how many of the last ones read ahead were wanted."""
    size = hits + 2
    if hits == 0:
        if not beside:
            size = 1
    else:
        size = 4
        while size < hits + 2:
            size *= 2
    return max(min(size, 1 << m.g[k.PAGE_CLUSTER]), before // 2)


@njit
def _read_ahead(m: Mem, c: int, other: int, page: int) -> bool:
    if not _swap_read(m, c, other, other != page):
        return False
    if other != page:
        m.w[other] |= k.RAHEAD
    return True


@njit
def _cluster(m: Mem, c: int, page: int) -> None:
    """swap_cluster_readahead, on a disk that rotates: the aligned group of slots around the page's own."""
    slot = m.aux[page] - 1
    hits = m.g[k.SWRA_HITS]
    prev = m.g[k.SWRA_PREV]
    size = _window(m, hits, slot == prev + 1 or slot == prev - 1, m.g[k.SWRA_WINDOW])
    m.g[k.SWRA_HITS] = 0
    m.g[k.SWRA_WINDOW] = size
    if hits == 0:
        m.g[k.SWRA_PREV] = slot
    if size == 1:
        return
    first = slot & ~(size - 1)
    mine = plug.start(m)
    for s in range(max(first, 1), min(first + size, m.g[k.SW_TOTAL])):
        entry = m.sw[s]
        other = entry & k.POS
        if entry & k.SW_USED and not m.w[other] & k.RES and not _read_ahead(m, c, other, page):
            break
    plug.finish(m, mine)


@njit
def _part(m: Mem, o: int, index: int) -> int:
    """Where in `m.tab` the mapping stands that a page of a region of several is in."""
    part = m.obj[o, k.O_PARTS] - 1
    while index >= m.tab[part + k.RA_END]:
        part += k.RA_CELLS
    return part


@njit
def _neighbours(m: Mem, c: int, o: int, page: int) -> None:
    """swap_vma_readahead, on any other disk: pages around the one that faulted, as its mapping was used."""
    base = m.obj[o, k.O_BASE]
    index = page - base
    begin = 0
    last = m.obj[o, k.O_PAGES]
    if m.obj[o, k.O_PARTS]:
        part = _part(m, o, index)
        last = m.tab[part + k.RA_END]
        begin = m.tab[part - k.RA_CELLS + k.RA_END] if part >= m.obj[o, k.O_PARTS] else 0
        prev, win, hits = m.tab[part + k.RA_PREV], m.tab[part + k.RA_WIN], m.tab[part + k.RA_HITS]
    else:
        prev, win, hits = m.obj[o, k.O_RA_PREV], m.obj[o, k.O_RA_WIN], m.obj[o, k.O_RA_HITS]
    if prev == 0 and hits == 0 and win == 0:
        hits = 4  # GET_SWAP_RA_VAL of a mapping that was never swapped in from
    size = _window(m, hits, index == prev + 1 or index == prev - 1, win)
    _remember(m, o, index, size, 0)
    if size == 1:
        return
    first = index - (size - 1) // 2
    if index == prev + 1:
        first = index
    elif prev == index + 1:
        first = index - size + 1
    table = index & ~511
    mine = plug.start(m)
    for i in range(max(first, table, begin), min(first + size, table + 512, last)):
        other = base + i
        if m.aux[other] and not m.w[other] & k.RES and not _read_ahead(m, c, other, page):
            break
    plug.finish(m, mine)


@njit
def _remember(m: Mem, o: int, index: int, size: int, hits: int) -> None:
    """Where a mapping was swapped in from last, and how far; `size` 0: that stays, and `hits` are added."""
    if m.obj[o, k.O_PARTS]:
        part = _part(m, o, index)
        m.tab[part + k.RA_PREV] = index
        m.tab[part + k.RA_HITS] = min(m.tab[part + k.RA_HITS] + hits, _MOST_HITS) if size == 0 else 0
        m.tab[part + k.RA_WIN] = size or m.tab[part + k.RA_WIN]
    else:
        m.obj[o, k.O_RA_PREV] = index
        m.obj[o, k.O_RA_HITS] = min(m.obj[o, k.O_RA_HITS] + hits, _MOST_HITS) if size == 0 else 0
        m.obj[o, k.O_RA_WIN] = size or m.obj[o, k.O_RA_WIN]


@njit
def bring(m: Mem, c: int, o: int, page: int) -> bool:
    """swapin_readahead: bring a page in, and others that may be wanted next."""
    if m.g[k.PAGE_CLUSTER] and not m.g[k.SWAP_SYNC]:
        if m.g[k.SWAP_ROTATES]:
            _cluster(m, c, page)
        else:
            _neighbours(m, c, o, page)
    if not m.w[page] & k.RES and m.aux[page]:
        return _swap_read(m, c, page, False)
    return True


@njit
def found(m: Mem, o: int, page: int) -> None:
    """swap_cache_get_folio: a fault finds its page read already."""
    word = m.w[page]
    ahead = 1 if word & k.RAHEAD else 0
    if word & k.SWAPCACHE and not word & k.MAPPED:
        _remember(m, o, page - m.obj[o, k.O_BASE], 0, ahead)
    if ahead:
        m.w[page] = word & ~k.RAHEAD
        m.g[k.SWRA_HITS] += 1
