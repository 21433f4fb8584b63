"""What the end of a page's write does to it: mm/page-writeback.c, mm/swap.c."""

from __future__ import annotations

from memqos.sim.kernels import folios, lists
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem


@njit
def _rotate(m: Mem, page: int) -> None:
    """folio_rotate_reclaimable: a page reclaim waits for goes to the oldest end."""
    word = m.w[page]
    lists.remove(m, page)
    kind = 0 if word & k.ANON else 1
    if m.g[k.MGLRU]:
        c = (word & k.CG_MASK) >> k.CG_SHIFT
        number = kind * 4 + m.cg[c, k.MIN_SEQ_ANON + kind] % 4
    else:
        number = kind * 2
    m.w[page] = word & ~k.RECLAIM
    m.g[k.G_PGROTATED] += folios.pages_of(m, page)
    lists.add_tail(m, page, number)


@njit
def end_writeback(m: Mem, page: int) -> None:
    """A page's write has finished."""
    word = m.w[page]
    if not word & k.WB or not word & k.RES:
        return
    word &= ~k.WB
    m.w[page] = word
    m.cg[(word & k.CG_MASK) >> k.CG_SHIFT, k.N_WB] -= 1
    m.g[k.NWB] -= 1
    page = folios.head_of(m, page)
    word = m.w[page]
    if word & k.RECLAIM:
        if word < 0 and folios.state_of(m, page) & k.WB:  # ends with its last page
            return
        if word & k.DIRTY or word & k.PLACE == k.PLACE:  # dirty again, or in the hands of reclaim
            m.w[page] = word & ~k.RECLAIM
        else:
            _rotate(m, page)
