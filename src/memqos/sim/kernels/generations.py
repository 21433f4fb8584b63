"""The generations of MGLRU: where a page enters, when a new generation opens, when the oldest closes.

mm/vmscan.c (`lru_gen_add_folio`, `try_to_inc_max_seq`, `try_to_inc_min_seq`).
`g[MGLRU_72]` selects the rework of 6.14 (as in 7.2) over the rules of 6.12.
"""

from __future__ import annotations

from memqos.sim.kernels import folios, lists, tables, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.placement import ANON, FILE, MAX_GENS, MIN_GENS


@njit
def size_of(m: Mem, c: int, kind: int, seq: int) -> int:
    """Pages of one generation of one type."""
    lid = c * k.LISTS + kind * 4 + seq % 4
    return m.ls[lid, k.SIZE] + m.ls[lid + k.OF_DMA, k.SIZE]


@njit
def _fold_ctrl(m: Mem, c: int, kind: int) -> None:
    """reset_ctrl_pos with carryover: fold this generation's tiers into the averages."""
    for tier in range(k.TIERS):
        i = 4 * kind + tier
        refaulted = m.cg[c, k.AVG_REFAULTED + i] + m.cg[c, k.REFAULTED + i]
        total = m.cg[c, k.AVG_TOTAL + i] + m.cg[c, k.EVICTED + i] + m.cg[c, k.SHELTERED + i]
        m.cg[c, k.AVG_REFAULTED + i] = refaulted // 2
        m.cg[c, k.AVG_TOTAL + i] = total // 2
        m.cg[c, k.REFAULTED + i] = 0
        m.cg[c, k.EVICTED + i] = 0
        m.cg[c, k.SHELTERED + i] = 0


@inlined
def forgotten(m: Mem, word: int) -> int:
    """The word of a page that moves to a younger generation (folio_inc_gen): its accesses do not count on."""
    return word & ~(k.REFS_MASK | k.REF) if m.g[k.MGLRU_72] else word & ~(k.REFS_MASK | k.REF | k.WS)


@njit
def _fold_zone(m: Mem, c: int, kind: int, zone: int) -> None:
    seq = m.cg[c, k.MIN_SEQ_ANON + kind]
    old = kind * 4 + seq % 4
    new = kind * 4 + (seq + 1) % 4
    lid = c * k.LISTS + old + zone
    target = c * k.LISTS + new + zone
    page = lists.take_tail(m, lid)
    while page >= 0:
        word = m.w[page]
        size = folios.pages_of(m, page)
        refs = workingset.refs_of(m, word)
        ws = 1 if word & k.WS else 0
        if (word & k.LIST_MASK) >> k.LIST_SHIFT == old:
            m.ls[lid, k.SIZE] -= size
            m.ls[target, k.SIZE] += size
            word = forgotten(m, word)
            m.w[page] = (word & ~k.LIST_MASK) | (new << k.LIST_SHIFT)
            lists.put_tail(m, target, page)
        else:
            lists.put_tail(m, lists.list_of(word), page)
        if m.g[k.MGLRU_72] and refs + ws != 5:
            m.cg[c, k.SHELTERED + 4 * kind + workingset.tier_of(m, refs, ws)] += size
        page = lists.take_tail(m, lid)


@njit
def _fold_oldest(m: Mem, c: int, kind: int) -> None:
    """inc_min_seq: pages of the oldest of four generations join the oldest end of the next, or their own."""
    _fold_zone(m, c, kind, 0)
    _fold_zone(m, c, kind, k.OF_DMA)
    _fold_ctrl(m, c, kind)
    m.cg[c, k.MIN_SEQ_ANON + kind] += 1


@njit
def age(m: Mem, c: int, swappiness: int) -> None:
    """try_to_inc_max_seq: harvest, make room for a new generation, open it.

    Of a type that may not be reclaimed now the oldest pages become the youngest (inc_min_seq).
    """
    tables.walk(m, c, swappiness)
    m.g[k.HARVEST] = 1
    for kind in range(2):
        if m.cg[c, k.MAX_SEQ] - m.cg[c, k.MIN_SEQ_ANON + kind] + 1 == MAX_GENS:
            if swappiness == (0 if kind == ANON else 201):
                _fold_ctrl(m, c, kind)
                m.cg[c, k.MIN_SEQ_ANON + kind] += 1
            else:
                _fold_oldest(m, c, kind)
    m.cg[c, k.MAX_SEQ] += 1


@njit
def _list_is_empty(m: Mem, c: int, kind: int, seq: int) -> bool:
    lid = c * k.LISTS + kind * 4 + seq % 4
    return lists.oldest(m, lid) < 0 and lists.oldest(m, lid + k.OF_DMA) < 0


@njit
def advance_min_seq(m: Mem, c: int, swappiness: int) -> int:
    """try_to_inc_min_seq: move past empty generations, the types at most so far apart as the kernel lets.

    Returns 1 when it moved.
    """
    newest = m.cg[c, k.MAX_SEQ]
    anon = m.cg[c, k.MIN_SEQ_ANON]
    file = m.cg[c, k.MIN_SEQ_FILE]
    while swappiness and anon + MIN_GENS <= newest and _list_is_empty(m, c, ANON, anon):
        anon += 1
    while swappiness != 201 and file + MIN_GENS <= newest and _list_is_empty(m, c, FILE, file):
        file += 1
    if m.g[k.MGLRU_72]:
        seq = newest - MIN_GENS if 0 < swappiness < 201 else newest
        if anon > seq and file < seq:
            anon = seq
        elif file > seq and anon < seq:
            file = seq
    elif swappiness:
        anon = min(anon, file)
        file = max(anon, m.cg[c, k.MIN_SEQ_FILE])
    moved = 0
    for kind in range(2):
        seq = anon if kind == ANON else file
        if seq > m.cg[c, k.MIN_SEQ_ANON + kind]:
            _fold_ctrl(m, c, kind)
            m.cg[c, k.MIN_SEQ_ANON + kind] = seq
            moved = 1
    return moved
