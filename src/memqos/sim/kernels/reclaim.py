"""Who is reclaimed from, in what order, and how hard: memcg limits, global reclaim, memory.reclaim.

mm/vmscan.c (`do_try_to_free_pages`, `shrink_node_memcgs`).
"""

from __future__ import annotations

from memqos.sim.kernels import (
    classic,
    counters,
    generations,
    io,
    memcg_lru,
    mglru,
    plug,
    psi,
    ranked,
    rounds,
    scan_count,
    shadow_nodes,
    stats,
    stock,
)
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, njit
from memqos.sim.kernels.mem import Mem


@njit
def _shielded(m: Mem, c: int) -> bool:
    """Whether protection keeps reclaim away from `c` in this pass."""
    target = m.g[k.SC_TARGET]
    if c == target or c == 0:
        return False
    usage = m.cg[c, k.USAGE]
    if m.cg[c, k.EMIN] >= usage and m.cg[c, k.EMIN]:
        return True
    if m.cg[c, k.ELOW] >= usage and m.cg[c, k.ELOW]:
        if not m.g[k.SC_LOW_RECLAIM]:
            m.g[k.SC_LOW_SKIPPED] = 1
            return True
        counters.event(m, c, k.E_LOW)
    return False


@njit
def shrink_one(m: Mem, c: int) -> None:
    """Reclaim from one cgroup, unless it is protected.

    Who was aged goes to the next generation of the LRU of cgroups, for a limit too (`lru_gen_shrink_lruvec`).
    """
    counters.effective(m, m.g[k.SC_TARGET], c)
    if _shielded(m, c):
        return
    if m.g[k.MGLRU]:
        if mglru.shrink_lruvec(m, c):
            memcg_lru.rotate(m, c, memcg_lru.YOUNG)
    else:
        classic.shrink_lruvec(m, c)
    shadow_nodes.shrink(m, c)


@njit
def _next_shared(m: Mem, target: int, fresh: bool) -> int:
    """mem_cgroup_iter with a shared position (6.12): the next cgroup, or -1 at the end of a round."""
    last = m.cg[target, k.ITER]
    c = target if last < 0 else counters.next_in(m, target, last)
    if c < 0 and fresh:
        c = target
    m.cg[target, k.ITER] = c
    return c


@njit
def _shrink_memcgs(m: Mem) -> None:
    target = m.g[k.SC_TARGET]
    shared = m.g[k.PARTIAL_WALK] and m.g[k.SC_KIND] != k.KSWAPD and not m.g[k.SC_FULL_WALK]
    c = _next_shared(m, target, True) if shared else target
    while c >= 0:
        shrink_one(m, c)
        m.g[k.WORK_ROUNDS] += 1 if target == 0 else 0
        if shared:
            if m.g[k.SC_RECLAIMED] >= m.g[k.SC_TO_RECLAIM]:
                break
            c = _next_shared(m, target, False)
        else:
            c = counters.next_in(m, target, c)


@njit
def _others_are_clean(m: Mem) -> bool:
    """skip_throttle_noprogress: of the node's pages that reclaim may take half or less await their write."""
    reclaimable = counters.tree_sum(m, 0, k.N_FILE)
    if m.g[k.SW_FREE]:
        reclaimable += counters.tree_sum(m, 0, k.N_ANON)
    return m.g[k.KSWAPD_FAILURES] >= 16 or 2 * (m.g[k.NDIRTY] + m.g[k.NWB]) <= reclaimable


@njit
def _throttle(m: Mem) -> None:
    """Where reclaim meets only pages of files that it waits for already, it sleeps (shrink_node).

    VMSCAN_THROTTLE_CONGESTED, a timeout of one jiffy after this and each further round, unless the node has
    as many clean pages, be they another cgroup's. MGLRU counts such pages as reworked for 7.2 only
    (`handle_reclaim_writeback`), and for limits only; kswapd does not sleep here.
    """
    if m.g[k.SC_DIRTY] and m.g[k.SC_DIRTY] == m.g[k.SC_CONGESTED]:
        m.g[k.SC_THROTTLED] = 1
    if not m.g[k.SC_THROTTLED] or m.g[k.SC_KIND] == k.KSWAPD:
        return
    if m.g[k.MGLRU] and (not m.g[k.MGLRU_72] or m.g[k.SC_TARGET] == 0):
        return
    if _others_are_clean(m):
        return
    plug.flush(m)
    io.stall(m, psi.timeout(m.g[k.NOW], 1))


@njit
def _shrink_node(m: Mem) -> None:
    m.g[k.SC_DIRTY] = 0
    m.g[k.SC_CONGESTED] = 0
    if m.g[k.MGLRU]:
        if m.g[k.SC_TARGET] == 0:
            ranked.walk(m, -1)
        else:
            _shrink_memcgs(m)
    else:
        scan_count.prepare(m, m.g[k.SC_TARGET])
        _shrink_memcgs(m)
    m.g[k.WORK_ROUNDS] += 1 if m.g[k.SC_TARGET] else 0
    io.spend(m)
    _throttle(m)


@njit
def begin(m: Mem, target: int, pages: int, kind: int, may_swap: int, swappiness: int) -> None:
    """A new struct scan_control."""
    m.g[k.SC_TARGET] = target
    m.g[k.SC_TO_RECLAIM] = pages
    m.g[k.SC_RECLAIMED] = 0
    m.g[k.SC_EARLIER] = 0
    m.g[k.SC_KIND] = kind
    m.g[k.SC_MAY_SWAP] = may_swap
    m.g[k.SC_SWAPPINESS] = swappiness
    m.g[k.SC_LOW_RECLAIM] = 0
    m.g[k.SC_LOW_SKIPPED] = 0
    m.g[k.SC_FORCE_DEACTIVATE] = 0
    m.g[k.SC_SKIPPED_DEACTIVATE] = 0
    m.g[k.SC_FULL_WALK] = 0
    m.g[k.SC_THROTTLED] = 0
    m.g[k.SC_DIRTY] = 0
    m.g[k.SC_CONGESTED] = 0


@njit
def set_initial_priority(m: Mem) -> int:
    """MGLRU's set_initial_priority for big orders, all generations but two counted inactive."""
    inactive = 0
    for c in range(m.g[k.NCG]):
        for kind in range(2):
            for seq in range(m.cg[c, k.MIN_SEQ_ANON + kind], m.cg[c, k.MAX_SEQ] - 1):
                if kind == 1 or m.g[k.SW_FREE]:
                    inactive += generations.size_of(m, c, kind, seq)
    bits = 0
    while inactive >> bits:
        bits += 1
    less = 0
    while (m.g[k.SC_TO_RECLAIM] - 1) >> less:
        less += 1
    return min(12, max(6, bits - 1 - less))


@njit
def _try_to_free(m: Mem) -> int:
    target = m.g[k.SC_TARGET]
    while True:
        m.g[k.SC_PRIORITY] = rounds.DEF_PRIORITY
        if m.g[k.MGLRU] and target == 0 and m.g[k.SC_TO_RECLAIM] >= 64:
            m.g[k.SC_PRIORITY] = set_initial_priority(m)
        if rounds.shrink(m):
            io.spend(m)
        while m.g[k.SC_RECLAIMED] < m.g[k.SC_TO_RECLAIM] and m.g[k.SC_PRIORITY] >= 0:
            m.g[k.SC_SCANNED] = 0
            _shrink_node(m)
            if m.g[k.SC_RECLAIMED] < m.g[k.SC_TO_RECLAIM]:
                m.g[k.SC_PRIORITY] -= 1
        for kind in range(2):
            m.cg[target, k.SNAP_ANON + kind] = stats.activated(m, target, kind)
        if m.g[k.SC_RECLAIMED]:
            return m.g[k.SC_RECLAIMED]
        if m.g[k.PARTIAL_WALK] and not m.g[k.SC_FULL_WALK]:
            m.g[k.SC_FULL_WALK] = 1
        elif m.g[k.SC_SKIPPED_DEACTIVATE]:
            m.g[k.SC_FORCE_DEACTIVATE] = 1
            m.g[k.SC_SKIPPED_DEACTIVATE] = 0
        elif m.g[k.SC_LOW_SKIPPED] and not m.g[k.SC_LOW_RECLAIM]:
            m.g[k.SC_FORCE_DEACTIVATE] = 0
            m.g[k.SC_LOW_RECLAIM] = 1
            m.g[k.SC_LOW_SKIPPED] = 0
        else:
            return 0


@apart
def memcg(m: Mem, target: int, pages: int, kind: int, may_swap: int, swappiness: int) -> int:
    """try_to_free_mem_cgroup_pages: reclaim at least 32 pages below `target`; return how many.

    When nothing could be freed, because everything awaits its write, a kernel tries sixteen times more, and
    the writes that end meanwhile save it. Where rounds of reclaim take no time of their own (`Costs.round`),
    nor would the tries: the caller sleeps until a write ends.
    """
    begin(m, target, max(pages, 32), kind, may_swap, swappiness)
    freed = _try_to_free(m)
    if freed == 0 and m.g[k.NS_ROUND] == 0:
        io.wait_write(m)
    return freed


@njit
def direct(m: Mem, pages: int) -> int:
    """Direct reclaim of the node for one allocation; return pages freed: of a folio's twice as many."""
    m.g[k.G_ALLOCSTALL] += 1
    begin(m, 0, max(32, 2 * pages), k.DIRECT, 1, m.g[k.SWAPPINESS])
    freed = _try_to_free(m)
    if freed == 0:
        io.wait_write(m)
    return freed


@njit
def proactive(m: Mem, target: int, pages: int, swappiness: int) -> int:
    """memory.reclaim: return pages freed; fewer than asked means EAGAIN."""
    stock.drain(m)
    freed = 0
    retries = 16
    only_swappiness = m.g[k.SWAPPINESS] if swappiness < 0 else swappiness
    while freed < pages:
        left = pages - freed
        if m.g[k.RECLAIM_QUARTER]:
            left = max(32, left // 4)
        got = memcg(m, target, left, k.PROACTIVE, 1, only_swappiness)
        freed += got
        if got == 0:
            retries -= 1
            if retries < 0:
                break
    return freed
