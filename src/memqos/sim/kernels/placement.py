"""Which generation of MGLRU a page enters.

mm/vmscan.c `lru_gen_add_folio`, `folio_update_gen`. `g[MGLRU_72]` selects the rework of 6.14
(as in 7.2) over the rules of 6.12.
"""

from __future__ import annotations

from memqos.sim.kernels import folios, lists
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

ANON, FILE = 0, 1
MIN_GENS, MAX_GENS = 2, 4


@inlined
def place_seq(m: Mem, c: int, word: int, active: bool) -> int:
    """The generation a page enters when it is added to the lists (lru_gen_add_folio)."""
    kind = 0 if word & k.ANON else 1
    newest = m.cg[c, k.MAX_SEQ]
    oldest = m.cg[c, k.MIN_SEQ_ANON + kind]
    awaited = word & k.RECLAIM and word & (k.DIRTY | k.WB)
    fresh = word & k.ANON and not word & k.SWAPCACHE
    if m.g[k.MGLRU_72]:
        ws = 1 if word & k.WS else 0
        if active:
            back = MIN_GENS - ws
        elif fresh or awaited:
            back = MIN_GENS
        else:
            back = MAX_GENS - (1 if word & (k.WS | k.REF) else 0)
        return max(newest - back + 1, oldest)
    if active:
        return newest
    if fresh or awaited:
        return newest - 1
    return oldest if oldest + MIN_GENS >= newest else oldest + 1


@njit
def add(m: Mem, page: int, active: bool) -> None:
    """Put a resident page on the list of the generation it belongs to."""
    word = m.w[page]
    c = (word & k.CG_MASK) >> k.CG_SHIFT
    if active and not m.g[k.MGLRU_72]:
        m.w[page] = word & ~(k.REFS_MASK | k.REF)
    kind = 0 if word & k.ANON else 1
    lists.add(m, page, kind * 4 + place_seq(m, c, folios.state_of(m, page), active) % 4)


@njit
def move(m: Mem, page: int) -> None:
    """A page moves to the youngest generation at once (folio_activate)."""
    lists.remove(m, page)
    add(m, page, True)


@njit
def promote(m: Mem, page: int, c: int) -> None:
    """A page's word names the youngest generation; it moves when eviction meets it (folio_update_gen)."""
    word = m.w[page]
    pages = folios.pages_of(m, page)
    m.ls[lists.list_of(word), k.SIZE] -= pages
    kind = 0 if word & k.ANON else 1
    number = kind * 4 + m.cg[c, k.MAX_SEQ] % 4
    word = (word & ~k.LIST_MASK) | (number << k.LIST_SHIFT)
    m.w[page] = word
    m.ls[lists.list_of(word), k.SIZE] += pages
