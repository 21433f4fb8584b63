"""Page faults in anonymous memory.

mm/memory.c (`do_anonymous_page`, `do_swap_page`).
"""

from __future__ import annotations

from memqos.sim.kernels import charge, counters, io, pagecache, shrink, swapin
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
        swapin.found(m, o, page)
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
        fine = swapin.bring(m, c, o, page)
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
