"""Tree nodes that hold only shadows, and how many of them stay: mm/workingset.c."""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import nodes, shadow_list
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

BATCH = 128
"""SHRINK_BATCH"""


@inlined
def spare(m: Mem, c: int, left: int) -> int:
    """How many nodes more may be left to shadows before `shrink` acts, with `left` pages on lists."""
    left = 0 if m.g[k.SHADOW_SLAB_ONLY] else left
    return (((m.cg[c, k.N_SLAB_BYTES] >> 12) + left) >> 3) - m.cg[c, k.NODES]


@inlined
def may_shrink(m: Mem, c: int, emptied: int, left: int) -> bool:
    """Whether `shrink` could have anything to do once so many nodes more are left to shadows."""
    return emptied > spare(m, c, left)


@njit
def shrink(m: Mem, c: int) -> None:
    """Free the oldest nodes that hold only shadows beyond one per 8 pages of `c` (count_shadow_nodes).

    Half of what is too much each time, but in batches of 128 only (do_shrink_slab): what that leaves undone
    is deferred, and done when reclaim is hard pressed, a share of it that doubles with each priority.
    """
    pages = m.cg[c, k.N_SLAB_BYTES] >> 12
    if m.cg[c, k.NODES] <= pages >> 3:
        return
    if not m.g[k.SHADOW_SLAB_ONLY]:
        for i in range(k.LISTS):
            pages += m.ls[c * k.LISTS + i, k.SIZE]
    excess = m.cg[c, k.NODES] - (pages >> 3)
    if excess <= 0:
        return
    deferred = m.cg[c, k.NODES_DEFERRED]
    new = excess // 2
    scan = min((deferred >> m.g[k.SC_PRIORITY]) + new, 2 * excess)
    scanned = 0
    while scan >= BATCH or scan >= excess:
        some = min(BATCH, scan)
        for _ in range(min(some, m.cg[c, k.NODES])):
            _forget(m, c)
        scan -= some
        scanned += some
    m.cg[c, k.NODES_DEFERRED] = min(max(deferred + new - scanned, 0), 2 * excess)


@njit
def _forget(m: Mem, c: int) -> None:
    """Free the oldest node with its shadows (shadow_lru_isolate)."""
    node = m.cg[c, k.NODES_HEAD]
    upper = m.g[k.XA2]
    shadow_list.unlist(m, node)
    m.xn[node] = 0
    m.cg[c, k.NODERECLAIM] += 1
    if node < upper:
        first = node << 6
        for page in range(first, first + nodes.LEAF):
            word = m.w[page]
            m.w[page] = 0 if word & k.SHADOW else word  # written either way: eight at a time
        nodes.drop(m, first)
        return
    first = (node - upper) << 12
    o = m.blk[first >> 9, k.B_OBJ]
    for page in range(first, min(first + 4096, m.obj[o, k.O_BASE] + m.obj[o, k.O_PAGES])):
        m.w[page] = 0
    nodes.free(m, node)
    nodes.leave(m, first, 2, -1)
