"""Page accesses without a clock: reads of a file's pages, in the order a trace names them.

What a task that reads single pages without read-ahead does to memory, through the same functions
(charge, limits, reclaim, refaults, activation) and with the same counters, but a missing page is there at
once: no disk, no other task, no pressure. kswapd works when it is woken. mm/filemap.c `filemap_read`.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, kswapd, passing, reading, stock, stream
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.access import accessed
from memqos.sim.kernels.cells import prefetch
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.pagecache import add_page, enter

COLUMNS = 6


@njit
def _miss(m: Mem, c: int, o: int, page: int, hand: int) -> bool:
    """Bring a page in: as read-ahead of one page, and if that finds no room, with the OOM killer's help."""
    if hand == stream.CHARGED:
        enter(m, c, o, page, False)
    else:
        first = hand != stream.REFUSED and add_page(m, c, o, page, True, False)
        if not first and not add_page(m, c, o, page, False, False):
            return False
    if m.g[k.OVER_HIGH]:
        charge.handle_over_high(m, c)
    if m.g[k.KSWAPD_WAKE]:
        m.g[k.KSWAPD_WAKE] = 0
        if m.g[k.KSWAPD_FAILURES] < 16:
            while kswapd.run(m) == kswapd.AGAIN:
                pass
    return True


@njit
def _trace(m: Mem, c: int, o: int, i: int, end: int, hits: bool) -> int:
    """Read the pages `tab[i:end]` of file `o` for cgroup `c`; return the misses.

    A page that could not be charged ends it: the answer is -1 minus its place in `tab`.
    """
    base = m.obj[o, k.O_BASE]
    stock.find(m, c)
    m.g[k.OVER_HIGH] = 0
    for near in range(i, min(i + reading.AHEAD, end)):
        prefetch(m.w, base + m.tab[near])
    misses = 0
    while True:
        i = stream.reads(m, c, o, i, end, hits)
        misses += m.g[k.R0]
        if i == end:
            return misses
        page = base + m.tab[i]
        if not m.w[page] & k.RES:
            if not _miss(m, c, o, page, m.g[k.R1]):
                return -1 - i
            misses += 1
        accessed(m, page)
        i += 1


@njit
def traces(m: Mem, count: int, turn: int) -> int:
    """Go through `count` traces, `turn` reads of each at a time; 0, or -1 minus the place that found no room.

    A trace is six numbers of `m.lat`: cgroup, file, its first and last place in `m.tab`, its misses, and
    those of its last turn, a guess at the next.
    """
    m.g[k.NTAB] = m.lat[COLUMNS * count - 3]
    passing.learn(m)
    going = True
    while going:
        going = False
        for row in range(0, COLUMNS * count, COLUMNS):
            at = m.lat[row + 2]
            stop = min(at + turn, m.lat[row + 3])
            if at < stop:
                going = True
                hits = 2 * m.lat[row + 5] < turn
                misses = _trace(m, m.lat[row], m.lat[row + 1], at, stop, hits)
                if misses < 0:
                    return misses
                m.lat[row + 2] = stop
                m.lat[row + 4] += misses
                m.lat[row + 5] = misses
    return 0
