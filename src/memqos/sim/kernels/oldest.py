"""Pages of MGLRU's oldest generation: sorted, isolated, and evicted or put back.

mm/vmscan.c (`evict_folios`, `scan_folios`, `sort_folio`, `isolate_folio`). It looks at so many
folios, and counts their pages. `g[MGLRU_72]` selects the rework of 6.14 (as in 7.2) over the rules of 6.12.
"""

from __future__ import annotations

from memqos.sim.kernels import (
    classic,
    counters,
    evict,
    flusher,
    folios,
    generations,
    lists,
    placement,
    shrink,
    tiers,
    workingset,
)
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.placement import FILE, MIN_GENS
from memqos.sim.kernels.tiers import MIN_BATCH

MAX_BATCH = 4096  # MAX_LRU_BATCH
ACTIVE = 1 << 32
BUSY = k.MAPPED | k.DIRTY | k.WB | k.LOCKED


@njit
def _sort(m: Mem, c: int, kind: int, page: int, limit: int) -> bool:
    """sort_folio: a page of another generation or a protected tier moves on instead of being evicted."""
    word = m.w[page]
    size = folios.pages_of(m, page)
    seq = m.cg[c, k.MIN_SEQ_ANON + kind]
    old = kind * 4 + seq % 4
    new = kind * 4 + (seq + 1) % 4
    if (word & k.LIST_MASK) >> k.LIST_SHIFT != old:
        lists.put_head(m, lists.list_of(word), page)
        return True
    refs = workingset.refs_of(m, word)
    tier = workingset.tier_of(m, refs, word & k.WS)
    full = workingset.saturated(m, refs, word & k.WS)
    if tier > limit or full:
        m.ls[lists.list_of(word), k.SIZE] -= size
        m.w[page] = generations.forgotten(m, word)
        if not m.g[k.MGLRU_72]:
            m.cg[c, k.SHELTERED + 4 * kind + tier] += 1
            lists.add_tail(m, page, new)
        else:
            if not full:
                m.cg[c, k.SHELTERED + 4 * kind + tier] += size
            lists.add(m, page, new)
        return True
    if m.g[k.MGLRU_72]:  # what is dirty or being written is isolated like the rest
        return False
    now = folios.state_of(m, page)
    if now & (k.WB | k.LOCKED) or (kind == FILE and now & k.DIRTY):
        if kind == FILE and now & k.DIRTY:
            m.g[k.SC_TAKEN] += size
            if not now & k.WB:
                m.g[k.SC_UNQUEUED] += size
        m.ls[lists.list_of(word), k.SIZE] -= size
        m.w[page] = generations.forgotten(m, word) | (k.RECLAIM if now & (k.DIRTY | k.WB) else 0)
        lists.add(m, page, new)
        return True
    return False


@njit
def _isolate(m: Mem, page: int) -> None:
    """isolate_folio: bits that count accesses mean nothing without the first one.

    A place of all ones tells others that the page is on no list.
    """
    word = m.w[page] | k.PLACE
    if m.g[k.MGLRU_72]:
        if not word & k.REF:
            word &= ~k.REFS_MASK
    else:
        word &= ~k.RECLAIM
        if not word & k.REF:
            word &= ~(k.REFS_MASK | k.WS)
        word &= ~k.REF
    m.w[page] = word


@njit
def _put_back(m: Mem, c: int, page: int, active: bool) -> None:
    """What evict_folios does with a page that was not freed; not to the oldest generation again."""
    word = m.w[page]
    if m.g[k.MGLRU_72]:
        kind = 0 if word & k.ANON else 1
        if placement.place_seq(m, c, word, active) == m.cg[c, k.MIN_SEQ_ANON + kind]:
            m.w[page] = word & ~(k.REFS_MASK | k.REF)
            active = True
    elif word & k.RECLAIM and word & (k.DIRTY | k.WB):
        if word & k.WS:
            m.w[page] = word | k.REF
    else:
        m.w[page] = word & ~(k.REFS_MASK | k.REF | k.WS)
        active = True
    placement.add(m, page, active)


@njit
def _close(m: Mem, c: int, noted: int, swappiness: int) -> int:
    """Close what is empty now: before pages are evicted, also those `noted`, which have been already."""
    evict.count_noted(m, c, noted, -1)
    closed = generations.advance_min_seq(m, c, swappiness)
    evict.count_noted(m, c, noted, 1)
    return closed


@njit
def _evict_type(m: Mem, c: int, kind: int, limit: int, batch: int, swappiness: int) -> int:
    """Scan the oldest generation of one type and reclaim; return how many pages were looked at.

    Of its zones the one from which most is allocated comes first, and DMA when nothing is left there. A
    generation that is empty now is closed before what was isolated is looked at. `g[R3]` is how many were,
    `g[R0]` whether one closed.
    """
    seq = m.cg[c, k.MIN_SEQ_ANON + kind]
    m.g[k.R3], m.g[k.R0] = 0, 0
    if m.cg[c, k.MAX_SEQ] - seq + 1 == MIN_GENS:
        return 0
    number = kind * 4 + seq % 4
    zone = 0
    lid = c * k.LISTS + number
    looked = 0
    seen = 0
    isolated = 0
    held = 0
    refilled = 0
    freed = 0
    single = 0  # freed before the others
    noted = 0  # of these, those noted
    left = 0  # of the others, those not freed
    told = 0  # of these, pages of files that await a write: their flags tell, no page table does
    most = min(batch, MIN_BATCH) if m.g[k.MGLRU_72] else MAX_BATCH  # folios
    while seen < most and isolated < MIN_BATCH:
        size = generations.size_of(m, c, kind, seq) if kind == FILE and held == 0 else 0
        if size > MIN_BATCH:
            note = evict.NOTES - noted if size <= most - seen else 0  # it may close: all others may move on
            some = min(most - seen, MIN_BATCH - isolated)
            gone = evict.batch(m, c, number + zone, some, limit, evict.ANY, note)
            if gone:
                noted += gone if note else 0
                seen += gone
                looked += gone
                isolated += gone
                freed += gone
                single += gone
                continue
        page = lists.take_tail(m, lid)
        if page < 0:
            if zone == k.OF_DMA:
                break
            zone = k.OF_DMA
            lid += zone
            continue
        size = folios.pages_of(m, page)
        seen += 1
        looked += size
        if _sort(m, c, kind, page, limit):
            refilled += size
            continue
        isolated += size
        m.ls[lid, k.SIZE] -= size
        _isolate(m, page)
        m.g[k.ISOLATED + held] = page
        held += 1
    closed = _close(m, c, noted, swappiness) if isolated else 0
    for i in range(held):
        page = m.g[k.ISOLATED + i]
        size = folios.pages_of(m, page)
        fate = shrink.shrink_folio(m, page, c) if size > 1 else shrink.shrink_page(m, page, c)
        if fate == shrink.FREED:
            freed += size
            m.g[k.ISOLATED + i] = -1
        elif fate == shrink.ACTIVATE:
            m.g[k.ISOLATED + i] = page | ACTIVE
    for i in range(held):
        page = m.g[k.ISOLATED + i]
        if page < 0:
            continue
        active = page & ACTIVE != 0
        page &= ACTIVE - 1
        now = folios.state_of(m, page)
        if not active and not now & BUSY and not (now & k.REF and not m.g[k.MGLRU_72]):
            # its write ended meanwhile, when it could not be moved to the oldest end: at once again
            size = folios.pages_of(m, page)
            fate = shrink.shrink_folio(m, page, c) if size > 1 else shrink.shrink_page(m, page, c)
            if fate == shrink.FREED:
                freed += size
                continue
            active = fate == shrink.ACTIVATE
        _put_back(m, c, page, active)
        left += 1
        told += 1 if now & (k.DIRTY | k.WB) and not now & k.ANON else 0
    if freed:
        counters.uncharge(m, c, freed)
    m.cg[c, k.PGREFILL] += refilled
    classic.count_scan(m, c, isolated, freed)
    # of what stays the folios cost, and to move one on takes a third of the time
    m.g[k.WORK_SCAN] += freed + left - told - isolated + (seen - single - held + told) // 3
    m.g[k.SC_RECLAIMED] += freed
    if kind == FILE and isolated + m.g[k.SC_TAKEN] > 0 and m.g[k.SC_UNQUEUED] == isolated + m.g[k.SC_TAKEN]:
        flusher.call(m)
    m.g[k.R3] = isolated
    m.g[k.R0] = closed
    return looked if isolated or seen >= most or m.g[k.MGLRU_72] else 0


@njit
def oldest_seq(m: Mem, c: int, swappiness: int) -> int:
    """The oldest generation of those types that may be reclaimed."""
    if m.g[k.MGLRU_72]:
        if swappiness == 0:
            return m.cg[c, k.MIN_SEQ_FILE]
        if swappiness == 201:
            return m.cg[c, k.MIN_SEQ_ANON]
        return min(m.cg[c, k.MIN_SEQ_ANON], m.cg[c, k.MIN_SEQ_FILE])
    return m.cg[c, k.MIN_SEQ_FILE] if swappiness == 0 else m.cg[c, k.MIN_SEQ_ANON]


@njit
def evict_folios(m: Mem, c: int, swappiness: int, batch: int) -> int:
    """One batch of the better type, or of the other if that has nothing; return how many were looked at.

    On 7.2 a type all of whose pages moved on is tried again, and generations are closed at first, too.
    """
    m.g[k.SC_TAKEN] = 0
    m.g[k.SC_UNQUEUED] = 0
    if m.g[k.MGLRU_72]:
        generations.advance_min_seq(m, c, swappiness)
    kind = tiers.choose_type(m, c, swappiness)
    limit = m.g[k.R2]
    total = 0
    closed = 0
    for _ in range(1 if swappiness == 0 or swappiness == 201 else 2):
        if limit < 0:
            limit = tiers.limit_of(m, c, kind)
        scanned = _evict_type(m, c, kind, limit, batch, swappiness)
        total += scanned
        closed = m.g[k.R0]
        if m.g[k.R3] or (scanned and not m.g[k.MGLRU_72]):
            break
        if scanned == 0:
            kind = 1 - kind
        limit = -1
    if m.g[k.MGLRU_72]:
        if total and not m.g[k.R3]:
            generations.advance_min_seq(m, c, swappiness)
        return total
    if m.g[k.R3] == 0:
        closed = generations.advance_min_seq(m, c, swappiness)
    # what has no cold pages left is left alone until it has aged; a generation that closed is progress
    if m.cg[c, k.MAX_SEQ] - oldest_seq(m, c, swappiness) + 1 == MIN_GENS:
        return 0
    return total + closed
