"""Clean file pages leave memory, many at a time.

What `shrink.shrink_page` says of a page that is clean, unmapped and not locked is always the same: it goes,
and leaves a shadow. Here the cgroup's counters are kept in registers over such pages, and the words of the
next ones are fetched ahead. `batch` stops before the first page about which there is anything to decide.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import lists, nodes, runs, workingset
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.layout import Mem
from memqos.sim.kernels.raw import peek, poke, prefetch

AHEAD = 32
SPECIAL = k.LOCKED | k.DIRTY | k.WB | k.MAPPED | k.ANON
ALIKE = k.LIST_MASK | k.REFS_MASK | k.REF | k.WS


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
    alike = ALIKE if mglru else 0
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
        retry = at
        while at < end and taken < count:
            page = peek(m.pool, at)
            prefetch(m.w, peek(m.pool, at + AHEAD))
            if page < 0:
                at += 1
                continue
            word = peek(m.w, page)
            if word & SPECIAL or (mglru and word & k.LIST_MASK != listed):
                going = False
                break
            tier = 0
            if mglru:
                refs = workingset.refs_of(m, word)
                tier = workingset.tier_of(m, refs, word & k.WS)
                if tier > limit or refs == 4:
                    going = False
                    break
                shadow = mark | ((seq | max(refs - 1, 0)) & k.POS)
                if rework:
                    shadow |= word & k.WS
                elif refs:
                    shadow |= k.WS
            else:
                shadow = mark | ((age + taken) & k.POS) | (word & k.WS)
            if page < base or page >= base + pages:
                if o >= 0:
                    m.obj[o, k.O_RESIDENT] -= taken - before
                before = taken
                o = m.blk[page >> 9, k.B_OBJ]
                base = m.obj[o, k.O_BASE]
                pages = m.obj[o, k.O_PAGES]
                counted = nodes.levels_of(m, page) != 0
            many = 1
            run = min(count - taken, end - at, 64 - (page & 63))
            if run >= runs.LEAST and peek(m.pool, at + 1) == page + 1 and at >= retry:
                every, some = runs.common(m, page, run)
                if (every ^ some) & alike | some & SPECIAL or not runs.consecutive(m.pool, at, run):
                    retry = at + runs.LEAST
                else:
                    many = run
            if many == 1:
                poke(m.w, page, shadow)
            elif mglru:
                runs.fill(m, page, many, shadow)
            else:
                runs.leave(m, page, many, mark, age + taken)
            if mglru:
                m.cg[c, k.EVICTED + 4 + tier] += many
            if counted:
                held = peek(m.xn, page >> 6) + many * (k.NODE_SHADOW - 1)
                poke(m.xn, page >> 6, held)
                if held & k.NODE_PAGES == 0:
                    nodes.enlist(m, page >> 6)
            at += many
            taken += many
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
