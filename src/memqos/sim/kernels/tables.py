"""The accessed bits of page tables, as MGLRU harvests them: by walks, and around a page that is reclaimed.

mm/vmscan.c (`walk_mm`, `lru_gen_look_around`, `get_pfn_folio`, `folio_update_gen`, `lru_gen_set_refs`);
kernel.md 4.4. The Bloom filter of page tables worth a walk is an exact bit per table. `g[MGLRU_72]` selects
the rework of 6.14 (as in 7.2), where an access found is first only noted and pages that reclaim holds are
left alone, over the rules of 6.12, where it promotes at once and such pages are told by a flag.
"""

from __future__ import annotations

from memqos.sim.kernels import folios, placement
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.layout import Mem

WINDOW = 64  # MIN_LRU_BATCH page table entries
TABLE = 512


@njit
def _found(m: Mem, page: int, c: int) -> None:
    """An accessed bit was found set: the page's folio is promoted, if it is on a list.

    While a walk is at hand (`g[HARVEST]`) its word names the new generation, else it moves (folio_activate).
    """
    m.w[page] &= ~k.YOUNG
    page = folios.head_of(m, page)
    word = m.w[page]
    isolated = word & k.POS == k.POS  # only by the old rules
    if m.g[k.MGLRU_72]:
        if not word & (k.REF | k.WS):
            m.w[page] = (word & ~k.REFS_MASK) | k.REF
            return
        m.w[page] = (word | k.WS) & ~(k.REFS_MASK | k.REF)
    elif isolated:
        m.w[page] = word | k.REF
        return
    elif m.g[k.HARVEST]:
        m.w[page] = word & ~(k.REFS_MASK | k.REF | k.WS)
    kind = 0 if word & k.ANON else 1
    if (word & k.LIST_MASK) >> k.LIST_SHIFT == kind * 4 + m.cg[c, k.MAX_SEQ] % 4:
        return
    if m.g[k.HARVEST]:
        placement.promote(m, page, c)
    else:
        placement.move(m, page)
        m.cg[c, k.PGACTIVATE] += 1


@njit
def _harvest(m: Mem, first: int, end: int, c: int) -> int:
    """Look at a range of page table entries; return how many were young."""
    young = 0
    last = -1  # a folio is looked at once (walk_update_folio)
    rework = m.g[k.MGLRU_72] != 0
    for page in range(first, end):
        word = m.w[page]
        head = folios.head_of(m, page)
        if not word & k.YOUNG or (rework and m.w[head] & k.POS == k.POS):
            continue
        if word & k.MAPPED and word & k.RES and (word & k.CG_MASK) >> k.CG_SHIFT == c:
            if head == last:
                m.w[page] = word & ~k.YOUNG
            else:
                _found(m, page, c)
            last = head
            young += 1
    return young


@njit
def walk(m: Mem, c: int, swappiness: int) -> None:
    """Harvest the page tables of the cgroup's processes that may be hot, of types that may be reclaimed."""
    first = m.cg[c, k.WALKED] == 0
    m.cg[c, k.WALKED] = 1
    had = m.g[k.HARVEST]
    m.g[k.HARVEST] = 1
    for o in range(m.g[k.NOBJ]):
        kind = m.obj[o, k.O_KIND]
        if m.obj[o, k.O_MAPCG] != c or kind == k.GONE or swappiness == (0 if kind == k.ANON_OBJ else 201):
            continue
        base = m.obj[o, k.O_BASE]
        end = base + m.obj[o, k.O_PAGES]
        for b in range(base >> 9, (end + TABLE - 1) >> 9):
            if m.blk[b, k.B_PT] and (first or m.blk[b, k.B_HOT]):
                stop = min((b + 1) << 9, end)
                young = _harvest(m, b << 9, stop, c)
                m.blk[b, k.B_HOT] = 1 if young * 8 >= stop - (b << 9) else 0
    m.g[k.HARVEST] = had


@njit
def look_around(m: Mem, page: int, c: int) -> None:
    """Harvest the entries near that of a page found accessed; tell the next walk when many are."""
    o = m.blk[page >> 9, k.B_OBJ]
    base = m.obj[o, k.O_BASE]
    first = max(page & ~(TABLE - 1), base)
    end = min((page | (TABLE - 1)) + 1, base + m.obj[o, k.O_PAGES])
    if end - first == 1:
        return
    if end - first > WINDOW:
        if page - first < WINDOW // 2:
            end = first + WINDOW
        elif end - page < WINDOW // 2:
            first = end - WINDOW
        else:
            first = page - WINDOW // 2
            end = page + WINDOW // 2
    young = _harvest(m, first, end, c) + 1
    if young * 8 >= end - first and m.cg[c, k.WALKED]:
        m.blk[page >> 9, k.B_HOT] = 1
