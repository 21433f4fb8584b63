"""Multi-generational LRU reclaim of one cgroup: which type, which tiers, how many pages.

mm/vmscan.c (`evict_folios`, `get_nr_to_scan`, `get_type_to_scan`, `sort_folio`); kernel.md 4.5.
`g[MGLRU_72]` selects the rework of 6.14 (as in 7.2) over the rules of 6.12.
"""

from __future__ import annotations

from memqos.sim.kernels import (
    classic,
    counters,
    evict,
    generations,
    io,
    lists,
    placement,
    plug,
    shrink,
    workingset,
)
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.layout import Mem
from memqos.sim.kernels.placement import ANON, FILE, MIN_GENS

MIN_BATCH, MAX_BATCH = 64, 4096
ACTIVE = 1 << 32
BUSY = k.MAPPED | k.DIRTY | k.WB | k.LOCKED


@njit
def _within(m: Mem, c: int, sp: int, sp_gain: int, pv: int, pv_gain: int) -> bool:
    """positive_ctrl_err over tiers `[type*4+tier]`: whether `pv` refaults no more than `sp`."""
    pv_ref = m.cg[c, k.AVG_REFAULTED + pv] + m.cg[c, k.REFAULTED + pv]
    pv_total = m.cg[c, k.AVG_TOTAL + pv] + m.cg[c, k.EVICTED + pv] + m.cg[c, k.SHELTERED + pv]
    sp_ref = m.cg[c, k.AVG_REFAULTED + sp] + m.cg[c, k.REFAULTED + sp]
    sp_total = m.cg[c, k.AVG_TOTAL + sp] + m.cg[c, k.EVICTED + sp] + m.cg[c, k.SHELTERED + sp]
    if pv_ref < MIN_BATCH:
        return True
    return pv_ref * (sp_total + MIN_BATCH) * sp_gain <= (sp_ref + 1) * pv_total * pv_gain


@njit
def _tier_limit(m: Mem, c: int, kind: int) -> int:
    """get_tier_idx: the highest tier of the oldest generation that may be evicted."""
    low, high = (2, 3) if m.g[k.MGLRU_72] else (1, 2)
    tier = 1
    while tier < k.TIERS and _within(m, c, 4 * kind, low, 4 * kind + tier, high):
        tier += 1
    return tier - 1


@njit
def _all_tiers(m: Mem, c: int, kind: int, which: int) -> int:
    total = 0
    for tier in range(k.TIERS):
        i = 4 * kind + tier
        if which == 0:
            total += m.cg[c, k.AVG_REFAULTED + i] + m.cg[c, k.REFAULTED + i]
        else:
            total += m.cg[c, k.AVG_TOTAL + i] + m.cg[c, k.EVICTED + i] + m.cg[c, k.SHELTERED + i]
    return total


@njit
def _choose_type(m: Mem, c: int, swappiness: int) -> int:
    """get_type_to_scan; `g[R2]` is the tier limit, -1 when it is still to be found."""
    m.g[k.R2] = -1
    if swappiness == 0:
        return FILE
    if swappiness == 201:
        return ANON
    if not m.g[k.MGLRU_72]:
        if m.cg[c, k.MIN_SEQ_ANON] < m.cg[c, k.MIN_SEQ_FILE]:
            return ANON
        if swappiness == 1:
            return FILE
        if swappiness == 200:
            return ANON
        gain = swappiness
        kind = FILE if _within(m, c, 4 * ANON, gain, 4 * FILE, 200 - gain) else ANON
        mine = 200 - gain if kind == FILE else gain
        tier = 1
        while tier < k.TIERS and _within(m, c, 4 * (1 - kind), 200 - mine, 4 * kind + tier, mine):
            tier += 1
        m.g[k.R2] = tier - 1
        return kind
    if swappiness == 200:
        return ANON
    file_ref = _all_tiers(m, c, FILE, 0)
    if file_ref < MIN_BATCH:
        return FILE
    left = file_ref * (_all_tiers(m, c, ANON, 1) + MIN_BATCH) * swappiness
    right = (_all_tiers(m, c, ANON, 0) + 1) * _all_tiers(m, c, FILE, 1) * (200 - swappiness)
    return FILE if left <= right else ANON


@njit
def _sort(m: Mem, c: int, kind: int, page: int, limit: int) -> bool:
    """sort_folio: a page of another generation or a protected tier moves on instead of being evicted."""
    word = m.w[page]
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
        m.ls[c * k.LISTS + old, k.SIZE] -= 1
        m.w[page] = generations.forgotten(m, word)
        if not m.g[k.MGLRU_72]:
            m.cg[c, k.SHELTERED + 4 * kind + tier] += 1
            lists.add_tail(m, page, new)
        else:
            if not full:
                m.cg[c, k.SHELTERED + 4 * kind + tier] += 1
            lists.add(m, page, new)
        return True
    if word & k.WB or (word & k.LOCKED and not m.g[k.MGLRU_72]) or (kind == FILE and word & k.DIRTY):
        if kind == FILE and word & k.DIRTY:
            m.g[k.SC_TAKEN] += 1
            if not word & k.WB:
                m.g[k.SC_UNQUEUED] += 1
        m.ls[c * k.LISTS + old, k.SIZE] -= 1
        m.w[page] = generations.forgotten(m, word) | (k.RECLAIM if word & (k.DIRTY | k.WB) else 0)
        lists.add(m, page, new)
        return True
    return False


@njit
def _isolate(m: Mem, page: int) -> None:
    """isolate_folio: bits that count accesses mean nothing without the first one.

    A position of all ones tells others that the page is on no list.
    """
    word = (m.w[page] | k.POS) & ~k.RECLAIM
    if m.g[k.MGLRU_72]:
        if not word & k.REF:
            word &= ~k.REFS_MASK
    else:
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
def _evict_type(m: Mem, c: int, kind: int, limit: int, batch: int) -> int:
    """Scan the oldest generation of one type and reclaim; return how many pages were looked at."""
    seq = m.cg[c, k.MIN_SEQ_ANON + kind]
    m.g[k.R3] = 0
    if m.cg[c, k.MAX_SEQ] - seq + 1 == MIN_GENS:
        return 0
    number = kind * 4 + seq % 4
    lid = c * k.LISTS + number
    looked = 0
    isolated = 0
    held = 0
    refilled = 0
    freed = 0
    most = MAX_BATCH
    if m.g[k.MGLRU_72]:  # counts folios; a file's are as large as its read-ahead
        most = min(batch, MIN_BATCH) * (m.g[k.FOLIO] if kind == FILE else 1)
    while looked < most and isolated < MIN_BATCH:
        if kind == FILE and held == 0:
            gone = evict.batch(m, c, number, min(most - looked, MIN_BATCH - isolated), limit)
            if gone:
                looked += gone
                isolated += gone
                freed += gone
                continue
        page = lists.take_tail(m, lid)
        if page < 0:
            break
        looked += 1
        if _sort(m, c, kind, page, limit):
            refilled += 1
            continue
        isolated += 1
        m.ls[lid, k.SIZE] -= 1
        _isolate(m, page)
        m.g[k.ISOLATED + held] = page
        held += 1
    for i in range(held):
        page = m.g[k.ISOLATED + i]
        fate = shrink.shrink_page(m, page, c)
        if fate == shrink.FREED:
            freed += 1
            m.g[k.ISOLATED + i] = -1
        elif fate == shrink.ACTIVATE:
            m.g[k.ISOLATED + i] = page | ACTIVE
    for i in range(held):
        page = m.g[k.ISOLATED + i]
        if page < 0:
            continue
        active = page & ACTIVE != 0
        page &= ACTIVE - 1
        if not active and not m.w[page] & BUSY and not (m.w[page] & k.REF and not m.g[k.MGLRU_72]):
            # its write ended meanwhile, when it could not be moved to the oldest end: at once again
            fate = shrink.shrink_page(m, page, c)
            if fate == shrink.FREED:
                freed += 1
                continue
            active = fate == shrink.ACTIVATE
        _put_back(m, c, page, active)
    if freed:
        counters.uncharge(m, c, freed)
    m.cg[c, k.PGREFILL] += refilled
    classic.count_scan(m, c, isolated, freed)
    m.g[k.WORK_SCAN] += refilled
    m.g[k.SC_RECLAIMED] += freed
    if kind == FILE and isolated + m.g[k.SC_TAKEN] > 0 and m.g[k.SC_UNQUEUED] == isolated + m.g[k.SC_TAKEN]:
        m.g[k.FLUSH_WAKE] = k.FLUSH_ALL
    m.g[k.R3] = isolated
    if isolated or looked >= most:
        return looked
    return 0


@njit
def _oldest(m: Mem, c: int, swappiness: int) -> int:
    if m.g[k.MGLRU_72]:
        if swappiness == 0:
            return m.cg[c, k.MIN_SEQ_FILE]
        if swappiness == 201:
            return m.cg[c, k.MIN_SEQ_ANON]
        return min(m.cg[c, k.MIN_SEQ_ANON], m.cg[c, k.MIN_SEQ_FILE])
    return m.cg[c, k.MIN_SEQ_FILE] if swappiness == 0 else m.cg[c, k.MIN_SEQ_ANON]


@njit
def evict_folios(m: Mem, c: int, swappiness: int, batch: int) -> int:
    """One batch of the better type, or of the other if that has nothing."""
    m.g[k.SC_TAKEN] = 0
    m.g[k.SC_UNQUEUED] = 0
    kind = _choose_type(m, c, swappiness)
    limit = m.g[k.R2]
    scanned = 0
    for _ in range(1 if swappiness == 0 or swappiness == 201 else 2):
        if limit < 0:
            limit = _tier_limit(m, c, kind)
        scanned = _evict_type(m, c, kind, limit, batch)
        if scanned:
            break
        kind = 1 - kind
        limit = -1
    advanced = generations.advance_min_seq(m, c, swappiness)
    if m.g[k.MGLRU_72]:
        return scanned
    # what has no cold pages left is left alone until it has aged; a generation that closed is progress
    if m.cg[c, k.MAX_SEQ] - _oldest(m, c, swappiness) + 1 == MIN_GENS:
        return 0
    return scanned + advanced


@njit
def swappiness_for(m: Mem, c: int) -> int:
    """get_swappiness: 0 without at least 64 pages of swap room."""
    if not m.g[k.SC_MAY_SWAP] or counters.swap_room(m, c) < MIN_BATCH:
        return 0
    return m.g[k.SC_SWAPPINESS]


@njit
def evictable(m: Mem, c: int, swappiness: int) -> int:
    """Pages of all generations of the types that may be reclaimed."""
    total = 0
    for kind in range(2):
        if (kind == ANON and swappiness == 0) or (kind == FILE and swappiness == 201):
            continue
        for seq in range(m.cg[c, k.MIN_SEQ_ANON + kind], m.cg[c, k.MAX_SEQ] + 1):
            total += generations.size_of(m, c, kind, seq)
    return total


@njit
def _nr_to_scan(m: Mem, c: int, swappiness: int) -> int:
    """6.12's get_nr_to_scan: pages to scan now, or -1 after aging."""
    newest = m.cg[c, k.MAX_SEQ]
    oldest = _oldest(m, c, swappiness)
    total = evictable(m, c, swappiness)
    must_age = oldest + MIN_GENS > newest
    if must_age:
        total = 0
    if oldest + MIN_GENS == newest:
        young = 0
        old = 0
        for kind in range(2):
            if kind == ANON and swappiness == 0:
                continue
            young += generations.size_of(m, c, kind, newest)
            if newest - MIN_GENS >= m.cg[c, k.MIN_SEQ_ANON + kind]:
                old += generations.size_of(m, c, kind, newest - MIN_GENS)
        must_age = young * MIN_GENS > total or old * (MIN_GENS + 2) < total
    if not must_age or m.g[k.SC_PRIORITY] == 12:
        return total >> m.g[k.SC_PRIORITY]
    generations.age(m, c, swappiness)
    return -1


@njit
def _enough(m: Mem) -> bool:
    """should_abort_scan: enough is reclaimed, or (kswapd) enough is free."""
    if m.g[k.SC_TARGET] == 0 and m.g[k.SC_KIND] == k.KSWAPD and m.g[k.FREE] > m.g[k.WMARK_HIGH] + MIN_BATCH:
        return True
    return m.g[k.SC_RECLAIMED] >= m.g[k.SC_TO_RECLAIM]


@njit
def _interrupted(m: Mem, looked: int) -> bool:
    """Whether kswapd's slice is over; it goes on with this cgroup from where it is."""
    if m.g[k.SC_KIND] != k.KSWAPD:
        return False
    if m.g[k.NOW] + counters.work(m) < m.g[k.SLICE_END]:
        return False
    m.g[k.KSWAPD_LOOKED] = looked
    return True


@njit
def _looked(m: Mem) -> int:
    """What kswapd has looked at of a cgroup before its last slice ended."""
    if m.g[k.SC_KIND] != k.KSWAPD:
        return 0
    looked = m.g[k.KSWAPD_LOOKED]
    m.g[k.KSWAPD_LOOKED] = 0
    return looked


@njit
def _shrink_612(m: Mem, c: int, swappiness: int) -> bool:
    scanned = _looked(m)
    while True:
        count = _nr_to_scan(m, c, swappiness)
        if count <= 0:
            break
        delta = evict_folios(m, c, swappiness, count)
        if m.g[k.WORK_OUT] and m.g[k.NS_SWAP_OUT]:
            io.spend(m)
        scanned += delta
        if delta == 0 or scanned >= count or (m.g[k.SC_TARGET] == 0 and _enough(m)):
            break
        if _interrupted(m, scanned):
            break
    return count < 0


@njit
def _shrink_72(m: Mem, c: int, swappiness: int) -> bool:
    rotate = False
    total = evictable(m, c, swappiness)
    if c != m.g[k.SC_TARGET] and (m.cg[c, k.EMIN] or m.cg[c, k.ELOW]):
        shield = m.cg[c, k.EMIN]
        if m.cg[c, k.ELOW] > shield and not m.g[k.SC_LOW_RECLAIM]:
            shield = m.cg[c, k.ELOW]
            m.g[k.SC_LOW_SKIPPED] = 1
        total = max(total - total * shield // (max(m.cg[c, k.USAGE], shield) + 1), 32)
    before = _looked(m)
    left = (total >> m.g[k.SC_PRIORITY]) - before
    whole = left + before
    while left > 0:
        oldest = _oldest(m, c, swappiness)
        newest = m.cg[c, k.MAX_SEQ]
        aged = False
        if oldest + MIN_GENS > newest or (m.g[k.SC_PRIORITY] < 12 and oldest + MIN_GENS == newest):
            generations.age(m, c, swappiness)
            aged = True
            rotate = True
        delta = evict_folios(m, c, swappiness, left)
        if m.g[k.WORK_OUT] and m.g[k.NS_SWAP_OUT]:
            io.spend(m)
        if delta == 0 or _enough(m) or (aged and m.g[k.SC_TARGET] == 0):
            break
        left -= delta
        if left > 0 and _interrupted(m, whole - left):
            break
    return rotate


@njit
def shrink_lruvec(m: Mem, c: int) -> bool:
    """Reclaim from one cgroup (try_to_shrink_lruvec); True when it was aged."""
    swappiness = swappiness_for(m, c)
    m.g[k.HARVEST] = 0 if m.g[k.SC_KIND] == k.DIRECT else 1  # set_mm_walk
    mine = plug.start(m)
    aged = _shrink_72(m, c, swappiness) if m.g[k.MGLRU_72] else _shrink_612(m, c, swappiness)
    plug.finish(m, mine)
    return aged
