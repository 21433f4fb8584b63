"""Reads of single pages, as many as go by without anything but counting.

The same as `pagecache.add_page` and `pagecache.accessed` page by page (a property holds them together), with
the counters of the reading cgroup and the ends of the two lists it adds to in registers. A loop for each LRU
does the common cases; what else there is stops it with a reason, and `reads` sees to that in between. Before
an access that allocates a tree node, is throttled, or meets another cgroup's page to move, `reads` itself
stops: the caller does that one the general way and comes back.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, counters, lease, lists, nodes, placement, runs, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.cells import prefetch
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.layout import Mem

AHEAD = 24
BLOCK = 64  # accesses until a run is looked for again
NEVER = 1 << 62
CHARGED, REFUSED = 1, 2
GO, ROOM, FULL, EVICTOR, OTHER = range(5)
KEY = k.CG_MASK | k.POS | k.WS


@inlined
def touched(word: int, rework: bool) -> int:
    """folio_mark_accessed under MGLRU: the page's new word (kernel.md 4.3)."""
    if not word & k.REF:
        return (word & ~k.REFS_MASK if rework else word) | k.REF
    if rework:
        return word + (1 << k.REFS_SHIFT) if word & k.REFS_MASK != k.REFS_MASK else word | k.WS
    if not word & k.WS:
        return word | k.WS
    return word + (1 << k.REFS_SHIFT) if word & k.REFS_MASK != k.REFS_MASK else word


@njit
def _rivals(m: Mem, evictor: int) -> int:
    """The size a refault distance is held against (workingset_refault); `SUM0..3` are up to date."""
    size = m.cg[evictor, k.SUM0 + k.ACTIVE_FILE]
    if m.g[k.SW_FREE] > 0 and counters.swap_room(m, evictor) > 0:
        size += m.cg[evictor, k.SUM0 + k.ACTIVE_ANON] + m.cg[evictor, k.SUM0 + k.INACTIVE_ANON]
    return size


@inlined
def _marks(m: Mem, c: int, shadow: int, pages: int, rework: bool) -> int:
    """The flags that pages with equal shadows keep; since 6.14 the first access forgets restored bits."""
    flags = workingset.refault_mglru(m, c, shadow, 1, pages)
    return flags & k.WS if rework else flags


@inlined
def _hits(m: Mem, page: int, run: int, rework: bool) -> bool:
    """Touch a run of resident pages that are all in the same state; False when they are not."""
    every, some = runs.common(m, page, run)
    apart = every ^ some
    if apart & (k.RES | k.REF):
        return False
    if m.g[k.MGLRU]:
        if apart & (k.WS | k.REFS_MASK):
            return False
        runs.change(m, page, run, touched(every, rework) - every)
    elif not some & k.REF:
        runs.change(m, page, run, k.REF)
    elif apart & k.LIST_MASK or every & k.LIST_MASK == k.INACTIVE_FILE << k.LIST_SHIFT:
        return False
    return True


@njit
def reads(m: Mem, c: int, o: int, i: int, end: int) -> int:
    """Read the pages `tab[i:end]` of file `o` for `c`; return where it stopped, `g[R0]` misses in.

    `g[R1]` is what has become of the page it stopped at: nothing, `CHARGED`, or `REFUSED` as read-ahead.
    """
    base = m.obj[o, k.O_BASE]
    classic = m.g[k.MGLRU] == 0
    rework = m.g[k.MGLRU_72] != 0
    counted = nodes.levels_of(m, base) != 0
    mine = c << k.CG_SHIFT
    again = k.INACTIVE_FILE << k.LIST_SHIFT | k.REF
    last = end - 1
    total = 0
    hand = 0
    while i < end:
        # what `c` may take, and where it adds
        room = lease.room(m, c) + hand
        if classic:
            number = k.INACTIVE_FILE
            special = k.ACTIVE_FILE
        else:
            number = 4 + placement.place_seq(m, c, k.RES, False) % 4
            special = 4 + placement.place_seq(m, c, k.RES | k.WS, False) % 4
        two = number != special
        lid = c * k.LISTS + number
        lid2 = c * k.LISTS + special
        size = m.ls[lid, k.SIZE]
        size2 = m.ls[lid2, k.SIZE]
        at, stop = lists.head_room(m, lid)
        at2, stop2 = lists.head_room(m, lid2)
        fresh = k.RES | k.REF | mine | (number << k.LIST_SHIFT)
        fresh2 = k.RES | k.REF | mine | (special << k.LIST_SHIFT)
        changes = m.g[k.CHANGES]
        limit = room
        added = 0
        unknown = 0  # misses without a shadow
        moved = 0  # pages that joined the second list
        promoted = 0  # of them resident ones
        evictor = -1
        born = 0
        rivals = 0
        own = 0
        up = 0
        seen = -1
        flags = 0
        repeated = 0
        strange = 0
        why = GO
        while i < end:
            place = m.tab[i]
            page = base + place
            block = min(end, i + BLOCK)
            if i + runs.LEAST < end and m.tab[i + runs.LEAST] == place + runs.LEAST:
                block = i + runs.LEAST
                run = min(end - i, 64 - (page & 63))
                word = m.w[page]
                held = m.xn[page >> 6]
                if word & k.RES:
                    if run >= runs.LEAST and runs.consecutive(m.tab, i, run) and _hits(m, page, run, rework):
                        i += run
                        continue
                else:
                    run = min(run, limit - added, stop - at)
                    known = word & k.SHADOW
                    if known and classic and word & k.CG_MASK != evictor:
                        run = 0
                    if run >= runs.LEAST and (held or not counted) and runs.consecutive(m.tab, i, run):
                        every, some = runs.common(m, page, run)
                        apart = (every ^ some) & (
                            -1 if known and not classic else k.RES | k.SHADOW | k.CG_MASK
                        )
                        if apart == 0 and known and classic:
                            now = born + (moved & up)
                            apart = 0 if runs.nearest(m, page, run, now) > rivals + (moved & own) else 1
                        if apart == 0 and known and rework and word & k.WS:
                            apart = 1
                        if apart == 0:
                            marks = 0
                            if not known:
                                unknown += run
                            elif not classic:
                                marks = _marks(m, c, word, run, rework)
                            runs.enter(m, page, run, at, fresh | marks)
                            at += run
                            added += run
                            i += run
                            if counted:
                                if held & k.NODE_PAGES == 0:
                                    nodes.unlist(m, page >> 6)
                                m.xn[page >> 6] = held + run * (1 - k.NODE_SHADOW if known else 1)
                            continue
            while classic and i < block:
                page = base + m.tab[i]
                word = m.w[page]
                prefetch(m.w, base + m.tab[min(i + AHEAD, last)])
                if word & k.RES:
                    if word & (k.REF | k.LIST_MASK) != again:
                        if not word & k.REF:  # else the line stays clean
                            m.w[page] = word | k.REF
                        i += 1
                        continue
                    if word & k.CG_MASK != mine:
                        why = OTHER
                        break
                    if at2 == stop2:
                        why = FULL
                        break
                    m.pool[word & k.POS] = -1
                    m.pool[at2] = page
                    kept = word & ~(k.REF | k.LIST_MASK | k.POS)
                    m.w[page] = kept | (k.ACTIVE_FILE << k.LIST_SHIFT) | at2
                    at2 += 1
                    moved += 1
                    promoted += 1
                    i += 1
                    continue
                if added == limit:
                    why = ROOM
                    break
                if at == stop or at2 == stop2:
                    why = FULL
                    break
                held = m.xn[page >> 6]
                if counted and held == 0:
                    why = OTHER
                    break
                second = False
                marks = 0
                if word & k.SHADOW:
                    if word & k.CG_MASK != evictor:
                        why = EVICTOR
                        break
                    distance = (born + (moved & up) - word) & k.POS
                    second = distance <= rivals + (moved & own)
                    if second:
                        marks = word & k.WS
                else:
                    unknown += 1
                if counted:
                    if held & k.NODE_PAGES == 0:
                        nodes.unlist(m, page >> 6)
                    m.xn[page >> 6] = held + (1 - k.NODE_SHADOW if word & k.SHADOW else 1)
                if second:
                    if marks:
                        m.ls[lid, k.SIZE] = size + added - moved
                        m.ls[lid2, k.SIZE] = size2 + moved
                        m.g[k.CHANGES] = changes + added
                        workingset.restored(m, c, 1)
                    moved += 1
                    m.pool[at2] = page
                    m.w[page] = fresh2 | marks | at2
                    at2 += 1
                else:
                    m.pool[at] = page
                    m.w[page] = fresh | at
                    at += 1
                added += 1
                i += 1
            while not classic and i < block:
                page = base + m.tab[i]
                word = m.w[page]
                prefetch(m.w, base + m.tab[min(i + AHEAD, last)])
                if word & k.RES:
                    new = touched(word, rework)
                    if new != word:
                        m.w[page] = new
                    i += 1
                    continue
                if added == limit:
                    why = ROOM
                    break
                if at == stop or (two and at2 == stop2):
                    why = FULL
                    break
                held = m.xn[page >> 6]
                if counted and held == 0:
                    why = OTHER
                    break
                marks = 0
                if word & k.SHADOW:
                    if word & KEY == seen:
                        repeated += 1
                        strange = 0
                        marks = flags
                    else:
                        marks = _marks(m, c, word, 1, rework)
                        strange += 1
                        if strange > 1 or seen < 0:
                            if repeated:
                                workingset.refault_mglru(m, c, seen, 1, repeated)
                            repeated = 0
                            seen = word & KEY
                            flags = marks
                if counted:
                    if held & k.NODE_PAGES == 0:
                        nodes.unlist(m, page >> 6)
                    m.xn[page >> 6] = held + (1 - k.NODE_SHADOW if word & k.SHADOW else 1)
                if two and marks & k.WS:
                    m.pool[at2] = page
                    m.w[page] = fresh2 | marks | at2
                    at2 += 1
                    moved += 1
                else:
                    m.pool[at] = page
                    m.w[page] = fresh | marks | at
                    at += 1
                added += 1
                i += 1
            if why == GO:
                continue
            m.ls[lid, k.SIZE] = size + added - moved
            m.ls[lid2, k.SIZE] = size2 + moved if two else size + added
            m.g[k.CHANGES] = changes + added
            if why == FULL:
                lists.set_head(m, lid, at)
                if two:
                    lists.set_head(m, lid2, at2)
                if at == stop:
                    lists.open_head(m, lid)
                if two and at2 == stop2:
                    lists.open_head(m, lid2)
                at, stop = lists.head_room(m, lid)
                at2, stop2 = lists.head_room(m, lid2)
            elif why == EVICTOR or (why == ROOM and limit < room):
                word = m.w[base + m.tab[i]]
                who = (word & k.CG_MASK) >> k.CG_SHIFT
                limit = room
                evictor = -1
                if classic and word & k.SHADOW:
                    if not m.cg[who, k.ONLINE]:
                        why = OTHER
                        break
                    counters.sums(m, who)
                    evictor = who << k.CG_SHIFT
                    born = m.cg[who, k.AGE]
                    up = -1 if counters.is_below(m, c, who) else 0
                    rivals = _rivals(m, who)
                    own = 0
                    if m.cg[who, k.FIRST_CHILD] >= 0:
                        limit = min(room, m.cg[who, k.SUM_STAMP] + m.g[k.RSTAT_LAG] - 1 - changes)
                        limit = max(limit, added + 1)  # they are up to date for this one
                    elif who == c:
                        own = -1
                        rivals -= moved
            else:
                break
            why = GO
        # all that was counted
        lists.set_head(m, lid, at)
        m.ls[lid, k.SIZE] = size + added - moved
        if two:
            lists.set_head(m, lid2, at2)
            m.ls[lid2, k.SIZE] = size2 + moved
        m.g[k.CHANGES] = changes + added
        m.g[k.NOW] += added * m.g[k.NS_READ_MISS]
        m.obj[o, k.O_RESIDENT] += added
        m.cg[c, k.N_FILE] += added
        if repeated:
            workingset.refault_mglru(m, c, seen, 1, repeated)
        if classic:
            m.cg[c, k.PGACTIVATE] += promoted
            m.cg[c, k.REFAULT_FILE] += added - unknown
            m.cg[c, k.ACTIVATE_FILE] += moved - promoted
            if moved:
                workingset.age(m, c, moved)
        lease.settle(m, c, added - hand if added else 0)
        total += added
        if added:
            hand = 0
        if why != ROOM:
            break
        page = base + m.tab[i]
        if counted and m.xn[page >> 6] == 0:
            break
        if not charge.new_page(m, c, True):
            hand = REFUSED
            break
        hand = CHARGED
        if m.g[k.OVER_HIGH] or m.g[k.KSWAPD_WAKE] or (counted and m.xn[page >> 6] == 0):
            break
    m.g[k.R0] = total
    m.g[k.R1] = hand
    return i
