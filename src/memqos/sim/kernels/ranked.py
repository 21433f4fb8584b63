"""A pass of MGLRU over the whole node: cgroup after cgroup in the order of their LRU, until enough is free.

mm/vmscan.c (`shrink_one`, `shrink_many`, `lru_gen_shrink_node`). `memcg_lru` keeps the order.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, io, memcg_lru, mglru, shadow_nodes
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem


@njit
def _shrink_ranked(m: Mem, c: int) -> int:
    """shrink_one of mm/vmscan.c: reclaim from `c` for the whole node, and say where it goes in the order.

    What memory.low covers is passed over once, and reclaimed from when it is met again.
    """
    usage = m.cg[c, k.USAGE]
    if c and m.cg[c, k.EMIN] >= usage:  # also what is empty
        return memcg_lru.YOUNG
    if c and m.cg[c, k.ELOW] >= usage:
        if m.cg[c, k.LRU_SEG] != memcg_lru.TAIL:
            return memcg_lru.TAIL
        counters.event(m, c, k.E_LOW)
    aged = mglru.shrink_lruvec(m, c)
    shadow_nodes.shrink(m, c)
    if aged and m.cg[c, k.ONLINE]:
        return memcg_lru.YOUNG
    if not aged:
        total = mglru.evictable(m, c, mglru.swappiness_for(m, c))
        if total >> m.g[k.SC_PRIORITY] or (total and not m.cg[c, k.ONLINE]):
            return memcg_lru.STAY
    return memcg_lru.YOUNG if m.cg[c, k.LRU_SEG] == memcg_lru.TAIL else memcg_lru.TAIL


@njit
def _next_bin(m: Mem) -> bool:
    """Go on to the next bin of the generation; False when the walk has been through all."""
    m.g[k.WALK_BIN] = (m.g[k.WALK_BIN] + 1) % memcg_lru.BINS
    return m.g[k.WALK_BIN] != m.g[k.WALK_FIRST]


@njit
def walk(m: Mem, resumed: int) -> int:
    """shrink_many: visit cgroups until enough is free; `resumed` is where kswapd's last slice ended, or -1.

    Returns the cgroup at which kswapd's slice is over (it goes on there), -1 when the walk is done.
    """
    protect(m)
    kswapd = m.g[k.SC_KIND] == k.KSWAPD
    c = resumed
    if c < 0:
        m.g[k.WALK_GEN] = memcg_lru.oldest(m)
        m.g[k.WALK_FIRST] = memcg_lru.draw(m, memcg_lru.BINS)
        m.g[k.WALK_BIN] = m.g[k.WALK_FIRST]
        c = memcg_lru.first_of(m, m.g[k.WALK_GEN], m.g[k.WALK_BIN])
    elif m.cg[c, k.LRU_GEN] != m.g[k.WALK_GEN] or m.cg[c, k.LRU_BIN] != m.g[k.WALK_BIN]:  # moved since
        m.g[k.KSWAPD_LOOKED] = 0
        c = memcg_lru.first_of(m, m.g[k.WALK_GEN], m.g[k.WALK_BIN])
    while True:
        if c < 0:
            if not _next_bin(m):
                return -1
            c = memcg_lru.first_of(m, m.g[k.WALK_GEN], m.g[k.WALK_BIN])
            continue
        before = m.g[k.KSWAPD_LOOKED]
        op = _shrink_ranked(m, c)
        m.g[k.WORK_ROUNDS] += 1
        if kswapd:
            io.spend(m)
            if m.g[k.KSWAPD_LOOKED] != before and m.g[k.KSWAPD_LOOKED]:
                return c
            m.g[k.KSWAPD_LOOKED] = 0
        after = memcg_lru.next_of(m, c)
        if op != memcg_lru.STAY:
            memcg_lru.rotate(m, c, op)
        if mglru.enough(m):
            return -1
        c = after
        if kswapd and c >= 0 and m.g[k.NOW] >= m.g[k.SLICE_END]:
            return c


@njit
def protect(m: Mem) -> None:
    """mem_cgroup_calculate_protection of all, for the reclaim of the whole node."""
    c = 0
    while c >= 0:
        counters.effective(m, 0, c)
        c = counters.next_in(m, 0, c)
