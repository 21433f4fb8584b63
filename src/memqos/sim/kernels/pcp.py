"""Free pages that lie with a CPU: taken from the zone many at a time, given back many at a time.

mm/page_alloc.c (`rmqueue_bulk`, `free_unref_page_commit`, `nr_pcp_alloc`, `nr_pcp_high`, `nr_pcp_free`). They
count as free nowhere: watermarks and MemFree see the zone's. So kswapd wakes up to a batch below the low
watermark, and what it frees is not there at once. A batch is 31 pages of a zone of 448 MiB, as MemFree of
every quiet guest of 6.1 falls. Since 6.7 a CPU that takes on and on and frees nothing takes twice as many
each time (`alloc_factor`), as far as its cache may hold them: guests of 6.12 and 7.2 fell by 248 to 496 at a
time. That takes the zone from its low watermark to below the min one, with which a task that needs one page
more reclaims for itself though kswapd has just been woken: 94 and 113 times in e6 on 6.12, 15 on 6.1. What
its own reclaim frees comes to its CPU, too; when that does not help, all CPUs give back what they have.

Followed where free memory is near its watermarks alone (`g[NEAR]`); the pages are part of `g[FREE]`, their
number is `g[LOOSE]`. Large folios come from the zone.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

SCALE_MAX = 5
"""CONFIG_PCP_BATCH_SCALE_MAX."""


@inlined
def free_of(m: Mem) -> int:
    """Free pages as watermarks see them."""
    return m.g[k.FREE] - m.g[k.LOOSE]


@inlined
def _row(m: Mem) -> int:
    """Where the row of the running task's CPU begins; what is done without one counts for the first."""
    return k.LB_ROW * m.task[m.g[k.CUR], k.T_CPU] if m.g[k.CUR] >= 0 else 0


@njit
def _batch(m: Mem, row: int) -> int:
    """nr_pcp_alloc: how many pages a CPU that has none takes at once."""
    base = m.g[k.PCP_BATCH]
    if not m.g[k.PCP_SCALES]:
        return base
    batch = base << m.lb[row + k.LB_FACTOR]
    high = m.g[k.PCP_HIGH]
    if free_of(m) > m.g[k.WMARK_HIGH]:  # else ZONE_BELOW_HIGH
        high += batch
    most = max(high - base, base)
    if batch <= most and m.lb[row + k.LB_FACTOR] < SCALE_MAX:
        m.lb[row + k.LB_FACTOR] += 1
    return min(batch, most)


@njit
def take(m: Mem, pages: int) -> None:
    """The running task's CPU hands out so many of its pages, those of the zone that it lacks first."""
    row = _row(m)
    left = pages
    while left > m.lb[row + k.LB_LOOSE]:
        more = max(1, min(_batch(m, row), free_of(m) - left))
        m.lb[row + k.LB_LOOSE] += more
        m.g[k.LOOSE] += more
    m.lb[row + k.LB_LOOSE] -= left
    m.g[k.LOOSE] -= left


@njit
def _give(m: Mem, pages: int) -> None:
    row = _row(m)
    base = m.g[k.PCP_BATCH]
    high = m.g[k.PCP_HIGH]
    if m.g[k.KSWAPD_PRIORITY]:  # ZONE_RECLAIM_ACTIVE
        high = min(4 * base, high)
    m.lb[row + k.LB_FACTOR] >>= min(pages, 8)
    had = m.lb[row + k.LB_LOOSE]
    count = had + pages
    if count >= high:
        some = max(base, min(pages, high - base))
        count -= (count - high) // some * some + some
    m.lb[row + k.LB_LOOSE] = max(0, count)
    m.g[k.LOOSE] += m.lb[row + k.LB_LOOSE] - had


@inlined
def give(m: Mem, pages: int) -> None:
    """So many single pages were freed, which `g[FREE]` counts already."""
    if m.g[k.FREE] < m.g[k.NEAR]:
        _give(m, pages)


@njit
def drain(m: Mem) -> None:
    """drain_all_pages: all CPUs give back what they have."""
    m.g[k.LOOSE] = 0
    for row in range(0, m.g[k.NCPU] * k.LB_ROW, k.LB_ROW):
        m.lb[row + k.LB_LOOSE] = 0
