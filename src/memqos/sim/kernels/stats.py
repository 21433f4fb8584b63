"""Statistics of cgroups as of their last flush, and what reclaim of two lists decides with them since 6.8.

mm/memcontrol.c: they are flushed every two seconds (`flush_memcg_stats_dwork`, FLUSH_TIME) and when somebody
reads memory.stat. Who reclaims, brings an evicted page back or reckons dirty limits only flushes where that
is late by a whole period (`mem_cgroup_flush_stats_ratelimited`), which it is not: `lruvec_page_state` tells
how long lists were up to two seconds ago. A list that was too long then goes on being made shorter. Of the
8,450 active pages of a hot file a guest of 6.12 had 8,093 deactivated while a stream passed, and 8,016 the
next time; one of 7.2, where statistics were flushed meanwhile, 4,404 and 6,388; and one of 6.1, where at most
64 changes a CPU are not seen, 4,031 and 4,023.
"""

from __future__ import annotations

from memqos.sim.kernels import counters
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem


@njit
def _flush_lists(m: Mem) -> None:
    """The sizes of the two lists of each type, and refaults that activated, of each cgroup's subtree."""
    for c in range(m.g[k.NCG]):
        for i in range(4):
            m.cg[c, k.SUM0 + i] = 0
        for kind in range(2):
            m.cg[c, k.SEEN_ACTIVATE_ANON + kind] = 0
    for c in range(m.g[k.NCG]):
        d = c
        while d >= 0:
            for i in range(4):
                m.cg[d, k.SUM0 + i] += m.ls[c * k.LISTS + i, k.SIZE]
            for kind in range(2):
                m.cg[d, k.SEEN_ACTIVATE_ANON + kind] += m.cg[c, k.ACTIVATE_ANON + kind]
            d = m.cg[d, k.PARENT]


@njit
def flush(m: Mem) -> None:
    """css_rstat_flush: from here on statistics are what they are now, for who reads them late."""
    for c in range(m.g[k.NCG]):
        m.cg[c, k.SEEN_FILE] = m.cg[c, k.N_FILE]
        m.cg[c, k.SEEN_DIRTY] = m.cg[c, k.N_DIRTY]
        m.cg[c, k.SEEN_WB] = m.cg[c, k.N_WB]
    if counters.at_flush(m):
        _flush_lists(m)


@njit
def activated(m: Mem, target: int, kind: int) -> int:
    """Refaults below `target` that activated their page, as reclaim sees them."""
    if counters.at_flush(m):
        return m.cg[target, k.SEEN_ACTIVATE_ANON + kind]
    return counters.tree_sum(m, target, k.ACTIVATE_ANON + kind)


@njit
def length(m: Mem, c: int, number: int) -> int:
    """Pages of one of a cgroup's own lists, or (`counters.at_flush`) of its subtree's at the last flush."""
    if counters.at_flush(m):
        return m.cg[c, k.SUM0 + number]
    return m.ls[c * k.LISTS + number, k.SIZE]
