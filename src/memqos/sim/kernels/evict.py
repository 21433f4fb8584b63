"""Clean file pages leave memory, many at a time.

What `shrink.shrink_page` says of a page that is clean, unmapped and not locked is always the same: it goes,
and leaves a shadow. Here the cgroup's counters are kept in registers over such pages, and the words of the
next ones are fetched ahead. `batch` stops before the first page about which there is anything to decide.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import lists, nodes, pcp, runs, shadow_list, workingset
from memqos.sim.kernels.cells import prefetch
from memqos.sim.kernels.jit import apart, inlined, njit
from memqos.sim.kernels.mem import Mem

SPECIAL = k.LARGE | k.LOCKED | k.DIRTY | k.WB | k.MAPPED | k.ANON | k.BUFFERS
ALIKE = k.LIST_MASK | k.REFS_MASK | k.REF | k.WS
ANY = 1 << 62
"""Tree nodes that may come to hold only shadows: as many as there are."""
NOTES = k.ISOLATED + 63
"""Where the evicted pages of a generation that may close are noted, from here down."""


@inlined
def _shadow(m: Mem, c: int, word: int, limit: int) -> int:
    """What a page of MGLRU leaves (`workingset.shadow_of`), its tier in `g[R2]`: `TIERS` if it must stay."""
    refs = workingset.refs_of(m, word)
    tier = workingset.tier_of(m, refs, word & k.WS)
    stays = tier > limit or workingset.saturated(m, refs, word & k.WS)
    if not m.g[k.MGLRU_72] and not word & k.REF:  # isolate_folio
        refs = 0
        tier = 0
    m.g[k.R2] = k.TIERS if stays else tier
    token = ((m.cg[c, k.MIN_SEQ_FILE] << 2) | max(refs - 1, 0)) & k.POS
    ws = word & k.WS if m.g[k.MGLRU_72] else (k.WS if refs else 0)
    return k.SHADOW | (c << k.CG_SHIFT) | token | ws


@inlined
def left_one(m: Mem, node: int, pages: int) -> int:
    """So many pages of a tree node are shadows now; 1 if it holds nothing else any more."""
    held = m.xn[node] + pages * (k.NODE_SHADOW - 1)
    m.xn[node] = held
    if held & k.NODE_PAGES:
        return 0
    shadow_list.enlist(m, node)
    return 1


@inlined
def file_of(m: Mem, page: int) -> int:
    """The object a page belongs to: mostly that of the last one asked for, which spares a random access."""
    o = m.g[k.LAST_FILE]
    first = m.obj[o, k.O_BASE]
    if page < first or page >= first + m.obj[o, k.O_PAGES]:
        o = m.blk[page >> 9, k.B_OBJ]
        m.g[k.LAST_FILE] = o
    return o


@inlined
def left(m: Mem, page: int, some: int) -> int:
    """At most eight pages are shadows now; return how many tree nodes hold nothing else any more."""
    near = runs.in_node(page, some)
    emptied = left_one(m, page >> 6, near)
    if near < some:
        emptied += left_one(m, (page >> 6) + 1, some - near)
    return emptied


@njit
def count_noted(m: Mem, c: int, noted: int, each: int) -> None:
    """Count `each` for every page noted; what it left is of the generation that is the oldest now."""
    for place in range(NOTES, NOTES - noted, -1):
        page = m.g[place]
        left = m.w[page] & 3
        refs = left + 1 if m.w[page] & k.WS else 0
        m.cg[c, k.EVICTED + 4 + workingset.tier_of(m, refs, refs)] += each
        m.w[page] = (m.w[page] & ~k.POS) | (((m.cg[c, k.MIN_SEQ_FILE] << 2) | left) & k.POS)


@apart
def batch(m: Mem, c: int, number: int, count: int, limit: int, spare: int, note: int) -> int:
    """Evict up to `count` of the oldest pages of list `number` of `c`; return how many.

    The caller uncharges them. With MGLRU only pages of that generation and of tiers up to `limit`. From
    `OF_DMA` on numbers are of the zone DMA. It ends once `spare` tree nodes are left to shadows. If `note` is
    not 0, the pages are noted in `m.g` from there down.
    """
    lid = c * k.LISTS + number
    mglru = m.g[k.MGLRU] != 0
    target = m.g[k.SC_TARGET]
    age = m.cg[target, k.AGE]
    mark = k.SHADOW | (target << k.CG_SHIFT)
    alike = SPECIAL | ALIKE if mglru else SPECIAL
    listed = (number % k.OF_DMA) << k.LIST_SHIFT
    state = -1
    shadow = 0
    tier = 0
    gone = 0  # of this state, not counted yet
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
        end, jump = lists.ahead(m, chunk)
        while going and at < end and taken < count:
            page = m.pool[at]
            if page < 0:
                at += 1
                continue
            word = m.w[page]
            if word & SPECIAL:
                going = False
                break
            if mglru and word & ALIKE != state:
                m.cg[c, k.EVICTED + 4 + tier] += gone
                gone = 0
                state = word & ALIKE
                shadow = _shadow(m, c, word, limit)
                tier = m.g[k.R2]
                if tier > limit or word & k.LIST_MASK != listed:
                    tier = 0
                    going = False
                    break
            if page < base or page >= base + pages:
                if o >= 0:
                    m.obj[o, k.O_RESIDENT] -= taken - before
                before = taken
                o = file_of(m, page)
                base = m.obj[o, k.O_BASE]
                pages = m.obj[o, k.O_PAGES]
                counted = nodes.levels(pages) != 0
            last = min(end, at + count - taken)
            if at + runs.PAGES <= end and runs.in_order(m.pool, at, page):
                if spare > 1 and page + runs.PAGES <= base + pages and runs.alike(m, page, word, alike):
                    some = min(runs.PAGES, count - taken)
                    if mglru:
                        runs.fill(m, page, shadow, some)
                        gone += some
                        for near in range(some if note else 0):
                            m.g[note - taken - near] = page + near
                    else:
                        runs.leave(m, page, mark, age + taken, some)
                    if counted:
                        spare -= left(m, page, some)
                        going = spare > 0
                    at += some
                    taken += some
                    lists.fetch(m, at, end, jump)
                    continue
                last = min(last, at + runs.PAGES)
            far = lists.AHEAD
            if at + far < end:
                last = min(last, end - far)
            else:
                far += jump
            while at < last:
                page = m.pool[at]
                prefetch(m.w, m.pool[at + far])
                if page >= 0:
                    word = m.w[page]
                    if word & SPECIAL or page < base or page >= base + pages:
                        break
                    if mglru:
                        if word & ALIKE != state:
                            if word & k.LIST_MASK != listed:
                                break
                            m.cg[c, k.EVICTED + 4 + tier] += gone
                            gone = 0
                            tier = 0
                            state = -1
                            shadow = _shadow(m, c, word, limit)
                            if m.g[k.R2] > limit:
                                break
                            tier = m.g[k.R2]
                            state = word & ALIKE
                        m.w[page] = shadow
                        gone += 1
                        if note:
                            m.g[note - taken] = page
                    else:
                        m.w[page] = mark | ((age + taken) & k.POS) | (word & k.WS)
                    if counted and left_one(m, page >> 6, 1):
                        spare -= 1
                        if spare == 0:
                            going = False
                            last = at
                    taken += 1
                at += 1
        m.ch[chunk, k.LO] = at - first
        if at == end:
            lists.drop_tail(m, lid)
    if taken:
        m.cg[c, k.EVICTED + 4 + tier] += gone
        m.obj[o, k.O_RESIDENT] -= taken - before
        m.ls[lid, k.SIZE] -= taken
        m.cg[c, k.N_FILE] -= taken
        m.g[k.FREE] += taken
        if number >= k.OF_DMA:
            m.g[k.DMA_FREE] += taken
        else:
            pcp.give(m, taken)
        m.g[k.CHANGES] += taken
        if not mglru:
            workingset.age(m, target, taken)
    return taken
