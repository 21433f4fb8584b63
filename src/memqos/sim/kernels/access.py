"""What an access through a descriptor leaves on a page (folio_mark_accessed).

mm/swap.c.
"""

from __future__ import annotations

from memqos.sim.kernels import folios, lists, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined
from memqos.sim.kernels.mem import Mem


@inlined
def accessed(m: Mem, page: int) -> None:
    """folio_mark_accessed, once per folio and read."""
    page = folios.head_of(m, page)
    word = m.w[page]
    if m.g[k.MGLRU]:
        if not word & k.REF:
            m.w[page] = (word & ~k.REFS_MASK if m.g[k.MGLRU_72] else word) | k.REF
        elif m.g[k.MGLRU_72]:
            if word & k.REFS_MASK != k.REFS_MASK:
                m.w[page] = word + (1 << k.REFS_SHIFT)
            else:
                m.w[page] = word | k.WS
        elif not word & k.WS:
            m.w[page] = word | k.WS
        elif word & k.REFS_MASK != k.REFS_MASK:
            m.w[page] = word + (1 << k.REFS_SHIFT)
    elif not word & k.REF:
        m.w[page] = word | k.REF
    elif (word & k.LIST_MASK) >> k.LIST_SHIFT == k.INACTIVE_FILE:
        c = (word & k.CG_MASK) >> k.CG_SHIFT
        lists.remove(m, page)
        m.w[page] = word & ~k.REF
        lists.add(m, page, k.ACTIVE_FILE)
        pages = folios.pages_of(m, page)
        workingset.age(m, c, pages)
        m.cg[c, k.PGACTIVATE] += pages
