"""Reads of single pages on the generations of MGLRU (see `stream`)."""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import lease, lists, nodes, passing, placement, reading, runs, workingset
from memqos.sim.kernels.access import marked
from memqos.sim.kernels.cells import prefetch
from memqos.sim.kernels.jit import apart, inlined
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.reading import EVICTOR, FULL, GO, OTHER, ROOM

KEY = k.SHADOW | k.CG_MASK | k.POS | k.WS
STATE = k.RES | k.REF | k.REFS_MASK | k.WS


@inlined
def _marks(m: Mem, c: int, shadow: int, pages: int, rework: bool) -> int:
    """The flags that pages with equal shadows keep; since 6.14 the first access forgets restored bits."""
    flags = workingset.refault_mglru(m, c, shadow, 1, pages)
    return flags & k.WS if rework else flags


@inlined
def _reads(m: Mem, c: int, o: int, i: int, end: int, dense: bool) -> int:
    """As `stream.reads`; `dense` (known where this is inlined): one by one, as suits many misses."""
    base = m.obj[o, k.O_BASE]
    rework = m.g[k.MGLRU_72] != 0
    counted = nodes.levels_of(m, base) != 0
    mine = c << k.CG_SHIFT
    total = 0
    hand = 0
    span = reading.FIRST_BLOCK
    while i < end:
        # what `c` may take, and where it adds
        limit = lease.room(m, c) + hand
        number = 4 + placement.place_seq(m, c, k.RES, False) % 4
        special = 4 + placement.place_seq(m, c, k.RES | k.WS, False) % 4
        two = number != special
        lid = c * k.LISTS + number
        lid2 = c * k.LISTS + special
        first, stop = lists.head_room(m, lid)
        first2, stop2 = lists.head_room(m, lid2)
        fresh = k.RES | k.REF | mine | (number << k.LIST_SHIFT)
        fresh2 = k.RES | k.REF | mine | (special << k.LIST_SHIFT)
        at = first
        at2 = first2
        bound = min(stop, at + limit)
        # the last shadow, what it left, how many more like it there were
        seen = -1
        flags = 0
        repeated = 0
        strange = 0
        why = GO
        while i < end:
            page = base + m.tab[i]
            while reading.eight_at(m, i, end):
                word = m.w[page]
                some = runs.PAGES
                if word & k.RES:
                    if not runs.alike(m, page, word, STATE):
                        break
                    runs.change(m, page, marked(m, word) - word)
                else:
                    some = min(runs.PAGES, bound - at)
                    if some == 0:
                        break
                    shadowed = word & k.SHADOW != 0
                    if rework and word & k.WS:
                        break
                    if not runs.alike(m, page, word, -1 if shadowed else k.RES | k.SHADOW | k.CG_MASK):
                        break
                    if counted:
                        some = reading.with_nodes(m, c, page, some)
                        if some == 0:
                            break
                        reading.enter_nodes(m, page, some, shadowed)
                    marks = 0
                    if shadowed:
                        if word & KEY != seen:
                            if repeated:
                                workingset.refault_mglru(m, c, seen, 1, repeated)
                            repeated = -some
                            seen = word & KEY
                            flags = _marks(m, c, seen, some, rework)
                        repeated += some
                        marks = flags
                    runs.enter(m, page, at, fresh | marks, some)
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
                room = min(bound - at, stop2 - at2) if two else bound - at
                ahead, n = passing.touch(m, base, i, block, far, room)
                i = ahead
            for place in range(n):
                if dense:
                    i = start + place
                    prefetch(m.w, base + m.tab[i + far])
                else:
                    i = m.pad[k.PAD + place]
                page = base + m.tab[i]
                word = m.w[page]
                if word & k.RES:
                    if word & STATE != STATE:  # else the line stays clean
                        m.w[page] = marked(m, word)
                    continue
                if at == bound:
                    why = FULL if at == stop else ROOM
                    break
                held = m.xn[page >> 6]
                if two and at2 == stop2:
                    why = FULL
                    break
                if held == 0 and counted:
                    why = OTHER
                    break
                known = 0
                marks = 0
                if word & KEY == seen:
                    known = 1
                    repeated += 1
                    strange = 0
                    marks = flags
                elif word & k.SHADOW:
                    known = 1
                    marks = _marks(m, c, word, 1, rework)
                    strange += 1
                    if strange > 1 or seen < 0:
                        if repeated:
                            workingset.refault_mglru(m, c, seen, 1, repeated)
                        repeated = 0
                        seen = word & KEY
                        flags = marks
                if counted:
                    reading.enter_node(m, page, held, 1, known)
                if two and marks & k.WS:
                    m.pool[at2] = page
                    m.w[page] = fresh2 | marks | at2
                    at2 += 1
                    bound = min(stop, first + limit - (at2 - first2))
                else:
                    m.pool[at] = page
                    m.w[page] = fresh | marks | at
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
        added = at - first + at2 - first2
        lists.set_head(m, lid, at)
        m.ls[lid, k.SIZE] += at - first
        if two:
            lists.set_head(m, lid2, at2)
            m.ls[lid2, k.SIZE] += at2 - first2
        if repeated:
            workingset.refault_mglru(m, c, seen, 1, repeated)
        reading.settle(m, c, o, added, hand)
        total += added
        if added:
            hand = 0
        if i == end or why == OTHER:
            break
        if why == FULL:
            if at == stop:
                lists.open_head(m, lid)
            if two and at2 == stop2:
                lists.open_head(m, lid2)
        elif lease.room(m, c) + hand == 0:
            page = base + m.tab[i]
            hand = reading.charged(m, c, page, counted)
            if hand != reading.CHARGED or reading.interrupted(m, page, counted):
                break
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
