"""Shadows of evicted pages, refaults, reclaim cost.

mm/workingset.c, mm/swap.c (`lru_note_cost`).
"""

from __future__ import annotations

from memqos.sim.kernels import counters, folios, nodes, zones
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, inlined, njit
from memqos.sim.kernels.mem import Mem


@inlined
def age(m: Mem, c: int, pages: int) -> None:
    """workingset_age_nonresident: at `c` and every ancestor."""
    while c >= 0:
        m.cg[c, k.AGE] += pages
        c = m.cg[c, k.PARENT]


@apart
def note_cost(m: Mem, c: int, kind: int, cost: int) -> None:
    """lru_note_cost: what reclaiming this type cost, decayed against the size of the lists."""
    known = -1
    while c >= 0:
        m.cg[c, k.COST_ANON + kind] += cost
        if m.g[k.MGLRU] == 0:
            known = c if counters.sums_with(m, c, known) else -1
            size = m.cg[c, k.SUM0] + m.cg[c, k.SUM1] + m.cg[c, k.SUM2] + m.cg[c, k.SUM3]
            if m.cg[c, k.COST_ANON] + m.cg[c, k.COST_FILE] > size // 4:
                m.cg[c, k.COST_ANON] //= 2
                m.cg[c, k.COST_FILE] //= 2
        c = m.cg[c, k.PARENT]


@inlined
def refs_of(m: Mem, word: int) -> int:
    """folio_lru_refs: accesses through file descriptors as MGLRU counts them."""
    refs = (word & k.REFS_MASK) >> k.REFS_SHIFT
    if m.g[k.MGLRU_72]:
        return refs + 1 if word & k.REF else 0
    return refs + (1 if word & k.WS else 0)


@inlined
def saturated(m: Mem, refs: int, ws: int) -> bool:
    """Whether all bits that count accesses are set: five accesses through file descriptors."""
    if m.g[k.MGLRU_72]:
        return refs == 4 and ws != 0
    return refs == 4


@inlined
def tier_of(m: Mem, refs: int, ws: int) -> int:
    """lru_tier_from_refs."""
    if m.g[k.MGLRU_72]:
        if ws:
            return 3
        return 0 if refs <= 1 else (1 if refs == 2 else 2)
    return 0 if refs == 0 else (1 if refs == 1 else (2 if refs <= 3 else 3))


@inlined
def shadow_of(m: Mem, word: int, c: int, pages: int) -> int:
    """The shadow an evicted page or folio leaves: the word to keep in the place of each of its pages."""
    kept = (word & (k.ANON | k.ZERO)) | k.SHADOW
    if m.g[k.MGLRU]:
        kind = 0 if word & k.ANON else 1
        refs = refs_of(m, word)
        tier = tier_of(m, refs, word & k.WS)
        m.cg[c, k.EVICTED + 4 * kind + tier] += pages
        token = ((m.cg[c, k.MIN_SEQ_ANON + kind] << 2) | max(refs - 1, 0)) & k.POS
        ws = (word & k.WS) if m.g[k.MGLRU_72] else (k.WS if refs > 0 else 0)
        return kept | token | (c << k.CG_SHIFT) | ws
    target = m.g[k.SC_TARGET]
    shadow = kept | (m.cg[target, k.AGE] & k.POS) | (target << k.CG_SHIFT) | (word & k.WS)
    age(m, target, pages)
    return shadow


@njit
def refault_mglru(m: Mem, c: int, shadow: int, kind: int, pages: int) -> int:
    """lru_gen_refault: the flags that so many pages with equal shadows take as they return."""
    owner = (shadow & k.CG_MASK) >> k.CG_SHIFT
    if owner != c:
        return 0
    m.cg[c, k.REFAULT_ANON + kind] += pages
    token = shadow & k.POS
    ws = shadow & k.WS
    if m.g[k.MGLRU_72]:
        distance = m.cg[c, k.MAX_SEQ] - (token >> 2)
        if not -4 < distance < 4:
            return 0
        tier = tier_of(m, (token & 3) + 1, ws)
        m.cg[c, k.REFAULTED + 4 * kind + tier] += pages
        if ws:
            if m.g[k.IN_FAULT]:
                m.cg[c, k.ACTIVATE_ANON + kind] += pages
            m.cg[c, k.RESTORE_ANON + kind] += pages
            return k.WS
        return (token & 3) << k.REFS_SHIFT
    if (token >> 2) != (m.cg[c, k.MIN_SEQ_ANON + kind] & (k.POS >> 2)):
        return 0
    refs = (token & 3) + (1 if ws else 0)
    m.cg[c, k.REFAULTED + 4 * kind + tier_of(m, refs, 0)] += pages
    m.cg[c, k.ACTIVATE_ANON + kind] += pages
    if m.g[k.IN_FAULT] or refs >= 3:
        m.cg[c, k.RESTORE_ANON + kind] += pages
        return k.WS | k.REFS_MASK
    return 0


@inlined
def rivals(m: Mem, evictor: int) -> int:
    """The size a file page's refault distance is held against (workingset_refault)."""
    counters.sums(m, evictor)
    size = m.cg[evictor, k.SUM0 + k.ACTIVE_FILE]
    if m.g[k.SW_FREE] > 0 and counters.swap_room(m, evictor) > 0:
        size += m.cg[evictor, k.SUM0 + k.ACTIVE_ANON] + m.cg[evictor, k.SUM0 + k.INACTIVE_ANON]
    return size


@apart
def restored(m: Mem, c: int, kind: int, pages: int) -> None:
    """A page or folio comes back that had been part of the working set before (lru_note_cost_refault)."""
    note_cost(m, c, kind, 32 * pages if m.g[k.COST_612] else pages)
    m.cg[c, k.RESTORE_ANON + kind] += pages


@njit
def refault(m: Mem, c: int, shadow: int, kind: int, pages: int) -> int:
    """workingset_refault: the flags the returning page or folio takes; `g[R0]` is 1 when it is activated."""
    m.g[k.R0] = 0
    if m.g[k.MGLRU]:
        return refault_mglru(m, c, shadow, kind, pages)
    m.cg[c, k.REFAULT_ANON + kind] += pages
    evictor = (shadow & k.CG_MASK) >> k.CG_SHIFT
    if not m.cg[evictor, k.ONLINE] and m.cg[evictor, k.USAGE] == 0:
        return 0
    distance = (m.cg[evictor, k.AGE] - (shadow & k.POS)) & k.POS
    counters.sums(m, evictor)
    size = m.cg[evictor, k.SUM0 + k.ACTIVE_FILE]
    if kind == 0:
        size += m.cg[evictor, k.SUM0 + k.INACTIVE_FILE]
    if counters.swap_room(m, evictor) > 0:
        size += m.cg[evictor, k.SUM0 + k.ACTIVE_ANON]
        if kind == 1:
            size += m.cg[evictor, k.SUM0 + k.INACTIVE_ANON]
    if distance > size:
        return 0
    m.g[k.R0] = 1
    age(m, c, pages)
    m.cg[c, k.ACTIVATE_ANON + kind] += pages
    if shadow & k.WS:
        restored(m, c, kind, pages)
        return k.WS
    return 0


@inlined
def evict_file(m: Mem, page: int, c: int) -> None:
    """An isolated clean file page leaves memory; a shadow stays. The caller uncharges it."""
    word = m.w[page]
    m.w[page] = shadow_of(m, word, c, 1)
    nodes.remove(m, page, 1, True)
    m.cg[c, k.N_FILE] -= 1
    if word & k.MAPPED:
        m.cg[c, k.N_MAPPED] -= 1
        m.aux[page] = 0
    m.obj[m.blk[page >> 9, k.B_OBJ], k.O_RESIDENT] -= 1
    m.g[k.FREE] += 1
    zones.give(m, word, 1)
    m.g[k.CHANGES] += 1


@njit
def evict_folio(m: Mem, head: int, c: int) -> None:
    """The same for a large folio: one shadow for all of its pages, which are unmapped and have no buffers."""
    word = m.w[head]
    pages = folios.pages_of(m, head)
    folios.clear(m, head, shadow_of(m, word, c, pages))
    nodes.remove(m, head, pages, True)
    m.cg[c, k.N_FILE] -= pages
    m.obj[m.blk[head >> 9, k.B_OBJ], k.O_RESIDENT] -= pages
    m.g[k.FREE] += pages
    zones.give(m, word, pages)
    m.g[k.CHANGES] += pages
