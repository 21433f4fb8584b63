"""Reads of single pages, as many as go by without anything but counting.

The same as `pagecache.add_page` and `pagecache.accessed` page by page (a property holds them together), with
the counters of the reading cgroup and the ends of the two lists it adds to in registers. `reads` stops before
an access that allocates a tree node, is throttled, or meets another cgroup's page to move: the caller does
that one the general way and comes back.
"""

from __future__ import annotations

from memqos.sim.kernels import charge, counters, generations, lease, lists, nodes, runs, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.layout import Mem
from memqos.sim.kernels.raw import peek, poke, prefetch

AHEAD = 24
NEVER = 1 << 62
CHARGED, REFUSED = 1, 2


@inlined
def touched(word: int, rework: bool) -> int:
    """folio_mark_accessed under MGLRU: the page's new word (kernel.md 4.3)."""
    if not word & k.REF:
        return word | k.REF
    if rework:
        return word + (1 << k.REFS_SHIFT) if word & k.REFS_MASK != k.REFS_MASK else word | k.WS
    if not word & k.WS:
        return word | k.WS
    return word + (1 << k.REFS_SHIFT) if word & k.REFS_MASK != k.REFS_MASK else word


@njit
def _others(m: Mem, evictor: int) -> int:
    """The size a refault distance is held against, less the active file pages (workingset_refault)."""
    size = 0
    if m.g[k.SW_FREE] > 0 and counters.swap_room(m, evictor) > 0:
        size = m.cg[evictor, k.SUM0 + k.ACTIVE_ANON] + m.cg[evictor, k.SUM0 + k.INACTIVE_ANON]
    return size


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
    inactive = k.INACTIVE_FILE << k.LIST_SHIFT
    again = inactive | k.REF
    total = 0
    hand = 0
    retry = i
    while True:
        room = lease.room(m, c) + hand
        spent = False
        if classic:
            number = k.INACTIVE_FILE
            special = k.ACTIVE_FILE
        else:
            number = 4 + generations.place_seq(m, c, k.RES, False) % 4
            special = 4 + generations.place_seq(m, c, k.RES | k.WS, False) % 4
        two = number != special
        lid = c * k.LISTS + number
        lid2 = c * k.LISTS + special
        size = m.ls[lid, k.SIZE]
        size2 = m.ls[lid2, k.SIZE]
        at, stop = lists.head_room(m, lid)
        at2, stop2 = lists.head_room(m, lid2)
        fresh = k.RES | k.REF | mine | (number << k.LIST_SHIFT)
        fresh2 = k.RES | k.REF | mine | (special << k.LIST_SHIFT)
        added = 0
        changes = m.g[k.CHANGES]
        aged = 0
        promoted = 0
        refaults = 0
        activated = 0
        evictor = -1
        expires = -1
        born = 0
        rivals = 0
        own = 0
        up = 0
        while i < end:
            place = peek(m.tab, i)
            page = base + place
            word = peek(m.w, page)
            prefetch(m.w, base + peek(m.tab, min(i + AHEAD, end - 1)))
            run = 1
            if i + runs.LEAST < end and peek(m.tab, i + 1) == place + 1 and i >= retry:
                run = min(end - i, 64 - (page & 63))
                if not word & k.RES:
                    run = min(run, room - added, stop - at)
                if run < runs.LEAST or not runs.consecutive(m.tab, i, run):
                    run = 1
                    retry = i + runs.LEAST
            if word & k.RES:
                if run > 1:
                    every, some = runs.common(m, page, run)
                    apart = every ^ some
                    if classic and not apart & k.RES and not some & k.REF:
                        runs.change(m, page, run, k.REF)
                        i += run
                        continue
                    if (
                        classic
                        and not apart & (k.RES | k.REF | k.LIST_MASK)
                        and word & k.LIST_MASK != inactive
                    ):
                        i += run
                        continue
                    if not classic and not apart & (k.RES | k.REF | k.WS | k.REFS_MASK):
                        runs.change(m, page, run, touched(word, rework) - word)
                        i += run
                        continue
                    retry = i + runs.LEAST
                if not classic:
                    poke(m.w, page, touched(word, rework))
                elif word & (k.REF | k.LIST_MASK) != again:
                    poke(m.w, page, word | k.REF)
                else:
                    if word & k.CG_MASK != mine:
                        break
                    if at2 == stop2:
                        lists.set_head(m, lid, at)
                        lists.set_head(m, lid2, at2)
                        lists.open_head(m, lid2)
                        at, stop = lists.head_room(m, lid)
                        at2, stop2 = lists.head_room(m, lid2)
                        word = peek(m.w, page)
                    poke(m.pool, word & k.POS, -1)
                    poke(m.pool, at2, page)
                    kept = word & ~(k.REF | k.LIST_MASK | k.POS)
                    poke(m.w, page, kept | (k.ACTIVE_FILE << k.LIST_SHIFT) | at2)
                    at2 += 1
                    size2 += 1
                    size -= 1
                    promoted += 1
                i += 1
                continue
            if added == room:
                spent = True
                break
            held = peek(m.xn, page >> 6)
            if counted and held == 0:
                break
            revived = held & k.NODE_PAGES == 0
            flags = 0
            second = False
            returns = word & k.SHADOW != 0
            if returns and classic:
                who = (word & k.CG_MASK) >> k.CG_SHIFT
                if who != evictor or changes + added >= expires:
                    if not m.cg[who, k.ONLINE]:
                        break
                    m.ls[lid, k.SIZE] = size
                    m.ls[lid2, k.SIZE] = size2
                    m.g[k.CHANGES] = changes + added
                    counters.sums(m, who)
                    evictor = who
                    born = m.cg[who, k.AGE]
                    up = -1 if counters.is_below(m, c, who) else 0
                    rivals = _others(m, who)
                    expires = NEVER
                    own = 0
                    if m.cg[who, k.FIRST_CHILD] >= 0:
                        expires = m.cg[who, k.SUM_STAMP] + m.g[k.RSTAT_LAG] - 1
                    if who == c and expires == NEVER:
                        own = -1
                    else:
                        rivals += m.cg[who, k.SUM0 + k.ACTIVE_FILE]
                run = min(run, expires - changes - added)
            if run >= runs.LEAST:
                every, some = runs.common(m, page, run)
                alike = (every ^ some) & (k.RES | k.SHADOW | k.CG_MASK) == 0
                if returns and classic:
                    now = born + ((aged + promoted) & up)
                    alike = alike and runs.nearest(m, page, run, now) > rivals + (size2 & own)
                elif returns:
                    alike = every == some
                if not alike or (returns and not classic and rework and word & k.WS):
                    run = 1
                    retry = i + runs.LEAST
            else:
                run = 1
            if returns:
                held -= run * k.NODE_SHADOW
                if not classic:
                    flags = workingset.refault_mglru(m, c, word, 1, run)
                    second = two and flags & k.WS != 0
                else:
                    refaults += run
                    distance = (born + ((aged + promoted) & up) - (word & k.POS)) & k.POS
                    if distance <= rivals + (size2 & own):
                        second = True
                        aged += 1
                        activated += 1
                        if word & k.WS:
                            flags = k.WS
                            m.ls[lid, k.SIZE] = size
                            m.ls[lid2, k.SIZE] = size2
                            m.g[k.CHANGES] = changes + added
                            workingset.restored(m, c, 1)
            if second:
                if at2 == stop2:
                    lists.set_head(m, lid, at)
                    lists.set_head(m, lid2, at2)
                    lists.open_head(m, lid2)
                    at, stop = lists.head_room(m, lid)
                    at2, stop2 = lists.head_room(m, lid2)
                poke(m.pool, at2, page)
                poke(m.w, page, fresh2 | flags | at2)
                at2 += 1
                size2 += 1
            else:
                if at == stop:
                    lists.set_head(m, lid, at)
                    if two:
                        lists.set_head(m, lid2, at2)
                    lists.open_head(m, lid)
                    at, stop = lists.head_room(m, lid)
                    at2, stop2 = lists.head_room(m, lid2)
                if run > 1:
                    runs.enter(m, page, run, at, fresh | flags)
                else:
                    poke(m.pool, at, page)
                    poke(m.w, page, fresh | flags | at)
                at += run
                size += run
            if counted:
                if revived:
                    nodes.unlist(m, page >> 6)
                poke(m.xn, page >> 6, held + run)
            added += run
            i += run
        lists.set_head(m, lid, at)
        m.ls[lid, k.SIZE] = size
        if two:
            lists.set_head(m, lid2, at2)
            m.ls[lid2, k.SIZE] = size2
        m.g[k.CHANGES] = changes + added
        m.g[k.NOW] += added * m.g[k.NS_READ_MISS]
        m.obj[o, k.O_RESIDENT] += added
        m.cg[c, k.N_FILE] += added
        m.cg[c, k.PGACTIVATE] += promoted
        m.cg[c, k.REFAULT_FILE] += refaults
        m.cg[c, k.ACTIVATE_FILE] += activated
        if aged + promoted:
            workingset.age(m, c, aged + promoted)
        lease.settle(m, c, added - hand if added else 0)
        total += added
        if added:
            hand = 0
        if not spent:
            break
        page = base + peek(m.tab, i)
        if counted and peek(m.xn, page >> 6) == 0:
            break
        if not charge.new_page(m, c, True):
            hand = REFUSED
            break
        hand = CHARGED
        if m.g[k.OVER_HIGH] or m.g[k.KSWAPD_WAKE] or (counted and peek(m.xn, page >> 6) == 0):
            break
    m.g[k.R0] = total
    m.g[k.R1] = hand
    return i
