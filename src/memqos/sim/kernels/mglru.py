"""Multi-generational LRU reclaim of one cgroup: how many pages, and when to stop.

mm/vmscan.c (`get_nr_to_scan`, `try_to_shrink_lruvec`, `should_abort_scan`).
`g[MGLRU_72]` selects the rework of 6.14 (as in 7.2) over the rules of 6.12.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, flusher, generations, io, lru_batch, plug, zones
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.oldest import evict_folios, oldest_seq
from memqos.sim.kernels.placement import ANON, FILE, MIN_GENS
from memqos.sim.kernels.tiers import MIN_BATCH


@njit
def swappiness_for(m: Mem, c: int) -> int:
    """get_swappiness: 0 without at least 64 pages of swap room."""
    if not m.g[k.SC_MAY_SWAP] or counters.swap_room(m, c) < MIN_BATCH:
        return 0
    return m.g[k.SC_SWAPPINESS]


@njit
def evictable(m: Mem, c: int, swappiness: int) -> int:
    """Pages of all generations of the types that may be reclaimed."""
    total = 0
    for kind in range(2):
        if (kind == ANON and swappiness == 0) or (kind == FILE and swappiness == 201):
            continue
        for seq in range(m.cg[c, k.MIN_SEQ_ANON + kind], m.cg[c, k.MAX_SEQ] + 1):
            total += generations.size_of(m, c, kind, seq)
    return total


@njit
def _nr_to_scan(m: Mem, c: int, swappiness: int) -> int:
    """6.12's get_nr_to_scan: pages to scan now, or -1 after aging, and once memory.min covers the rest.

    A cgroup that was removed gives all it has at once (should_run_aging).
    """
    if c != m.g[k.SC_TARGET] and m.cg[c, k.EMIN] and m.cg[c, k.EMIN] >= m.cg[c, k.USAGE]:
        return -1
    newest = m.cg[c, k.MAX_SEQ]
    oldest = oldest_seq(m, c, swappiness)
    total = evictable(m, c, swappiness)
    must_age = oldest + MIN_GENS > newest
    if must_age:
        total = 0
    elif not m.cg[c, k.ONLINE]:
        return total
    if oldest + MIN_GENS == newest:
        young = 0
        old = 0
        for kind in range(2):
            if kind == ANON and swappiness == 0:
                continue
            young += generations.size_of(m, c, kind, newest)
            if newest - MIN_GENS >= m.cg[c, k.MIN_SEQ_ANON + kind]:
                old += generations.size_of(m, c, kind, newest - MIN_GENS)
        must_age = young * MIN_GENS > total or old * (MIN_GENS + 2) < total
    if not must_age or m.g[k.SC_PRIORITY] == 12:
        return total >> m.g[k.SC_PRIORITY]
    generations.age(m, c, swappiness)
    return -1


@njit
def enough(m: Mem) -> bool:
    """should_abort_scan: enough is reclaimed, or (kswapd, if no large folio is wanted) enough is free.

    kswapd asks each of its passes for as much, whatever those before it have brought (`lru_gen_shrink_node`).
    """
    kswapd = m.g[k.SC_TARGET] == 0 and m.g[k.SC_KIND] == k.KSWAPD
    if kswapd and m.g[k.KSWAPD_FOLIO] == 0 and zones.all_safe(m, MIN_BATCH):
        return True
    return m.g[k.SC_RECLAIMED] - m.g[k.SC_EARLIER] >= m.g[k.SC_TO_RECLAIM]


@njit
def _interrupted(m: Mem, looked: int) -> bool:
    """Whether kswapd's slice is over; it goes on with this cgroup from where it is."""
    if m.g[k.SC_KIND] != k.KSWAPD:
        return False
    if m.g[k.NOW] + counters.work(m) < m.g[k.SLICE_END]:
        return False
    m.g[k.KSWAPD_LOOKED] = looked
    return True


@njit
def _looked(m: Mem) -> int:
    """What kswapd has looked at of a cgroup before its last slice ended."""
    if m.g[k.SC_KIND] != k.KSWAPD:
        return 0
    looked = m.g[k.KSWAPD_LOOKED]
    m.g[k.KSWAPD_LOOKED] = 0
    return looked


@njit
def _shrink_612(m: Mem, c: int, swappiness: int) -> bool:
    scanned = _looked(m)
    while True:
        count = _nr_to_scan(m, c, swappiness)
        if count <= 0:
            break
        delta = evict_folios(m, c, swappiness, count)
        if m.g[k.WORK_OUT] and m.g[k.NS_SWAP_OUT]:
            io.spend(m)
        if m.g[k.FLUSH_WAKE] == k.FLUSH_ALL:
            flusher.preempt(m)
        scanned += delta
        if delta == 0 or scanned >= count or (m.g[k.SC_TARGET] == 0 and enough(m)):
            break
        if _interrupted(m, scanned):
            break
    return count < 0


@njit
def _shrink_72(m: Mem, c: int, swappiness: int) -> bool:
    rotate = False
    total = evictable(m, c, swappiness)
    if c != m.g[k.SC_TARGET] and (m.cg[c, k.EMIN] or m.cg[c, k.ELOW]):
        shield = m.cg[c, k.EMIN]
        if m.cg[c, k.ELOW] > shield and not m.g[k.SC_LOW_RECLAIM]:
            shield = m.cg[c, k.ELOW]
            m.g[k.SC_LOW_SKIPPED] = 1
        total = max(total - total * shield // (max(m.cg[c, k.USAGE], shield) + 1), 32)
    before = _looked(m)
    left = (total >> m.g[k.SC_PRIORITY]) - before
    whole = left + before
    while left > 0:
        oldest = oldest_seq(m, c, swappiness)
        newest = m.cg[c, k.MAX_SEQ]
        aged = False
        if oldest + MIN_GENS > newest or (m.g[k.SC_PRIORITY] < 12 and oldest + MIN_GENS == newest):
            generations.age(m, c, swappiness)
            aged = True
            rotate = True
        delta = evict_folios(m, c, swappiness, left)
        if m.g[k.WORK_OUT] and m.g[k.NS_SWAP_OUT]:
            io.spend(m)
        if m.g[k.FLUSH_WAKE] == k.FLUSH_ALL:
            flusher.preempt(m)
        if delta == 0 or enough(m) or (aged and m.g[k.SC_TARGET] == 0):
            break
        left -= delta
        if left > 0 and _interrupted(m, whole - left):
            break
    return rotate


@njit
def shrink_lruvec(m: Mem, c: int) -> bool:
    """Reclaim from one cgroup (try_to_shrink_lruvec); True when it was aged."""
    swappiness = swappiness_for(m, c)
    m.g[k.HARVEST] = 0 if m.g[k.SC_KIND] == k.DIRECT else 1  # set_mm_walk
    lru_batch.drain(m)
    mine = plug.start(m)
    aged = _shrink_72(m, c, swappiness) if m.g[k.MGLRU_72] else _shrink_612(m, c, swappiness)
    plug.finish(m, mine)
    return aged
