"""Page faults in anonymous memory, and swap-in with its readahead.

mm/memory.c (`do_anonymous_page`, `do_swap_page`), mm/swap_state.c.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, counters, io, pagecache, plug, shrink, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.pagecache import DONE, FAILED, WAIT


@njit
def page_table(m: Mem, c: int, page: int) -> bool:
    """Charge the page table of a 2 MiB block on its first use."""
    if m.blk[page >> 9, k.B_PT]:
        return True
    if not charge.take_free(m, 1, False):
        return False
    if not charge.try_charge(m, c, 1, False):
        m.g[k.FREE] += 1
        return False
    m.blk[page >> 9, k.B_PT] = c + 1
    m.cg[c, k.KERNEL_PAGES] += 1
    m.cg[c, k.N_KERNEL_BYTES] += 4096
    m.cg[c, k.N_PT] += 1
    return True


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
def _neighbours(m: Mem, c: int, o: int, page: int) -> None:
    """swap_vma_readahead, on any other disk: pages around the one that faulted, as its mapping was used."""
    base = m.obj[o, k.O_BASE]
    index = page - base
    prev = m.obj[o, k.O_RA_PREV]
    hits = m.obj[o, k.O_RA_HITS]
    if prev == 0 and hits == 0 and m.obj[o, k.O_RA_WIN] == 0:
        hits = 4  # GET_SWAP_RA_VAL of a mapping that was never swapped in from
    size = _window(m, hits, index == prev + 1 or index == prev - 1, m.obj[o, k.O_RA_WIN])
    m.obj[o, k.O_RA_PREV] = index
    m.obj[o, k.O_RA_WIN] = size
    m.obj[o, k.O_RA_HITS] = 0
    if size == 1:
        return
    first = index - (size - 1) // 2
    if index == prev + 1:
        first = index
    elif prev == index + 1:
        first = index - size + 1
    table = index & ~511
    mine = plug.start(m)
    for i in range(max(first, table), min(first + size, table + 512, m.obj[o, k.O_PAGES])):
        other = base + i
        if m.aux[other] and not m.w[other] & k.RES and not _read_ahead(m, c, other, page):
            break
    plug.finish(m, mine)


@njit
def _swap_in(m: Mem, c: int, o: int, page: int) -> bool:
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
def _found(m: Mem, o: int, page: int) -> None:
    """swap_cache_get_folio: a fault finds its page read already."""
    word = m.w[page]
    if word & k.SWAPCACHE and not word & k.MAPPED:
        m.obj[o, k.O_RA_PREV] = page - m.obj[o, k.O_BASE]
    if word & k.RAHEAD:
        m.w[page] = word & ~k.RAHEAD
        m.g[k.SWRA_HITS] += 1
        m.obj[o, k.O_RA_HITS] = min(m.obj[o, k.O_RA_HITS] + 1, 63)


@njit
def _map(m: Mem, c: int, page: int, write: bool) -> None:
    """The page table entry is set; a slot that is not worth keeping is freed (do_swap_page)."""
    word = m.w[page] | k.MAPPED | k.YOUNG
    m.w[page] = word
    owner = (word & k.CG_MASK) >> k.CG_SHIFT
    m.cg[owner, k.N_ANON] += 1
    m.cg[c, k.PGFAULT] += 1
    m.g[k.NOW] += m.g[k.NS_FAULT]
    if word & k.SWAPCACHE:
        kept = word & k.WB or m.g[k.SW_KEPT]
        if not word & k.WB and ((write and not kept) or counters.swap_full(m, owner)):
            shrink.leave_swapcache(m, page, owner)
        elif write:
            m.w[page] = word | k.DIRTY


@njit
def fault(m: Mem, t: int, o: int, page: int, write: bool) -> int:
    """Touch an anonymous page that is not simply there; WAIT: again at `g[DISK_WAIT]`."""
    c = m.task[t, k.T_CG]
    word = m.w[page]
    if word & k.RES:
        _found(m, o, page)
        if word & k.LOCKED and io.still_read(m, m.g[k.SWAP_DEV], page):
            return WAIT
        if not m.w[page] & k.MAPPED:
            _map(m, c, page, write)
        elif write:  # the entry is writable (pte_swp_exclusive): no fault, and it keeps its slot
            m.w[page] |= k.DIRTY
        m.w[page] |= k.YOUNG
        return DONE
    m.g[k.IN_FAULT] = 1
    if m.aux[page]:
        m.cg[c, k.PGMAJFAULT] += 1
        fine = _swap_in(m, c, o, page)
        m.g[k.IN_FAULT] = 0
        if not fine:
            return FAILED
        if m.w[page] & k.RES and not m.w[page] & k.LOCKED:
            _map(m, c, page, write)
            return DONE
        if not io.still_read(m, m.g[k.SWAP_DEV], page):
            m.g[k.DISK_WAIT] = m.g[k.NOW]
        return WAIT
    if not write:
        m.cg[c, k.PGFAULT] += 1
        m.g[k.NOW] += m.g[k.NS_FAULT]
        m.g[k.IN_FAULT] = 0
        return DONE
    if not page_table(m, c, page) or not charge.new_page(m, c, False):
        m.g[k.IN_FAULT] = 0
        return FAILED
    zero = k.ZERO if m.obj[o, k.O_ZERO] else 0
    m.w[page] = k.RES | k.ANON | k.MAPPED | k.YOUNG | k.DIRTY | (c << k.CG_SHIFT) | zero
    m.cg[c, k.N_ANON] += 1
    m.cg[c, k.PGFAULT] += 1
    m.obj[o, k.O_RESIDENT] += 1
    m.obj[o, k.O_TOUCHED] += 1
    m.g[k.CHANGES] += 1
    m.g[k.NOW] += m.g[k.NS_FAULT]
    pagecache.into_lru(m, page, False)
    m.g[k.IN_FAULT] = 0
    return DONE
