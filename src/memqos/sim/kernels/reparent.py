"""A removed cgroup's memory goes to its parent: its pages, their charges, its page-cache nodes.

mm/memcontrol.c (`memcg_reparent_objcgs`), mm/vmscan.c (`lru_gen_reparent_memcg`), mm/list_lru.c:
7.2 does so, earlier kernels leave them on the dead cgroup until they are reclaimed. Generations keep their
numbers, so the parent first gets all four. Swap slots stay the dead cgroup's, as its id does.
"""

from __future__ import annotations

from memqos.sim.kernels import folios, generations, lists, lru_batch, placement, stock
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem


@njit
def _move_list(m: Mem, c: int, parent: int, number: int) -> int:
    """Append one list's pages to the parent's, at the oldest end and in their order; return how many."""
    moved = 0
    lid = c * k.LISTS + number
    spare = m.g[k.CHUNK_FREE]
    if spare < 0 or m.ch[spare, k.NEWER] < 0:
        lists.compact(m)  # not while the list is walked
    chunk = m.ls[lid, k.HEAD]
    while chunk >= 0:
        first = chunk << k.CHUNK_SHIFT
        for i in range(m.ch[chunk, k.HI] - 1, m.ch[chunk, k.LO] - 1, -1):
            page = int(m.pool[first + i])
            if page >= 0:
                folios.change(m, page, k.CG_MASK, parent << k.CG_SHIFT)
                lists.put_tail(m, parent * k.LISTS + number, page)
                moved += folios.pages_of(m, page)
        older = m.ch[chunk, k.OLDER]
        lists.free_chunk(m, chunk)
        chunk = older
    m.ls[lid, k.HEAD] = -1
    m.ls[lid, k.TAIL] = -1
    m.ls[parent * k.LISTS + number, k.SIZE] += m.ls[lid, k.SIZE]
    m.ls[lid, k.SIZE] = 0
    return moved


@njit
def _move_nodes(m: Mem, c: int, parent: int) -> None:
    """Page-cache nodes, and the list of those that hold only shadows, after the parent's own."""
    for node in range(m.g[k.XA_END]):
        if m.xa[node, k.X_OWNER] == c + 1:
            m.xa[node, k.X_OWNER] = parent + 1
    first = m.cg[c, k.NODES_HEAD]
    last = m.cg[parent, k.NODES_TAIL]
    if first < 0:
        return
    m.xa[first, k.X_PREV] = last + 1
    if last >= 0:
        m.xa[last, k.X_NEXT] = first + 1
    else:
        m.cg[parent, k.NODES_HEAD] = first
    m.cg[parent, k.NODES_TAIL] = m.cg[c, k.NODES_TAIL]
    m.cg[parent, k.NODES] += m.cg[c, k.NODES]
    m.cg[c, k.NODES_HEAD] = -1
    m.cg[c, k.NODES_TAIL] = -1
    m.cg[c, k.NODES] = 0
    m.cg[parent, k.NODES_DEFERRED] += m.cg[c, k.NODES_DEFERRED]  # reparent_shrinker_deferred


@njit
def reparent(m: Mem, c: int) -> None:
    """Give all that the offline cgroup `c` holds to its parent; above the parent nothing changes."""
    parent = m.cg[c, k.PARENT]
    stock.drain(m)
    lru_batch.drain(m)
    if m.g[k.MGLRU]:
        for kind in range(2):
            while m.cg[parent, k.MAX_SEQ] - m.cg[parent, k.MIN_SEQ_ANON + kind] + 1 < placement.MAX_GENS:
                generations.age(m, parent, 1)
    moved = m.cg[c, k.KERNEL_PAGES]
    for number in range(k.LISTS):
        moved += _move_list(m, c, parent, number)
    _move_nodes(m, c, parent)
    for field in range(k.N_ANON, k.N_SHMEM + 1):
        m.cg[parent, field] += m.cg[c, field]
        m.cg[c, field] = 0
    m.cg[c, k.USAGE] -= moved
    m.cg[parent, k.SUM_STAMP] = 0
    for o in range(m.g[k.NOBJ]):
        if m.obj[o, k.O_WBCG] == c:
            m.obj[o, k.O_WBCG] = parent
