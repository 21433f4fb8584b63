"""Page accesses without a clock: reads of a file's pages, in the order a trace names them.

What a task that reads single pages without read-ahead does to memory, through the same functions
(charge, limits, reclaim, refaults, activation) and with the same counters, but a missing page is there at
once: no disk, no other task, no pressure. kswapd works when it is woken. mm/filemap.c `filemap_read`.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, reclaim, stream
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.layout import Mem
from memqos.sim.kernels.pagecache import accessed, add_page


@njit
def _miss(m: Mem, c: int, o: int, page: int) -> bool:
    """Bring a page in: as read-ahead of one page, and if that finds no room, with the OOM killer's help."""
    if not add_page(m, c, o, page, True, False) and not add_page(m, c, o, page, False, False):
        return False
    if m.g[k.OVER_HIGH]:
        charge.handle_over_high(m, c)
    if m.g[k.KSWAPD_WAKE]:
        m.g[k.KSWAPD_WAKE] = 0
        if m.g[k.KSWAPD_FAILURES] < 16:
            reclaim.kswapd(m)
    return True


@njit
def trace(m: Mem, c: int, o: int, count: int) -> int:
    """Read the pages `tab[:count]` of file `o` for cgroup `c`; return the misses.

    A page that could not be charged ends it: the answer is -1 minus its place in the trace.
    """
    base = m.obj[o, k.O_BASE]
    m.g[k.OVER_HIGH] = 0
    misses = 0
    i = 0
    while True:
        i = stream.reads(m, c, o, i, count)
        misses += m.g[k.R0]
        if i == count:
            return misses
        page = base + m.tab[i]
        if not m.w[page] & k.RES:
            if not _miss(m, c, o, page):
                return -1 - i
            misses += 1
        accessed(m, page)
        i += 1
