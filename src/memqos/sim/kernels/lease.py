"""How many pages a cgroup may take before anything but counting happens, and counting them all at once.

A charge is only counting while the stock lasts, or while a limit refuses the 64 pages that are tried first
(mm/memcontrol.c `try_charge_memcg`) and grants the one that is tried next; and an allocation is while free
memory stays above the low watermark. `room` says for how many pages that holds, `settle` counts them.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, pcp
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined
from memqos.sim.kernels.mem import Mem

BATCH = 64  # MEMCG_CHARGE_BATCH


@inlined
def room(m: Mem, c: int) -> int:
    """Pages that `c` may take without reclaim, event, throttling or a woken kswapd; 0: unsure."""
    pages = pcp.free_of(m) - m.g[k.DMA_FREE] - m.g[k.WMARK_LOW]
    i = c
    while i > 0:
        if m.cg[i, k.SWAP] > m.cg[i, k.SWAP_HIGH]:
            return 0
        i = m.cg[i, k.PARENT]
    if m.g[k.STOCK_CG] == c and m.g[k.STOCK_N] > 0:
        return max(0, min(pages, m.g[k.STOCK_N]))
    refused = False
    i = c
    while i >= 0:
        usage = m.cg[i, k.USAGE]
        left = m.cg[i, k.MAX] - usage
        if not refused:
            if left < BATCH:
                refused = True
            else:  # 64 more must fit here each time, or another cgroup would begin to refuse
                pages = min(pages, left - BATCH + 1)
        pages = min(pages, left, m.cg[i, k.HIGH] - usage)
        i = m.cg[i, k.PARENT]
    return max(0, pages) if refused else 0


@inlined
def settle(m: Mem, c: int, pages: int) -> None:
    """Charge `c` what it took of its room; peaks keep the last refused attempt, as the kernel's watermark."""
    if pages == 0:
        return
    if m.g[k.FREE] < m.g[k.NEAR]:
        pcp.take(m, pages)
    m.g[k.FREE] -= pages
    if m.g[k.STOCK_CG] == c and m.g[k.STOCK_N] > 0:
        m.g[k.STOCK_N] -= pages
        return
    attempt = BATCH - 1
    i = c
    while i >= 0:
        usage = m.cg[i, k.USAGE]
        if m.cg[i, k.MAX] - usage < BATCH:
            attempt = 0
        usage += pages
        m.cg[i, k.USAGE] = usage
        m.cg[i, k.PEAK] = max(m.cg[i, k.PEAK], usage + attempt)
        if m.cg[i, k.PROTECTED]:
            counters.propagate(m, i)
        i = m.cg[i, k.PARENT]
