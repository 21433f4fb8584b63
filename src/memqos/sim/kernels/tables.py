"""The accessed bits of page tables, as MGLRU harvests them: by walks, and around a page that is reclaimed.

mm/vmscan.c (`walk_mm`, `lru_gen_look_around`, `get_pfn_folio`, `folio_update_gen`, `lru_gen_set_refs`). A
process that was not switched to since its last walk is not walked again: of two agings in one reclaim the
second finds nothing, and leaves the Bloom filter of page tables that are worth the next walk as it was. There
are two filters, for generations by turns, and one that was never made lets everything pass; a filter is an
exact bit per table here.

`g[MGLRU_72]` selects the rework of 6.14 (as in 7.2), where an access found is first only noted and pages that
reclaim holds are left alone, over the rules of 6.12, where it promotes at once and such pages are told by a
flag.
"""

from __future__ import annotations

from memqos.sim.kernels import access, activating, counters, folios, placement, psi
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

WINDOW = 64  # MIN_LRU_BATCH page table entries
TABLE = 512
ENTRIES = 32
"""Page table entries that a walk passes in the time that reclaim takes for a page: some twenty instructions
each (walk_pte_range), against several hundred. Guests say that it is between 15 and 68: walks through 48
tables of a mapping (k8) were interrupted by a tick, whose 2,300 accessed entries take seven eighths of one
here, and walks through 40 (k15), of 1,300 entries, were not."""
NEW, NOT, WORTH, WHOLE = range(4)


@inlined
def young(m: Mem, word: int, c: int) -> int:
    """The word of a mapped file's page that a process of cgroup `c` accesses: whose tables know of it."""
    if (word & k.CG_MASK) >> k.CG_SHIFT == c:
        return (word | k.YOUNG) & ~k.ALIEN
    return word if word & k.YOUNG else word | k.YOUNG | k.ALIEN


@inlined
def mapped_by(m: Mem, o: int, page: int, known: int) -> None:
    """A page is in the tables of mapping `o`: `m.aux` is that + 1, or -1 if `known` to be in others too.

    Of a large folio that is not told apart.
    """
    if m.aux[page] != o + 1 and m.w[page] >= 0:
        m.aux[page] = -1 if known else o + 1


@njit
def ignored(m: Mem, word: int, page: int) -> bool:
    """Whether reclaim is none of theirs who accessed a page (invalid_folio_referenced_vma).

    Reclaim for a limit asks the tables of processes below it and no others, and leaves those as they are.
    """
    target = m.g[k.SC_TARGET]
    if word & k.ANON or not word & k.ALIEN or target == 0:
        return False
    owner = (word & k.CG_MASK) >> k.CG_SHIFT
    for o in range(m.g[k.NOBJ]):
        c = m.obj[o, k.O_MAPCG]
        if m.obj[o, k.O_KIND] == k.MAP_OBJ and c != owner and counters.is_below(m, c, target):
            index = page - m.obj[o, k.O_BASE]
            if 0 <= index < m.obj[o, k.O_PAGES]:
                return False
    return True


@inlined
def _filter(seq: int) -> int:
    """The bit of a table in the filter of the walk that closes this generation."""
    return 1 << (seq & 1)


@njit
def _found(m: Mem, page: int, c: int) -> None:
    """An accessed bit was found set: the page's folio is promoted, if it is on a list.

    While a walk is at hand (`g[HARVEST]`) its word names the new generation, else it moves (folio_activate).
    """
    m.w[page] &= ~k.YOUNG
    page = folios.head_of(m, page)
    word = m.w[page]
    isolated = word & k.PLACE == k.PLACE  # only by the old rules
    if m.g[k.MGLRU_72]:
        if not word & (k.REF | k.WS):
            m.w[page] = (word & ~k.REFS_MASK) | k.REF
            return
        if m.g[k.HARVEST]:
            m.w[page] = (word | k.WS) & ~(k.REFS_MASK | k.REF)
        else:
            m.w[page] = access.found_again(m, word)
    elif isolated:
        m.w[page] = word | k.REF
        return
    elif m.g[k.HARVEST]:
        m.w[page] = word & ~(k.REFS_MASK | k.REF | k.WS)
    kind = 0 if word & k.ANON else 1
    if (word & k.LIST_MASK) >> k.LIST_SHIFT == kind * 4 + m.cg[c, k.MAX_SEQ] % 4:
        return
    if m.g[k.HARVEST]:
        placement.promote(m, page, c)
    else:
        activating.add(m, page)


@njit
def _harvest(m: Mem, first: int, end: int, c: int, alien: int) -> int:
    """Look at a range of page table entries, of other cgroups' processes if `alien`; how many were young."""
    young = 0
    last = -1  # a folio is looked at once (walk_update_folio)
    rework = m.g[k.MGLRU_72] != 0
    for page in range(first, end):
        word = m.w[page]
        head = folios.head_of(m, page)
        if not word & k.YOUNG or (rework and m.w[head] & k.PLACE == k.PLACE):
            continue
        if not word & k.ANON and word & k.ALIEN != alien:
            continue
        if word & k.MAPPED and word & k.RES and (word & k.CG_MASK) >> k.CG_SHIFT == c:
            if head == last:
                m.w[page] = word & ~k.YOUNG
            else:
                _found(m, page, c)
            last = head
            young += 1
    return young


@njit
def _choose(m: Mem, c: int) -> bool:
    """Mark the processes whose tables are walked: new ones, and who was switched to since (get_next_mm)."""
    some = False
    for t in range(m.g[k.NTASK]):
        if m.task[t, k.T_CG] != c or m.task[t, k.T_STATE] == k.T_DEAD:
            continue
        if m.task[t, k.T_WALK] == NEW:
            m.task[t, k.T_WALK] = WHOLE
        else:
            m.task[t, k.T_WALK] = WORTH if m.task[t, k.T_RAN] else NOT
        m.task[t, k.T_RAN] = 0
        some |= m.task[t, k.T_WALK] != NOT
    return some


@njit
def _reset(m: Mem, c: int, which: int) -> None:
    """reset_bloom_filter: nothing is known yet of the tables that the next walk will look at."""
    m.cg[c, k.WALKED] |= which
    for o in range(m.g[k.NOBJ]):
        if m.obj[o, k.O_MAPCG] == c:
            base = m.obj[o, k.O_BASE]
            for b in range(base >> 9, (base + m.obj[o, k.O_PAGES] + TABLE - 1) >> 9):
                m.blk[b, k.B_HOT] &= ~which


@njit
def walk(m: Mem, c: int, swappiness: int) -> None:
    """Harvest the page tables of the cgroup's processes that may be hot, of types that may be reclaimed.

    An entry that is found accessed takes as long as a page that reclaim looks at, and so do `ENTRIES` of all
    (which the time of those pages, measured on guests, includes). A walk that lasts a tick of the clock is
    interrupted by others (`cond_resched` in walk_mm), and who walks has been switched to since then: the next
    aging walks his tables again, and makes the other filter. Guests of 6.12 met 16,000 pages of a process of
    128 MiB with their accessed bits still set when they came to be reclaimed, which no later walk had looked
    at (k2; pgscan less pgsteal and pswpout); and of 96 MiB mapped, touched at random, reclaim found 26,200 to
    29,300 pages promoted, and 10,200 to 13,200 to be activated (k8), without such interruptions none and
    1,100.
    """
    if not _choose(m, c):
        return
    this = _filter(m.cg[c, k.MAX_SEQ])
    everything = m.cg[c, k.WALKED] & this == 0
    following = _filter(m.cg[c, k.MAX_SEQ] + 1)
    _reset(m, c, following)
    had = m.g[k.HARVEST]
    m.g[k.HARVEST] = 1
    found = 0
    looked = 0
    for o in range(m.g[k.NOBJ]):
        kind = m.obj[o, k.O_KIND]
        if m.obj[o, k.O_MAPCG] != c or kind == k.GONE or swappiness == (0 if kind == k.ANON_OBJ else 201):
            continue
        how = m.task[m.obj[o, k.O_TASK], k.T_WALK]
        if how == NOT:
            continue
        base = m.obj[o, k.O_BASE]
        end = base + m.obj[o, k.O_PAGES]
        for b in range(base >> 9, (end + TABLE - 1) >> 9):
            if m.blk[b, k.B_PT] and (everything or how == WHOLE or m.blk[b, k.B_HOT] & this):
                stop = min((b + 1) << 9, end)
                young = _harvest(m, b << 9, stop, c, 0)
                found += young
                looked += stop - (b << 9)
                if young * 8 >= stop - (b << 9):
                    m.blk[b, k.B_HOT] |= following
    m.g[k.HARVEST] = had
    m.g[k.WORK_SCAN] += found
    if (found + looked // ENTRIES) * m.g[k.NS_SCAN] >= psi.JIFFY and m.g[k.CUR] >= 0:
        m.task[m.g[k.CUR], k.T_RAN] = 1


@njit
def look_around(m: Mem, page: int, c: int) -> None:
    """Harvest the entries near that of a page found accessed; tell the next walk when many are."""
    o = m.blk[page >> 9, k.B_OBJ]
    base = m.obj[o, k.O_BASE]
    first = max(page & ~(TABLE - 1), base)
    end = min((page | (TABLE - 1)) + 1, base + m.obj[o, k.O_PAGES])
    if end - first == 1:
        return
    if end - first > WINDOW:
        if page - first < WINDOW // 2:
            end = first + WINDOW
        elif end - page < WINDOW // 2:
            first = end - WINDOW
        else:
            first = page - WINDOW // 2
            end = page + WINDOW // 2
    alien = 0 if m.w[page] & k.ANON else m.w[page] & k.ALIEN
    young = _harvest(m, first, end, c, alien) + 1
    if young * 8 >= end - first:
        m.blk[page >> 9, k.B_HOT] |= _filter(m.cg[c, k.MAX_SEQ]) & m.cg[c, k.WALKED]
