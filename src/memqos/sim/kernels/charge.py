"""Getting a page: free memory and watermarks, the charge with reclaim, memory.high.

mm/memcontrol.c `try_charge_memcg`, `mem_cgroup_handle_over_high`; mm/page_alloc.c.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, flusher, io, oom, pcp, reclaim, stock
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, inlined, njit
from memqos.sim.kernels.mem import Mem

RETRIES = 16
COSTLY = 8  # pages of PAGE_ALLOC_COSTLY_ORDER: for more the OOM killer is not called
HZ = 250


@njit
def _overage(m: Mem, c: int, swap: bool) -> int:
    """How far the worst of `c` and its ancestors is above memory.high (memory.swap.high), in 2^-20 of it."""
    worst = 0
    while c > 0:
        high = m.cg[c, k.SWAP_HIGH] if swap else m.cg[c, k.HIGH]
        over = m.cg[c, k.SWAP if swap else k.USAGE] - high
        if over > 0:
            if swap:
                counters.rise(m, c, k.E_SWAP_HIGH)
            worst = max(worst, (over << 20) // max(high, 1))
        c = m.cg[c, k.PARENT]
    return worst


@njit
def _delay(overage: int, pages: int) -> int:
    """calculate_high_delay, in jiffies: 64 (over/high)^2 seconds per 64 pages."""
    overage = min(overage, 1 << 26)
    return ((overage * overage * HZ) >> 20 >> 14) * pages // 64


@njit
def handle_over_high(m: Mem, c: int) -> None:
    """mem_cgroup_handle_over_high: reclaim what is above memory.high, then sleep, at most two seconds."""
    pages = m.g[k.OVER_HIGH]
    m.g[k.OVER_HIGH] = 0
    retries = RETRIES
    first = True
    while True:
        freed = 0
        i = c
        while i > 0:
            if m.cg[i, k.USAGE] > m.cg[i, k.HIGH]:
                counters.event(m, i, k.E_HIGH)
                want = pages if first else 32
                freed += reclaim.memcg(m, i, want, k.DIRECT, 1, m.g[k.SWAPPINESS])
            i = m.cg[i, k.PARENT]
        first = False
        jiffies = _delay(_overage(m, c, False), pages) + _delay(_overage(m, c, True), pages)
        jiffies = min(jiffies, 2 * HZ)
        if jiffies <= HZ // 100:
            return
        if freed:
            continue
        if retries > 0:
            retries -= 1
            continue
        io.stall(m, m.g[k.NOW] + jiffies * (1_000_000_000 // HZ))
        return


@apart
def take_free(m: Mem, pages: int, may_fail: bool) -> bool:
    """Take free pages of the node, reclaiming below the min watermark; False when there are none.

    `may_fail` (readahead) gives up after one round and never wakes the OOM killer.
    """
    if m.g[k.FREE] < m.g[k.NEAR] and not _take_near(m, pages, may_fail):
        return False
    m.g[k.FREE] -= pages
    return True


@njit
def _take_near(m: Mem, pages: int, may_fail: bool) -> bool:
    """See that so many pages may be taken though few are free, and from where; False when they may not."""
    if pcp.free_of(m) - pages < m.g[k.WMARK_LOW]:
        if m.g[k.KSWAPD_PRIORITY] == 0:
            m.g[k.KSWAPD_WAKE] = 1
        retries = 0
        while pcp.free_of(m) - pages < m.g[k.WMARK_MIN] and not m.g[k.OOM_DYING]:
            freed = reclaim.direct(m, pages)
            if pcp.free_of(m) - pages < m.g[k.WMARK_MIN]:
                pcp.drain(m)
            if pcp.free_of(m) - pages >= m.g[k.WMARK_MIN]:
                break
            if may_fail and freed == 0:
                return False
            retries = 0 if freed else retries + 1
            if retries > RETRIES:
                if may_fail or not oom.out_of_memory(m, 0, pages):
                    return False
                retries = 0
        if pcp.free_of(m) < pages:
            pcp.drain(m)
        if m.g[k.FREE] < pages:
            return False
    if pages == 1:
        pcp.take(m, 1)
    return True


@njit
def charged(m: Mem, c: int, batch: int) -> None:
    """So many pages were charged to `c`: what is above memory.high there is the task's to reclaim."""
    i = c
    while i > 0:
        if m.cg[i, k.USAGE] > m.cg[i, k.HIGH] or m.cg[i, k.SWAP] > m.cg[i, k.SWAP_HIGH]:
            m.g[k.OVER_HIGH] += batch
            break
        i = m.cg[i, k.PARENT]
    if m.g[k.OVER_HIGH] > 64:
        handle_over_high(m, c)


@apart
def try_charge(m: Mem, c: int, pages: int, noretry: bool) -> bool:
    """Charge `pages` to `c`, reclaiming and killing as the kernel does; False is ENOMEM."""
    if m.g[k.STOCK_CG] != c and m.g[k.STOCK_SLOTS] > 1:
        stock.find(m, c)
    if m.g[k.STOCK_CG] == c and m.g[k.STOCK_N] >= pages:
        m.g[k.STOCK_N] -= pages
        return True
    batch = max(stock.BATCH, pages)
    over = counters.charge_tree(m, c, batch)
    if over >= 0 and batch > pages:
        batch = pages
        over = counters.charge_tree(m, c, batch)
    retries = RETRIES
    drained = False
    killed = False
    while over >= 0:
        counters.event(m, over, k.E_MAX)
        freed = reclaim.memcg(m, over, pages, k.DIRECT, 1, m.g[k.SWAPPINESS])
        if m.g[k.FLUSH_WAKE] == k.FLUSH_ALL:
            flusher.beside(m)
        if m.g[k.DYING]:
            oom.bury(m, m.g[k.NOW])
        if counters.margin(m, over) >= pages:
            pass
        elif not drained:
            stock.drain(m)
            drained = True
        elif noretry:
            return False
        elif freed and pages <= COSTLY:
            pass
        elif retries > 0:
            retries -= 1
        elif (killed and m.g[k.OOM_DYING]) or pages > COSTLY:
            return False
        elif oom.out_of_memory(m, over, pages):
            killed = True
            retries = RETRIES
        else:
            return False
        over = counters.charge_tree(m, c, batch)
    if batch > pages:
        stock.refill(m, c, batch - pages)
    charged(m, c, batch)
    return True


@njit
def kernel_memory(m: Mem, c: int, size: int) -> bool:
    """Charge the pages that `size` more bytes of kernel memory need; the bytes are counted later."""
    need = ((m.cg[c, k.N_KERNEL_BYTES] + size + 4095) >> 12) - m.cg[c, k.KERNEL_PAGES]
    if need <= 0:
        return True
    if not take_free(m, need, True):
        return False
    if not try_charge(m, c, need, True):
        counters.force_charge(m, c, need)
    m.cg[c, k.KERNEL_PAGES] += need
    return True


@njit
def new_folio(m: Mem, c: int, pages: int, noretry: bool) -> bool:
    """Allocate and charge a large folio for `c`; False when a smaller one must do."""
    if pcp.free_of(m) - pages < m.g[k.WMARK_LOW]:
        m.g[k.WANTED_FOLIO] = max(pages, m.g[k.WANTED_FOLIO])
    if not take_free(m, pages, True):
        return False
    if not try_charge(m, c, pages, noretry):
        m.g[k.FREE] += pages
        return False
    return True


@njit
def give_back(m: Mem, c: int, pages: int) -> None:
    """What was allocated and charged is not used after all."""
    m.g[k.FREE] += pages
    counters.uncharge(m, c, pages)


@inlined
def new_page(m: Mem, c: int, noretry: bool) -> bool:
    """Allocate and charge one page for `c`; False when readahead must stop or the task dies."""
    if not take_free(m, 1, noretry):
        return False
    if not try_charge(m, c, 1, noretry):
        m.g[k.FREE] += 1
        return False
    return True
