"""What becomes of one page that reclaim has taken off its list (shrink_folio_list).

mm/vmscan.c `shrink_folio_list`, `folio_check_references`.
"""

from __future__ import annotations

from memqos.sim.kernels import (
    access,
    activating,
    counters,
    folios,
    io,
    nodes,
    slots,
    tables,
    workingset,
    zones,
)
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, inlined, njit
from memqos.sim.kernels.mem import Mem

FREED, KEEP, ACTIVATE = range(3)


@njit
def leave_swapcache(m: Mem, page: int, c: int) -> None:
    """A resident page gives up its slot; its only copy is now in memory."""
    slots.free(m, page)
    m.w[page] = (m.w[page] & ~k.SWAPCACHE) | k.DIRTY
    m.cg[c, k.N_SWAPCACHED] -= 1


@njit
def _start_writeback(m: Mem, page: int, c: int) -> None:
    m.w[page] = (m.w[page] & ~k.DIRTY) | k.RECLAIM | k.WB
    m.cg[c, k.N_WB] += 1
    m.g[k.NWB] += 1
    m.cg[c, k.PSWPOUT] += 1
    m.g[k.WORK_OUT] += 1
    io.swap_out(m, c, page)


@apart
def _held(m: Mem, page: int, c: int) -> int:
    """Somebody has a reference to a page that is unmapped now: it can be neither written nor freed."""
    if m.w[page] & k.MAPPED:
        m.w[page] &= ~(k.MAPPED | k.YOUNG)
        m.aux[page] = 0
        m.cg[c, k.N_MAPPED] -= 1
    return KEEP


@njit
def _count_dirty(m: Mem, word: int, pages: int) -> None:
    """Pages of a file that are not clean: of these reclaim has met some before, while they were written."""
    m.g[k.SC_DIRTY] += pages
    if not word & k.WB:
        m.g[k.SC_UNQUEUED] += pages
    elif word & k.RECLAIM:
        m.g[k.SC_CONGESTED] += pages


@njit
def _activate(m: Mem, page: int, c: int) -> int:
    word = m.w[page]
    # not while it is written, or as long as a page table entry names its slot (folio_free_swap)
    here = k.ANON | k.SWAPCACHE | k.MAPPED
    if word & (here | k.WB) == here and counters.swap_full(m, c):
        leave_swapcache(m, page, c)
    m.cg[c, k.PGACTIVATE] += 1
    return ACTIVATE


@inlined
def _references(m: Mem, word: int, page: int, c: int) -> int:
    """folio_check_references: 0 reclaim, 1 keep, 2 activate, 3 reclaim if clean; `g[R1]` the new word."""
    young = word & k.MAPPED and word & k.YOUNG
    referenced = word & k.REF
    if young and word & k.ALIEN and tables.ignored(m, word, page):
        young = 0
    else:
        word &= ~k.YOUNG
    if m.g[k.MGLRU]:
        m.w[page] = word
        if young:
            tables.look_around(m, page, c)
            if not m.g[k.MGLRU_72]:  # isolation has cleared REF
                m.g[k.R1] = word | k.REF
                return 1
    if m.g[k.MGLRU_72]:
        if not young:
            m.g[k.R1] = word
            return 0
        if not word & (k.REF | k.WS):  # lru_gen_set_refs
            m.g[k.R1] = (word & ~k.REFS_MASK) | k.REF
            return 1
        m.g[k.R1] = access.found_again(m, word)
        return 2
    word &= ~k.REF
    if young:
        m.g[k.R1] = word | k.REF
        return 2 if referenced else 1
    m.g[k.R1] = word
    return 3 if referenced and not word & k.ANON else 0


@inlined
def shrink_page(m: Mem, page: int, c: int) -> int:
    """Decide about one isolated page of cgroup `c`: FREED (uncharge it), KEEP or ACTIVATE.

    The page is on no list; its word is up to date on return.
    """
    word = m.w[page]
    if word & k.LOCKED:
        return KEEP
    anon = word & k.ANON
    if not anon and word & (k.DIRTY | k.WB):
        _count_dirty(m, word, 1)
    if word & k.WB:
        m.w[page] = word | k.RECLAIM
        return _activate(m, page, c)
    if m.g[k.MGLRU] and not m.g[k.MGLRU_72] and word & k.MAPPED and word & k.REF:
        return KEEP
    verdict = _references(m, word, page, c)
    word = m.g[k.R1]
    m.w[page] = word
    if verdict == 2:
        return _activate(m, page, c)
    if verdict == 1:
        return KEEP
    if anon and not word & k.SWAPCACHE:
        if not slots.take(m, c, page):
            return _activate(m, page, c)
        word |= k.SWAPCACHE | k.DIRTY
        m.cg[c, k.N_SWAPCACHED] += 1
    if anon and word & k.MAPPED:
        word &= ~k.MAPPED
        m.cg[c, k.N_ANON] -= 1
        o = m.blk[page >> 9, k.B_OBJ]
        if m.task[m.obj[o, k.O_TASK], k.T_OWN] == o + 1:
            m.task[m.obj[o, k.O_TASK], k.T_COLD] |= k.LOST
    m.w[page] = word
    if word & k.DIRTY and not anon:
        m.w[page] = word | k.RECLAIM
        return _activate(m, page, c)
    if activating.holds(m, page):
        return _held(m, page, c)
    if word & k.DIRTY:
        if word & k.ZERO and m.g[k.ZEROMAP]:
            m.cg[c, k.SWPOUT_ZERO] += 1
            m.sw[m.aux[page] - 1] |= k.SW_ZERO
            m.w[page] = word & ~k.DIRTY
        else:
            _start_writeback(m, page, c)
            m.g[k.SC_PAGEOUT] += 1
            return KEEP
    if anon:
        m.w[page] = workingset.shadow_of(m, m.w[page], c, 1)
        m.cg[c, k.N_SWAPCACHED] -= 1
        m.obj[m.blk[page >> 9, k.B_OBJ], k.O_RESIDENT] -= 1
        m.g[k.FREE] += 1
        zones.give(m, word, 1)
        m.g[k.CHANGES] += 1
    else:
        if word & k.BUFFERS:  # filemap_release_folio
            m.w[page] &= ~k.BUFFERS
            nodes.account(m, c, -k.BUFFER_BYTES)
        workingset.evict_file(m, page, c)
    return FREED


@njit
def _references_to_folio(m: Mem, head: int, now: int, c: int) -> int:
    """As `_references`, for a large folio whose pages are `now`; what it is afterwards is in its words.

    A process that has accessed any of its pages through its tables counts once (folio_referenced_one).
    """
    word = m.w[head]
    young = now & k.YOUNG and now & k.MAPPED and not tables.ignored(m, now, head)
    if m.g[k.MGLRU] == 0:
        m.w[head] = word & ~k.REF
        if not young:
            return 3 if word & k.REF else 0
        folios.change(m, head, k.YOUNG, 0)
        m.w[head] |= k.REF
        return 2 if word & k.REF else 1
    if not young:
        return 0
    first = head
    while not m.w[first] & k.YOUNG:
        first += 1
    folios.change(m, head, k.YOUNG, 0)
    tables.look_around(m, first, c)
    if not m.w[head] & (k.REF | k.WS):  # lru_gen_set_refs
        m.w[head] = (m.w[head] & ~k.REFS_MASK) | k.REF
        return 1
    m.w[head] = access.found_again(m, m.w[head])
    return 2


@njit
def shrink_folio(m: Mem, head: int, c: int) -> int:
    """The same for a large folio of a file."""
    pages = folios.pages_of(m, head)
    now = folios.state_of(m, head)
    if now & k.LOCKED:
        return KEEP
    if now & (k.DIRTY | k.WB):
        _count_dirty(m, now, pages)
    if now & k.WB:
        m.w[head] |= k.RECLAIM
        m.cg[c, k.PGACTIVATE] += pages
        return ACTIVATE
    verdict = _references_to_folio(m, head, now, c)
    if verdict == 2:
        m.cg[c, k.PGACTIVATE] += pages
        return ACTIVATE
    if verdict == 1:
        return KEEP
    if now & k.DIRTY:
        m.w[head] |= k.RECLAIM
        m.cg[c, k.PGACTIVATE] += pages
        return ACTIVATE
    mapped = 0
    buffers = 0
    for page in range(head, head + pages):
        mapped += 1 if m.w[page] & k.MAPPED else 0
        buffers += 1 if m.w[page] & k.BUFFERS else 0
    m.cg[c, k.N_MAPPED] -= mapped
    folios.change(m, head, k.MAPPED | k.YOUNG, 0)
    if activating.holds(m, head):
        return KEEP
    folios.change(m, head, k.BUFFERS, 0)
    if buffers:
        nodes.account(m, c, -buffers * k.BUFFER_BYTES)
    workingset.evict_folio(m, head, c)
    return FREED
