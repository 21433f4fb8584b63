"""Pages that reclaim found in use and is about to activate: up to `PAGEVEC` of a CPU wait for one another.

mm/swap.c (`folio_activate`, `lru_activate`), as `lru_gen_look_around` calls it where no walk of page tables
is at hand. Until its batch is full, or drained (`lru_batch`), such a page stays on the list it was on, and
the batch holds a reference to it. Reclaim that comes to it meanwhile gives it a slot and unmaps it, but can
neither write nor free it (`is_page_cache_freeable`, `__remove_mapping`): it stays in memory, swapped out by
name only. Guests whose reclaim had gone through all of a process left an eighth of it so: memory.swap.current
was 1,400 to 1,770 pages above what had been written on 7.2, up to 315 on 6.12 and never on 6.1 (k3, k9). A
large folio does not wait, nor do those before it (`folio_may_be_lru_cached`).

A batch may name a page twice, or one that is gone: who empties it looks whether it is on a list.
"""

from __future__ import annotations

from memqos.sim.kernels import folios, placement
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, inlined, njit
from memqos.sim.kernels.mem import Mem

PAGEVEC = 31  # include/linux/pagevec.h, PAGEVEC_SIZE


@njit
def empty(m: Mem, cpu: int) -> None:
    """lru_activate: those of a CPU's pages that are on a list, not with reclaim, move to the youngest."""
    row = k.LB_ROW * cpu + k.LB_ACTIVATE
    count = m.lb[row]
    if count == 0:
        return
    m.lb[row] = 0
    m.g[k.ACTIVATING] -= count
    for i in range(row + 1, row + 1 + count):
        page = m.lb[i]
        word = m.w[page]
        if word & k.RES and word & k.PLACE != k.PLACE and folios.head_of(m, page) == page:
            placement.move(m, page)
            m.cg[(word & k.CG_MASK) >> k.CG_SHIFT, k.PGACTIVATE] += folios.pages_of(m, page)


@njit
def add(m: Mem, page: int) -> None:
    """folio_activate, on the CPU of the task that reclaims."""
    cpu = m.task[m.g[k.CUR], k.T_CPU] if m.g[k.CUR] >= 0 else 0
    row = k.LB_ROW * cpu + k.LB_ACTIVATE
    count = m.lb[row] + 1
    m.lb[row] = count
    m.lb[row + count] = page
    m.g[k.ACTIVATING] += 1
    if count == PAGEVEC or m.w[page] < 0:
        empty(m, cpu)


@apart
def _named(m: Mem, page: int) -> bool:
    for cpu in range(m.g[k.NCPU]):
        row = k.LB_ROW * cpu + k.LB_ACTIVATE
        for i in range(row + 1, row + 1 + m.lb[row]):
            if m.lb[i] == page:
                return True
    return False


@inlined
def holds(m: Mem, page: int) -> bool:
    """Whether a batch holds a reference to a page."""
    return m.g[k.ACTIVATING] != 0 and _named(m, page)
