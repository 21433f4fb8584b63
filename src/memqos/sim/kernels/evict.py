"""Clean file pages leave memory, many at a time.

What `shrink.shrink_page` says of a page that is clean, unmapped and not locked is always the same: it goes,
and leaves a shadow. Here the cgroup's counters are kept in registers over such pages, and the words of the
next ones are fetched ahead. `batch` stops before the first page about which there is anything to decide.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import lists, nodes, workingset
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.layout import Mem
from memqos.sim.kernels.raw import peek, poke, prefetch

AHEAD = 12
SPECIAL = k.LOCKED | k.DIRTY | k.WB | k.MAPPED | k.ANON


@njit
def batch(m: Mem, c: int, number: int, count: int, limit: int) -> int:
    """Evict up to `count` of the oldest pages of list `number` of `c`; return how many.

    The caller uncharges them. With MGLRU only pages of that generation and of tiers up to `limit`.
    """
    lid = c * k.LISTS + number
    mglru = m.g[k.MGLRU] != 0
    rework = m.g[k.MGLRU_72] != 0
    listed = number << k.LIST_SHIFT
    target = m.g[k.SC_TARGET]
    age = m.cg[target, k.AGE]
    mark = k.SHADOW | ((c if mglru else target) << k.CG_SHIFT)
    seq = m.cg[c, k.MIN_SEQ_FILE] << 2
    taken = 0
    o = -1
    base = 0
    pages = 0
    before = 0
    counted = False
    going = True
    while going and taken < count:
        chunk = m.ls[lid, k.TAIL]
        if chunk < 0:
            break
        first = chunk << k.CHUNK_SHIFT
        at = first + m.ch[chunk, k.LO]
        end = first + m.ch[chunk, k.HI]
        while at < end and taken < count:
            page = peek(m.pool, at)
            prefetch(m.w, peek(m.pool, at + AHEAD))
            if page < 0:
                at += 1
                continue
            word = peek(m.w, page)
            if word & SPECIAL:
                going = False
                break
            if mglru:
                if word & k.LIST_MASK != listed:
                    going = False
                    break
                refs = workingset.refs_of(m, word)
                tier = workingset.tier_of(m, refs, word & k.WS)
                if tier > limit or refs == 4:
                    going = False
                    break
                m.cg[c, k.EVICTED + 4 + tier] += 1
                shadow = mark | ((seq | max(refs - 1, 0)) & k.POS)
                if rework:
                    shadow |= word & k.WS
                elif refs:
                    shadow |= k.WS
            else:
                shadow = mark | ((age + taken) & k.POS) | (word & k.WS)
            at += 1
            if page < base or page >= base + pages:
                if o >= 0:
                    m.obj[o, k.O_RESIDENT] -= taken - before
                before = taken
                o = m.blk[page >> 9, k.B_OBJ]
                base = m.obj[o, k.O_BASE]
                pages = m.obj[o, k.O_PAGES]
                counted = nodes.levels_of(m, page) != 0
            poke(m.w, page, shadow | (word & k.ZERO))
            taken += 1
            if counted:
                held = peek(m.xn, page >> 6) + (k.NODE_SHADOW - 1)
                poke(m.xn, page >> 6, held)
                if held & k.NODE_PAGES == 0:
                    nodes.enlist(m, page >> 6)
        m.ch[chunk, k.LO] = at - first
        if at == end:
            lists.drop_tail(m, lid)
    if taken:
        m.obj[o, k.O_RESIDENT] -= taken - before
        m.ls[lid, k.SIZE] -= taken
        m.cg[c, k.N_FILE] -= taken
        m.g[k.FREE] += taken
        m.g[k.CHANGES] += taken
        if not mglru:
            workingset.age(m, target, taken)
    return taken
