"""A run of pages read at a limit: reclaim, as many pages read in, reclaim again, as long as all is alike.

Where a cgroup of the classic LRU is full and pages are read in order, as a copy or a checksum reads a file,
each reclaim takes the same number of pages (`rounds`), which are read in before the next one. Charges, lists
and free memory are then what they were, so what each such cycle would count is counted once for all of them;
only words, list entries and tree nodes are written page by page. It ends where a page that should come is not
like the others, and before the first cycle in which one that should go is not.
"""

from __future__ import annotations

from memqos.sim.kernels import (
    evict,
    io,
    lease,
    lists,
    nodes,
    reading,
    reclaim,
    rounds,
    runs,
    shadow_nodes,
    strides,
    workingset,
)
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, inlined
from memqos.sim.kernels.mem import Mem

INACTIVE = k.INACTIVE_FILE << k.LIST_SHIFT
PATIENCE = 8
"""Cycles before many are tried at once again, where the pages of some were not alike."""
CAME = k.RES | k.SHADOW | k.CG_MASK


@inlined
def _full(m: Mem, c: int) -> bool:
    """Whether the next page of `c` needs reclaim at its own limit, and nothing else is in the way."""
    if m.cg[c, k.USAGE] != m.cg[c, k.MAX] or (m.g[k.STOCK_CG] == c and m.g[k.STOCK_N]):
        return False
    if m.g[k.OVER_HIGH] or m.g[k.KSWAPD_WAKE] or m.g[k.FLUSH_WAKE] == k.FLUSH_ALL:
        return False
    for kind in range(2):
        if m.cg[c, k.SNAP_ANON + kind] != m.cg[c, k.ACTIVATE_ANON + kind]:
            return False
    i = c
    while i >= 0:
        usage = m.cg[i, k.USAGE]
        if m.cg[i, k.PROTECTED] or usage > min(m.cg[i, k.HIGH], m.cg[i, k.MAX]):
            return False
        if m.cg[i, k.SWAP] > m.cg[i, k.SWAP_HIGH]:
            return False
        i = m.cg[i, k.PARENT]
    return m.g[k.FREE] - lease.BATCH >= m.g[k.NEAR]


@inlined
def _may_go(m: Mem, at: int, some: int, first: int, last: int) -> bool:
    """Whether what stands in a list from `at` on, at least eight pages, are clean ones of one file."""
    for done in range(0, some, runs.PAGES):
        place = at + min(done, some - runs.PAGES)  # the last eight overlap those before
        page = m.pool[place]
        if page < first or page + runs.PAGES > last or not runs.in_order(m.pool, place, page):
            return False
        if m.w[page] & evict.SPECIAL or not runs.alike(m, page, m.w[page], evict.SPECIAL):
            return False
    return True


@inlined
def _may_come(m: Mem, c: int, page: int, age: int, rivals: int) -> bool:
    """Whether eight pages that are read all join the inactive list of `c`."""
    word = m.w[page]
    if word & k.RES or not runs.alike(m, page, word, CAME):
        return False
    if word & k.SHADOW and word & CAME != k.SHADOW | c << k.CG_SHIFT:
        return False
    return not word & k.SHADOW or runs.all_farther(m, page, age, rivals)


@inlined
def _go(m: Mem, c: int, at: int, some: int, age: int, counted: bool) -> None:
    """The pages that stand from `at` on leave shadows of rising age."""
    mark = k.SHADOW | c << k.CG_SHIFT
    whole = some // runs.PAGES * runs.PAGES
    for done in range(0, whole, runs.PAGES):
        page = m.pool[at + done]
        runs.leave(m, page, mark, age + done, runs.PAGES)
        if counted:
            evict.left(m, page, runs.PAGES)
    if whole < some:
        page = m.pool[at + whole]
        runs.leave(m, page, mark, age + whole, some - whole)
        if counted:
            evict.left(m, page, some - whole)


@inlined
def _come(m: Mem, c: int, page: int, at: int, counted: bool, some: int) -> int:
    """At most eight pages come, and stand from `at` on; return how many had shadows."""
    shadowed = m.w[page] & k.SHADOW != 0
    if counted:
        reading.enter_nodes(m, page, some, shadowed)
    runs.enter(m, page, at, k.RES | k.REF | INACTIVE | c << k.CG_SHIFT, some)
    return some if shadowed else 0


@inlined
def _count(m: Mem, c: int, o: int, cycles: int, gone: int, came: int, known: int) -> None:
    """Count so many refused charges, as many reclaims, and the pages that went and came."""
    m.cg[c, k.L_MAX] += cycles
    i = c
    while i >= 0:
        m.cg[i, k.E_MAX] += cycles
        m.cg[i, k.USAGE] += came - gone
        m.cg[i, k.AGE] += gone
        i = m.cg[i, k.PARENT]
    m.cg[c, k.PGSCAN] += gone
    m.cg[c, k.PGSTEAL] += gone
    m.cg[c, k.REFAULT_FILE] += known
    m.cg[c, k.N_FILE] += came - gone
    m.ls[c * k.LISTS + k.INACTIVE_FILE, k.SIZE] += came - gone
    m.obj[o, k.O_RESIDENT] += came - gone
    m.g[k.FREE] += gone - came
    m.g[k.CHANGES] += gone + came
    m.g[k.NOW] += came * m.g[k.NS_READ_MISS]
    m.g[k.WORK_SCAN] += gone
    m.g[k.WORK_STEAL] += gone
    m.g[k.WORK_ROUNDS] += cycles * (rounds.DEF_PRIORITY - m.g[k.SC_PRIORITY] + 1)
    io.spend(m)


@apart
def run(m: Mem, c: int, o: int, i: int, end: int) -> int:
    """Read pages of file `o` for `c` from `tab[i]` on; return how many."""
    if not reading.eight_at(m, i, end) or not _full(m, c):
        return 0
    reclaim.begin(m, c, rounds.PART, k.DIRECT, 1, m.g[k.SWAPPINESS])
    m.g[k.SC_PRIORITY] = rounds.DEF_PRIORITY
    if not rounds.plain(m, c):
        return 0
    size, moved = rounds.plan(m, c)
    m.g[k.SC_RECLAIMED] = size
    m.g[k.SC_SCANNED] = m.g[k.R0]
    m.g[k.SC_SKIPPED_DEACTIVATE] = m.g[k.R1]
    m.g[k.SC_PRIORITY] = m.g[k.R2]
    lid = c * k.LISTS + k.INACTIVE_FILE
    if moved or size > min(lease.BATCH, m.ls[lid, k.SIZE]):
        return 0
    base = m.obj[o, k.O_BASE]
    last = base + m.obj[o, k.O_PAGES]
    counted = nodes.levels_of(m, base) != 0
    left = m.ls[lid, k.SIZE] + m.ls[lid + 1, k.SIZE] - size
    rivals = workingset.rivals(m, c)
    age = m.cg[c, k.AGE]
    cycles = 0
    known = 0
    again = 0
    start = i
    came = size
    while came == size and reading.eight_at(m, i, end):
        some = 0
        if cycles >= again:
            some = strides.run(m, c, base, last, i, end, size, left, age, rivals)
        if some < 0:
            again = cycles + PATIENCE
        if some > 0:
            cycles += some // size
            known += some if m.g[k.R0] else 0
            age += some
            i += some
            continue
        page = base + m.tab[i]
        if not _may_come(m, c, page, age + size, rivals) or shadow_nodes.may_shrink(m, c, size, left):
            break
        chunk = m.ls[lid, k.TAIL]
        newer = m.ch[chunk, k.NEWER]
        old = (chunk << k.CHUNK_SHIFT) + m.ch[chunk, k.LO]
        some = min(size, (chunk << k.CHUNK_SHIFT) + m.ch[chunk, k.HI] - old)
        other = 0
        more = size - some  # these are in the next chunk
        if newer < 0 or some < runs.PAGES or not _may_go(m, old, some, base, last):
            break
        if more:
            if m.ch[newer, k.LO] + max(more, runs.PAGES) > m.ch[newer, k.HI]:
                break
            other = (newer << k.CHUNK_SHIFT) + m.ch[newer, k.LO]
            if not _may_go(m, other, max(more, runs.PAGES), base, last):
                break
        at, full = lists.head_room(m, lid)
        if at == full:
            lists.open_head(m, lid)
            at, full = lists.head_room(m, lid)
        first = min(runs.PAGES, full - at)
        if counted:
            first = reading.with_nodes(m, c, page, first)
            if first == 0:
                break
        _go(m, c, old, some, age, counted)
        m.ch[chunk, k.LO] += some
        if more:
            _go(m, c, other, more, age + some, counted)
            m.ch[newer, k.LO] += more
        if m.ch[chunk, k.LO] == m.ch[chunk, k.HI]:
            lists.drop_tail(m, lid)
        age += size
        cycles += 1
        came = 0
        while came < size and reading.eight_at(m, i, end):
            page = base + m.tab[i]
            if not _may_come(m, c, page, age, rivals):
                break
            if at == full:
                lists.open_head(m, lid)
                at, full = lists.head_room(m, lid)
            some = min(runs.PAGES, size - came, full - at)
            if came == 0:
                some = first
            elif counted:
                some = reading.with_nodes(m, c, page, some)
                if some == 0:
                    break
            if some == runs.PAGES:
                known += _come(m, c, page, at, counted, runs.PAGES)
            else:
                known += _come(m, c, page, at, counted, some)
            at += some
            came += some
            i += some
            lists.set_head(m, lid, at)
    if cycles:
        _count(m, c, o, cycles, cycles * size, i - start, known)
    return i - start
