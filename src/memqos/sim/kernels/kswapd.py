"""kswapd: reclaim in the background, in slices, while those who allocate go on beside it.

mm/vmscan.c `balance_pgdat`, `kswapd_shrink_node`. How much it takes of whom is settled by who is
visited before enough is free, and the faster memory is taken meanwhile, the longer that lasts. So it stops
after a quantum of its own time and goes on at its next turn: at the same cgroup, with what was left there.
Woken for a large folio it passes through all cgroups, however much is free by then (mm/vmscan.c
`should_abort_scan`): each gives its part.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, io, pcp, ranked, reclaim, scan_count, stats
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

GAVE_UP, BALANCED, AGAIN = range(3)


@njit
def _resume(m: Mem) -> None:
    """The scan control of the slice before, or of a new run."""
    reclaim.begin(m, 0, max(m.g[k.WMARK_HIGH] - m.g[k.DMA_HELD], 32), k.KSWAPD, 1, m.g[k.SWAPPINESS])
    if m.g[k.KSWAPD_PRIORITY] == 0:
        m.g[k.G_PAGEOUTRUN] += 1
        m.g[k.KSWAPD_PRIORITY] = reclaim.set_initial_priority(m) if m.g[k.MGLRU] else 12
        m.g[k.KSWAPD_TOTAL] = 0
        m.g[k.KSWAPD_LOW] = 0
        m.g[k.KSWAPD_AT] = -1
        m.g[k.KSWAPD_FOLIO] = m.g[k.WANTED_FOLIO]
        m.g[k.WANTED_FOLIO] = 0
    m.g[k.SC_RECLAIMED] = m.g[k.KSWAPD_TOTAL]
    m.g[k.SC_SCANNED] = m.g[k.KSWAPD_SCANNED]
    m.g[k.SC_LOW_RECLAIM] = m.g[k.KSWAPD_LOW] & 1
    m.g[k.SC_LOW_SKIPPED] = m.g[k.KSWAPD_LOW] >> 1
    m.g[k.SLICE_END] = m.g[k.NOW] + m.g[k.QUANTUM]


@njit
def _save(m: Mem) -> int:
    m.g[k.KSWAPD_TOTAL] = m.g[k.SC_RECLAIMED]
    m.g[k.KSWAPD_SCANNED] = m.g[k.SC_SCANNED]
    m.g[k.KSWAPD_LOW] = m.g[k.SC_LOW_RECLAIM] | m.g[k.SC_LOW_SKIPPED] << 1
    return AGAIN


@njit
def _walk(m: Mem) -> bool:
    """Go on with a pass over the cgroups; False when the slice is over before its end."""
    at = m.g[k.KSWAPD_AT]
    if at < 0:
        m.g[k.SC_SCANNED] = 0
        m.g[k.KSWAPD_LOOKED] = 0
        m.g[k.KSWAPD_BEGAN] = m.g[k.SC_RECLAIMED]
    if m.g[k.MGLRU]:
        m.g[k.SC_EARLIER] = m.g[k.KSWAPD_BEGAN]
        m.g[k.KSWAPD_AT] = ranked.walk(m, at)
        return m.g[k.KSWAPD_AT] < 0
    at = max(at, 0)
    scan_count.prepare(m, 0)
    while at >= 0:
        reclaim.shrink_one(m, at)
        m.g[k.WORK_ROUNDS] += 1
        io.spend(m)
        at = counters.next_in(m, 0, at)
        m.g[k.KSWAPD_AT] = at
        if at >= 0 and m.g[k.NOW] >= m.g[k.SLICE_END]:
            return False
    return True


@njit
def run(m: Mem) -> int:
    """Reclaim for one slice, or until free memory is above the high watermark or nothing helps."""
    _resume(m)
    while m.g[k.KSWAPD_PRIORITY] and (m.g[k.KSWAPD_AT] >= 0 or pcp.free_of(m) <= m.g[k.WMARK_HIGH]):
        m.g[k.SC_PRIORITY] = m.g[k.KSWAPD_PRIORITY]
        if not _walk(m):
            return _save(m)
        if m.g[k.SC_RECLAIMED] >= 2 * m.g[k.KSWAPD_FOLIO]:  # compact_gap: from here on single pages do
            m.g[k.KSWAPD_FOLIO] = 0
        if m.g[k.SC_SCANNED] < m.g[k.SC_TO_RECLAIM] or m.g[k.SC_RECLAIMED] == m.g[k.KSWAPD_BEGAN]:
            m.g[k.KSWAPD_PRIORITY] -= 1
            if m.g[k.KSWAPD_PRIORITY] == 0 and m.g[k.SC_LOW_SKIPPED] and not m.g[k.SC_LOW_RECLAIM]:
                m.g[k.SC_LOW_RECLAIM] = 1
                m.g[k.KSWAPD_PRIORITY] = 12
        if m.g[k.KSWAPD_PRIORITY] and m.g[k.NOW] >= m.g[k.SLICE_END]:
            return _save(m)
    for kind in range(2):
        m.cg[0, k.SNAP_ANON + kind] = stats.activated(m, 0, kind)
    m.g[k.KSWAPD_FAILURES] = 0 if m.g[k.SC_RECLAIMED] else m.g[k.KSWAPD_FAILURES] + 1
    m.g[k.KSWAPD_PRIORITY] = 0
    return BALANCED if pcp.free_of(m) > m.g[k.WMARK_HIGH] else GAVE_UP
