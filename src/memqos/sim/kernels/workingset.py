"""Shadows of evicted pages, refaults, reclaim cost, and the page-cache nodes that hold shadows.

mm/workingset.c, mm/swap.c (`lru_note_cost`), lib/xarray.c; kernel.md 2.4, 3, 4.6.
"""

from __future__ import annotations

from memqos.sim.kernels import counters
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.layout import Mem


@inlined
def age(m: Mem, c: int, pages: int) -> None:
    """workingset_age_nonresident: at `c` and every ancestor."""
    while c >= 0:
        m.cg[c, k.AGE] += pages
        c = m.cg[c, k.PARENT]


@njit
def note_cost(m: Mem, c: int, kind: int, cost: int) -> None:
    """lru_note_cost: what reclaiming this type cost, decayed against the size of the lists."""
    while c >= 0:
        m.cg[c, k.COST_ANON + kind] += cost
        if m.g[k.MGLRU] == 0:
            counters.sums(m, c)
            size = m.cg[c, k.SUM0] + m.cg[c, k.SUM1] + m.cg[c, k.SUM2] + m.cg[c, k.SUM3]
            if m.cg[c, k.COST_ANON] + m.cg[c, k.COST_FILE] > size // 4:
                m.cg[c, k.COST_ANON] //= 2
                m.cg[c, k.COST_FILE] //= 2
        c = m.cg[c, k.PARENT]


@inlined
def refs_of(m: Mem, word: int) -> int:
    """folio_lru_refs: accesses through file descriptors as MGLRU counts them (kernel.md 4.3)."""
    refs = (word & k.REFS_MASK) >> k.REFS_SHIFT
    if m.g[k.MGLRU_72]:
        return refs + 1 if word & k.REF else 0
    return refs + (1 if word & k.WS else 0)


@inlined
def tier_of(m: Mem, refs: int, ws: int) -> int:
    """lru_tier_from_refs."""
    if m.g[k.MGLRU_72]:
        if ws:
            return 3
        return 0 if refs <= 1 else (1 if refs == 2 else 2)
    return 0 if refs == 0 else (1 if refs == 1 else (2 if refs <= 3 else 3))


@inlined
def shadow_of(m: Mem, word: int, c: int) -> int:
    """The shadow an evicted page leaves: the word to keep in its place."""
    kept = (word & (k.ANON | k.ZERO)) | k.SHADOW
    if m.g[k.MGLRU]:
        kind = 0 if word & k.ANON else 1
        refs = refs_of(m, word)
        tier = tier_of(m, refs, word & k.WS)
        m.cg[c, k.EVICTED + 4 * kind + tier] += 1
        token = ((m.cg[c, k.MIN_SEQ_ANON + kind] << 2) | max(refs - 1, 0)) & k.POS
        ws = (word & k.WS) if m.g[k.MGLRU_72] else (k.WS if refs > 0 else 0)
        return kept | token | (c << k.CG_SHIFT) | ws
    target = m.g[k.SC_TARGET]
    shadow = kept | (m.cg[target, k.AGE] & k.POS) | (target << k.CG_SHIFT) | (word & k.WS)
    age(m, target, 1)
    return shadow


@njit
def _refault_mglru(m: Mem, c: int, shadow: int, kind: int) -> int:
    owner = (shadow & k.CG_MASK) >> k.CG_SHIFT
    if owner != c:
        return 0
    m.cg[c, k.REFAULT_ANON + kind] += 1
    token = shadow & k.POS
    ws = shadow & k.WS
    if m.g[k.MGLRU_72]:
        distance = m.cg[c, k.MAX_SEQ] - (token >> 2)
        if not -4 < distance < 4:
            return 0
        tier = tier_of(m, (token & 3) + 1, ws)
        m.cg[c, k.REFAULTED + 4 * kind + tier] += 1
        if ws:
            if m.g[k.IN_FAULT]:
                m.cg[c, k.ACTIVATE_ANON + kind] += 1
            m.cg[c, k.RESTORE_ANON + kind] += 1
            return k.WS
        return (token & 3) << k.REFS_SHIFT
    if (token >> 2) != (m.cg[c, k.MIN_SEQ_ANON + kind] & (k.POS >> 2)):
        return 0
    refs = (token & 3) + (1 if ws else 0)
    m.cg[c, k.REFAULTED + 4 * kind + tier_of(m, refs, 0)] += 1
    m.cg[c, k.ACTIVATE_ANON + kind] += 1
    if m.g[k.IN_FAULT] or refs >= 3:
        m.cg[c, k.RESTORE_ANON + kind] += 1
        return k.WS | k.REFS_MASK
    return 0


@njit
def refault(m: Mem, c: int, shadow: int, kind: int) -> int:
    """workingset_refault: the flags the returning page takes; `g[R0]` is 1 when it is activated."""
    m.g[k.R0] = 0
    if m.g[k.MGLRU]:
        return _refault_mglru(m, c, shadow, kind)
    m.cg[c, k.REFAULT_ANON + kind] += 1
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
    age(m, c, 1)
    m.cg[c, k.ACTIVATE_ANON + kind] += 1
    if shadow & k.WS:
        note_cost(m, c, kind, 32 if m.g[k.COST_612] else 1)
        m.cg[c, k.RESTORE_ANON + kind] += 1
        return k.WS
    return 0


@njit
def _kernel_bytes(m: Mem, c: int, size: int) -> None:
    """Account kernel memory that is already within its charged pages, or shrinks."""
    m.cg[c, k.N_SLAB_BYTES] += size
    m.cg[c, k.N_KERNEL_BYTES] += size
    pages = (m.cg[c, k.N_KERNEL_BYTES] + 4095) >> 12
    extra = m.cg[c, k.KERNEL_PAGES] - pages
    if extra:
        counters.force_charge(m, c, -extra)
        m.g[k.FREE] += extra
        m.cg[c, k.KERNEL_PAGES] = pages


@njit
def _unlist(m: Mem, node: int) -> None:
    owner = m.xa[node, k.X_OWNER] - 1
    before = m.xa[node, k.X_PREV] - 1
    after = m.xa[node, k.X_NEXT] - 1
    if before >= 0:
        m.xa[before, k.X_NEXT] = after + 1
    else:
        m.cg[owner, k.NODES_HEAD] = after
    if after >= 0:
        m.xa[after, k.X_PREV] = before + 1
    else:
        m.cg[owner, k.NODES_TAIL] = before
    m.cg[owner, k.NODES] -= 1
    m.xa[node, k.X_NEXT] = 0
    m.xa[node, k.X_PREV] = 0


@njit
def _enlist(m: Mem, node: int) -> None:
    owner = m.xa[node, k.X_OWNER] - 1
    last = m.cg[owner, k.NODES_TAIL]
    m.xa[node, k.X_PREV] = last + 1
    m.xa[node, k.X_NEXT] = 0
    if last >= 0:
        m.xa[last, k.X_NEXT] = node + 1
    else:
        m.cg[owner, k.NODES_HEAD] = node
    m.cg[owner, k.NODES_TAIL] = node
    m.cg[owner, k.NODES] += 1


@inlined
def _levels(m: Mem, page: int) -> int:
    o = m.blk[page >> 9, k.B_OBJ]
    if m.obj[o, k.O_BIG]:
        return 0
    pages = m.obj[o, k.O_PAGES]
    return 0 if pages <= 1 else (1 if pages <= 64 else (2 if pages <= 4096 else 3))


@njit
def node_need(m: Mem, page: int) -> int:
    """Bytes of tree nodes that adding this file page would allocate."""
    levels = _levels(m, page)
    need = 0
    if levels >= 1:
        node = page >> 6
        if m.xa[node, k.X_RES] == 0 and m.xa[node, k.X_SHADOW] == 0:
            need += k.XA_NODE_BYTES
            if levels >= 2 and m.xa[m.g[k.XA2] + (page >> 12), k.X_RES] == 0:
                need += k.XA_NODE_BYTES
                if levels >= 3 and m.xa[m.g[k.XA3] + (page >> 18), k.X_RES] == 0:
                    need += k.XA_NODE_BYTES
    return need


@njit
def _drop_node(m: Mem, page: int) -> None:
    node = page >> 6
    levels = _levels(m, page)
    _kernel_bytes(m, m.xa[node, k.X_OWNER] - 1, -k.XA_NODE_BYTES)
    m.xa[node, k.X_OWNER] = 0
    shift = 12
    above = m.g[k.XA2] + (page >> shift)
    for _ in range(levels - 1):
        m.xa[above, k.X_RES] -= 1
        if m.xa[above, k.X_RES]:
            break
        _kernel_bytes(m, m.xa[above, k.X_OWNER] - 1, -k.XA_NODE_BYTES)
        shift += 6
        above = m.g[k.XA3] + (page >> shift)


@njit
def node_add(m: Mem, c: int, page: int, had_shadow: bool) -> None:
    """A file page enters its tree, its nodes' kernel memory charged by the caller before."""
    levels = _levels(m, page)
    if levels == 0:
        return
    node = page >> 6
    if m.xa[node, k.X_RES] == 0:
        if m.xa[node, k.X_SHADOW] > 0:
            _unlist(m, node)
        else:
            m.xa[node, k.X_OWNER] = c + 1
            _kernel_bytes(m, c, k.XA_NODE_BYTES)
            shift = 12
            above = m.g[k.XA2] + (page >> shift)
            for _ in range(levels - 1):
                m.xa[above, k.X_RES] += 1
                if m.xa[above, k.X_RES] > 1:
                    break
                m.xa[above, k.X_OWNER] = c + 1
                _kernel_bytes(m, c, k.XA_NODE_BYTES)
                shift += 6
                above = m.g[k.XA3] + (page >> shift)
    m.xa[node, k.X_RES] += 1
    if had_shadow:
        m.xa[node, k.X_SHADOW] -= 1


@njit
def node_remove(m: Mem, page: int, leave_shadow: bool) -> None:
    """A resident file page leaves its tree, with or without a shadow in its place."""
    if _levels(m, page) == 0:
        return
    node = page >> 6
    m.xa[node, k.X_RES] -= 1
    if leave_shadow:
        m.xa[node, k.X_SHADOW] += 1
    if m.xa[node, k.X_RES] == 0:
        if m.xa[node, k.X_SHADOW]:
            _enlist(m, node)
        else:
            _drop_node(m, page)


@njit
def forget_shadow(m: Mem, page: int) -> None:
    """An evicted file page's shadow goes (the file is deleted or truncated)."""
    m.w[page] = 0
    if _levels(m, page) == 0:
        return
    node = page >> 6
    m.xa[node, k.X_SHADOW] -= 1
    if m.xa[node, k.X_RES] == 0 and m.xa[node, k.X_SHADOW] == 0:
        _unlist(m, node)
        _drop_node(m, page)


@njit
def shrink_nodes(m: Mem, c: int) -> None:
    """Free the oldest nodes that hold only shadows beyond one per 8 pages of `c` (count_shadow_nodes)."""
    pages = m.cg[c, k.N_SLAB_BYTES] >> 12
    if not m.g[k.SHADOW_SLAB_ONLY]:
        for i in range(k.LISTS):
            pages += m.ls[c * k.LISTS + i, k.SIZE]
    excess = m.cg[c, k.NODES] - (pages >> 3)
    scan = excess // 2
    while scan >= 128:
        for _ in range(128):
            node = m.cg[c, k.NODES_HEAD]
            if node < 0:
                return
            first = node << 6
            _unlist(m, node)
            for page in range(first, first + 64):
                if m.w[page] & k.SHADOW:
                    m.w[page] = 0
            m.xa[node, k.X_SHADOW] = 0
            m.cg[c, k.NODERECLAIM] += 1
            _drop_node(m, first)
        scan -= 128


@inlined
def evict_file(m: Mem, page: int, c: int) -> None:
    """An isolated clean file page leaves memory; a shadow stays. The caller uncharges it."""
    word = m.w[page]
    m.w[page] = shadow_of(m, word, c)
    node_remove(m, page, True)
    m.cg[c, k.N_FILE] -= 1
    if word & k.MAPPED:
        m.cg[c, k.N_MAPPED] -= 1
    m.obj[m.blk[page >> 9, k.B_OBJ], k.O_RESIDENT] -= 1
    m.g[k.FREE] += 1
    m.g[k.CHANGES] += 1
