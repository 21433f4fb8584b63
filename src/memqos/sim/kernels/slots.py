"""Swap slots: which one a page gets, and what it gives back.

mm/swapfile.c. Slots are handed out cluster by cluster, 512 slots each, in ascending order, so
that pages swapped out together lie together; two clusters in use one after another do not. The next cluster
is a free one as long as there is any, or from 6.13 on first one that has become partly free
(`cluster_alloc_swap_entry`, the list `nonfull_clusters`, oldest first): then what is swapped out while other
pages are swapped in lies scattered in the holes these leave.

Behind the slots `m.sw` has two cells a cluster: its slots in use, and its link in the queue of partly free
ones.
"""

from __future__ import annotations

from memqos.sim.kernels import counters
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

CLUSTER = 512
CELLS = 2
"""Cells a cluster behind the slots."""
USED, LINK = range(CELLS)
NOT_QUEUED = 0
LAST = -1


@njit
def _cell(m: Mem, cluster: int) -> int:
    return m.g[k.SW_TOTAL] + CELLS * cluster


@njit
def _queue(m: Mem, cluster: int) -> None:
    """A cluster has become partly free: to the end of `nonfull_clusters`."""
    cell = _cell(m, cluster)
    if m.sw[cell + LINK] != NOT_QUEUED:
        return
    m.sw[cell + LINK] = LAST
    if m.g[k.SW_QUEUE_TAIL]:
        m.sw[_cell(m, m.g[k.SW_QUEUE_TAIL] - 1) + LINK] = cluster + 1
    else:
        m.g[k.SW_QUEUE_HEAD] = cluster + 1
    m.g[k.SW_QUEUE_TAIL] = cluster + 1


@njit
def _unqueue(m: Mem) -> int:
    """The cluster that became partly free first; -1 when there is none."""
    cluster = m.g[k.SW_QUEUE_HEAD] - 1
    if cluster < 0:
        return -1
    cell = _cell(m, cluster)
    after = m.sw[cell + LINK]
    m.sw[cell + LINK] = NOT_QUEUED
    m.g[k.SW_QUEUE_HEAD] = 0 if after == LAST else after
    if after == LAST:
        m.g[k.SW_QUEUE_TAIL] = 0
    return cluster


@njit
def _free_in(m: Mem, first: int) -> int:
    """The first free slot from `first` to the end of its cluster; -1 when there is none."""
    for slot in range(first, min((first // CLUSTER + 1) * CLUSTER, m.g[k.SW_TOTAL])):
        if not m.sw[slot] & k.SW_USED:
            return slot
    return -1


@njit
def _choose(m: Mem) -> int:
    """The slot the next page gets; there is a free one."""
    slot = m.g[k.SW_NEXT]
    if m.g[k.SW_HOLES_FIRST]:
        slot = _free_in(m, slot) if slot % CLUSTER else -1
        while slot < 0:
            cluster = _unqueue(m)
            if cluster < 0:
                break
            if m.sw[_cell(m, cluster) + USED]:  # else it is free altogether by now
                slot = _free_in(m, cluster * CLUSTER)
        if slot >= 0:
            return slot
        slot = m.g[k.SW_FRESH]
    while m.sw[slot] & k.SW_USED:
        slot += 1
        if slot >= m.g[k.SW_TOTAL]:
            slot = 0
    m.g[k.SW_FRESH] = slot
    return slot


@njit
def take(m: Mem, c: int, page: int) -> bool:
    """Take a swap slot for an anonymous page and charge it; False when there is none."""
    if m.g[k.SW_TOTAL] == 0:
        return False
    while not m.cg[c, k.ONLINE]:  # mem_cgroup_id_get_online
        c = m.cg[c, k.PARENT]
    if m.g[k.SW_FREE] == 0:
        counters.rise(m, c, k.E_SWAP_FAIL)
        return False
    i = c
    while i >= 0:
        if m.cg[i, k.SWAP] + 1 > m.cg[i, k.SWAP_MAX]:
            counters.rise(m, c, k.E_SWAP_MAX)
            counters.rise(m, c, k.E_SWAP_FAIL)
            return False
        i = m.cg[i, k.PARENT]
    slot = _choose(m)
    m.sw[slot] = page | (c << k.SW_CG_SHIFT) | k.SW_USED
    m.sw[_cell(m, slot // CLUSTER) + USED] += 1
    m.g[k.SW_NEXT] = slot + 1 if slot + 1 < m.g[k.SW_TOTAL] else 0
    m.g[k.SW_FREE] -= 1
    m.aux[page] = slot + 1
    while c >= 0:
        m.cg[c, k.SWAP] += 1
        m.cg[c, k.SWAP_PEAK] = max(m.cg[c, k.SWAP_PEAK], m.cg[c, k.SWAP])
        c = m.cg[c, k.PARENT]
    return True


@njit
def free(m: Mem, page: int) -> None:
    """Give a page's swap slot back and uncharge it."""
    slot = m.aux[page] - 1
    c = (m.sw[slot] >> k.SW_CG_SHIFT) & 0xFFF
    m.sw[slot] = 0
    m.aux[page] = 0
    m.g[k.SW_FREE] += 1
    m.sw[_cell(m, slot // CLUSTER) + USED] -= 1
    if m.g[k.SW_HOLES_FIRST]:
        _queue(m, slot // CLUSTER)
    while c >= 0:
        m.cg[c, k.SWAP] -= 1
        c = m.cg[c, k.PARENT]


@njit
def follows(slot: int, first: int, pages: int) -> bool:
    """Whether a slot lies next after a run of slots on the disk, in the same cluster."""
    return slot == first + pages and slot // CLUSTER == first // CLUSTER
