"""Reads of single pages on the two lists of the classic LRU (see `stream`)."""

from __future__ import annotations

from memqos.sim.kernels import counters, cycles, lease, lists, nodes, passing, reading, runs, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.cells import prefetch
from memqos.sim.kernels.jit import apart, inlined
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.reading import EVICTOR, FULL, GO, OTHER, ROOM

INACTIVE = k.INACTIVE_FILE << k.LIST_SHIFT
ACTIVE = k.ACTIVE_FILE << k.LIST_SHIFT
OWNER = k.SHADOW | k.CG_MASK


@inlined
def _hits(m: Mem, page: int, word: int) -> bool:
    """Touch eight resident pages, the first one's word given, if they are all in the same state."""
    if not word & k.REF:
        if not runs.alike(m, page, word, k.RES | k.REF):
            return False
        runs.change(m, page, k.REF)
        return True
    return word & k.LIST_MASK != INACTIVE and runs.alike(m, page, word, k.RES | k.REF | k.LIST_MASK)


@inlined
def _misses(m: Mem, page: int, word: int, evictor: int, born: int, rivals: int) -> bool:
    """Whether eight missing pages all join the inactive list."""
    if not runs.alike(m, page, word, k.RES | k.SHADOW | k.CG_MASK):
        return False
    return not word & k.SHADOW or (word & OWNER == evictor and runs.all_farther(m, page, born, rivals))


@inlined
def _reads(m: Mem, c: int, o: int, i: int, end: int, dense: bool) -> int:
    """As `stream.reads`; `dense` (known where this is inlined): one by one, as suits many misses."""
    base = m.obj[o, k.O_BASE]
    counted = nodes.levels_of(m, base) != 0
    mine = c << k.CG_SHIFT
    lid = c * k.LISTS + k.INACTIVE_FILE
    lid2 = lid + 1
    fresh = k.RES | k.REF | mine | INACTIVE
    fresh2 = k.RES | k.REF | mine | ACTIVE
    total = 0
    hand = 0
    who = -1 if m.cg[c, k.FIRST_CHILD] >= 0 else c
    span = reading.FIRST_BLOCK
    while i < end:
        # what `c` may take, and where it adds
        limit = lease.room(m, c) + hand
        size = m.ls[lid, k.SIZE]
        size2 = m.ls[lid2, k.SIZE]
        long = size + size2 > passing.LONG
        changes = m.g[k.CHANGES]
        first, stop = lists.head_room(m, lid)
        at2, stop2 = lists.head_room(m, lid2)
        # whose shadows it knows what to do with
        evictor = -1
        born = 0
        rivals = 0
        own = 0
        up = 0
        if who >= 0:
            evictor = k.SHADOW | who << k.CG_SHIFT
            rivals = workingset.rivals(m, who)
            born = m.cg[who, k.AGE]
            up = 1 if counters.is_below(m, c, who) else 0
            if counters.at_flush(m):
                own = 0  # they stay what they are
            elif m.cg[who, k.FIRST_CHILD] >= 0:
                # they are up to date for this page; more of them only while they may be late
                limit = min(limit, max(1, m.cg[who, k.SUM_STAMP] + m.g[k.RSTAT_LAG] - 1 - changes))
                who = -1
            elif who == c:
                own = 1
        at = first
        bound = min(stop, at + limit)
        unknown = 0  # misses without a shadow
        activated = 0  # misses that joined the active list
        promoted = 0  # resident pages that did
        why = GO
        while i < end:
            page = base + m.tab[i]
            while reading.eight_at(m, i, end):
                word = m.w[page]
                some = runs.PAGES
                if word & k.RES:
                    if not _hits(m, page, word):
                        break
                else:
                    some = min(runs.PAGES, bound - at)
                    if some == 0 or not _misses(m, page, word, evictor, born, rivals):
                        break
                    shadowed = word & k.SHADOW != 0
                    if counted:
                        some = reading.with_nodes(m, c, page, some)
                        if some == 0:
                            break
                        reading.enter_nodes(m, page, some, shadowed)
                    runs.enter(m, page, at, fresh, some)
                    unknown += 0 if shadowed else some
                    at += some
                i += some
                if i == end:
                    break
                page = base + m.tab[i]
            block = reading.block_end(m, i, end)
            far = reading.reach(m, block)
            start = i
            if dense:
                ahead, n = block, block - i
            else:
                block = min(block, i + span)
                ahead, n = passing.touch(m, base, i, block, far, min(bound - at, stop2 - at2))
                if long:
                    passing.fetch_noted(m, base, i, n)
                i = ahead
            for place in range(n):
                if dense:
                    i = start + place
                    prefetch(m.w, base + m.tab[i + far])
                    if long:
                        passing.fetch_soon(m, base, i, far)
                else:
                    i = m.pad[k.PAD + place]
                page = base + m.tab[i]
                word = m.w[page]
                if at2 == stop2:
                    why = FULL
                    break
                if word & k.RES:
                    if word & (k.REF | k.LIST_MASK) != k.REF | INACTIVE:
                        m.w[page] = word | k.REF
                        continue
                    if word & k.CG_MASK != mine:
                        why = OTHER
                        break
                    m.pool[word & k.POS] = -1
                    m.pool[at2] = page
                    m.w[page] = (word & ~(k.REF | k.LIST_MASK | k.POS)) | ACTIVE | at2
                    at2 += 1
                    promoted += 1
                    born += up
                    rivals += own
                    continue
                if at == bound:
                    why = FULL if at == stop else ROOM
                    break
                held = m.xn[page >> 6]
                if held == 0 and counted:
                    why = OTHER
                    break
                known = 0
                if word & OWNER == evictor:
                    known = 1
                    if (born - word) & k.POS <= rivals:
                        if word & k.WS:
                            m.ls[lid, k.SIZE] = size + at - first - promoted
                            m.ls[lid2, k.SIZE] = size2 + activated + promoted
                            m.g[k.CHANGES] = changes + at - first + activated
                            workingset.restored(m, c, 1, 1)
                        if counted:
                            reading.enter_node(m, page, held, 1, 1)
                        m.pool[at2] = page
                        m.w[page] = fresh2 | (word & k.WS) | at2
                        at2 += 1
                        activated += 1
                        bound = min(stop, first + limit - activated)
                        born += up
                        rivals += own
                        continue
                elif word & k.SHADOW:
                    why = EVICTOR
                    break
                else:
                    unknown += 1
                if counted:
                    reading.enter_node(m, page, held, 1, known)
                m.pool[at] = page
                m.w[page] = fresh | at
                at += 1
            if why == GO:
                i = ahead
                span = min(2 * span, reading.BLOCK)
                continue
            if not dense:
                passing.undo(m, base, start, i + 1, ahead)
                if why >= EVICTOR:
                    span = reading.FIRST_BLOCK
            break
        # all that was counted
        added = at - first + activated
        lists.set_head(m, lid, at)
        lists.set_head(m, lid2, at2)
        m.ls[lid, k.SIZE] = size + at - first - promoted
        m.ls[lid2, k.SIZE] = size2 + activated + promoted
        m.g[k.CHANGES] = changes
        reading.settle(m, c, o, added, hand)
        m.cg[c, k.PGACTIVATE] += promoted
        m.cg[c, k.REFAULT_FILE] += added - unknown
        m.cg[c, k.ACTIVATE_FILE] += activated
        if activated + promoted:
            workingset.age(m, c, activated + promoted)
        total += added
        if added:
            hand = 0
        if i == end or why == OTHER:
            break
        page = base + m.tab[i]
        if why == FULL:
            if at == stop:
                lists.open_head(m, lid)
            if at2 == stop2:
                lists.open_head(m, lid2)
        elif why == EVICTOR or lease.room(m, c) + hand > 0:
            if not m.w[page] & k.SHADOW:
                who = -1
            else:
                who = (m.w[page] & k.CG_MASK) >> k.CG_SHIFT
                if not m.cg[who, k.ONLINE]:
                    break
        else:
            if dense:
                some = cycles.run(m, c, o, i, end)
                total += some
                i += some
                if some:
                    continue
            hand = reading.charged(m, c, page, counted)
            if hand != reading.CHARGED or reading.interrupted(m, page, counted):
                break
            if who >= 0 and not m.cg[who, k.ONLINE]:
                who = -1
    m.g[k.R0] = total
    m.g[k.R1] = hand
    return i


@apart
def reads(m: Mem, c: int, o: int, i: int, end: int) -> int:
    """As `stream.reads`, for reads that mostly miss."""
    return _reads(m, c, o, i, end, True)


@apart
def reads_that_hit(m: Mem, c: int, o: int, i: int, end: int) -> int:
    """As `stream.reads`, for reads that mostly hit."""
    return _reads(m, c, o, i, end, False)
