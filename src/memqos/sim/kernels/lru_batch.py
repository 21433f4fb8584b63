"""Pages on their way to the lists: `g[LRU_BATCH]` of a CPU at a time, 0 where that makes no difference.

mm/swap.c (`folio_add_lru`, `lru_add_drain`), include/linux/pagevec.h (PAGEVEC_SIZE 31). On MGLRU since 6.14
it matters (mm/vmscan.c `lru_gen_folio_seq`): a page that was accessed when it gets to the lists begins a
generation younger than one that was not. Of pages read one by one that is all but each 31st, with which the
batch is full; those are the first to be evicted, in no order that a program would know. A large folio goes at
once, and all before it. Pages of anonymous memory only fill the batch: they begin where they do either way.
What is added without a running task (`trace`) has no CPU, and goes at once too.
"""

from __future__ import annotations

from memqos.sim.kernels import activating, placement
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

ACTIVE = 1 << 40


@njit
def _row(m: Mem) -> int:
    """Where the batch of the running task's CPU begins: its count, then its pages."""
    return k.LB_ROW * m.task[m.g[k.CUR], k.T_CPU]


@njit
def _empty(m: Mem, row: int) -> None:
    count = m.lb[row]
    m.lb[row] = 0
    for i in range(row + 1, row + 1 + count):
        entry = m.lb[i]
        if entry >= 0:
            placement.add(m, entry & (ACTIVE - 1), entry & ACTIVE != 0)


@njit
def drain(m: Mem) -> None:
    """lru_add_drain: what waits on this CPU joins the lists; all of it when the host asks."""
    if m.g[k.CUR] >= 0:
        _empty(m, _row(m))
        activating.empty(m, m.task[m.g[k.CUR], k.T_CPU])
        return
    for cpu in range(m.g[k.NCPU]):
        _empty(m, cpu * k.LB_ROW)
        activating.empty(m, cpu)


@njit
def add(m: Mem, page: int, active: bool) -> None:
    """folio_add_lru: a single page of a file joins the batch."""
    m.w[page] |= k.PLACE
    push(m, page | (ACTIVE if active else 0))


@njit
def push(m: Mem, entry: int) -> None:
    """Fill one more place of the running task's CPU; -1 stands for a page that is on its list already."""
    row = _row(m)
    count = m.lb[row] + 1
    m.lb[row] = count
    m.lb[row + count] = entry
    if count == m.g[k.LRU_BATCH]:
        _empty(m, row)


@njit
def forget(m: Mem, page: int) -> None:
    """A page is freed before it gets to a list."""
    for row in range(0, m.g[k.NCPU] * k.LB_ROW, k.LB_ROW):
        for i in range(row + 1, row + 1 + m.lb[row]):
            if m.lb[i] >= 0 and m.lb[i] & (ACTIVE - 1) == page:
                m.lb[i] = -1
