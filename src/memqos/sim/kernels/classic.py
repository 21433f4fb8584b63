"""Classic two-list LRU reclaim of one cgroup (`shrink_lruvec` and below).

mm/vmscan.c. Costs: 6.1 counts pages sent to swap, 6.12 also pages scanned in vain. A large folio is taken
whole however few of its pages were asked for (`isolate_lru_folios`).
"""

from __future__ import annotations

from memqos.sim.kernels import (
    counters,
    evict,
    flusher,
    folios,
    io,
    lists,
    plug,
    scan_count,
    shrink,
    stats,
    tables,
    workingset,
)
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, njit
from memqos.sim.kernels.mem import Mem

ACTIVE = 1 << 32
HELD = 64
"""Pages there is room for in `g[ISOLATED]`; no more than 32 are taken off a list at a time."""


@njit
def _rest_as_old(m: Mem, head: int, gone: int) -> int:
    """No page of a large folio has been accessed lately, either; return how many it has."""
    folios.change(m, head, gone, 0)
    return folios.pages_of(m, head)


@apart
def shrink_active(m: Mem, c: int, kind: int, count: int) -> None:
    """shrink_active_list: the oldest active pages go to the inactive list, marked workingset."""
    source = c * k.LISTS + 2 * kind + 1
    target = source - 1
    count = min(count, m.ls[source, k.SIZE])
    mark = k.WS | (2 * kind << k.LIST_SHIFT)
    alien = kind * k.ALIEN
    done = 0
    while done < count:
        to, stop = lists.head_room(m, target)
        if to == stop:
            lists.open_head(m, target)
            to, stop = lists.head_room(m, target)
        chunk = m.ls[source, k.TAIL]
        first = chunk << k.CHUNK_SHIFT
        at = first + m.ch[chunk, k.LO]
        end, jump = lists.ahead(m, chunk)
        while at < end and to < stop and done < count:
            page = m.pool[at]
            lists.fetch(m, at, end, jump)
            at += 1
            if page >= 0:
                m.pool[to] = page
                word = m.w[page]
                gone = k.YOUNG | k.LIST_MASK | k.POS
                if word & alien and tables.ignored(m, word, page):
                    gone = k.LIST_MASK | k.POS
                m.w[page] = (word & ~gone) | mark | to
                to += 1
                done += _rest_as_old(m, page, gone & k.YOUNG) if word < 0 else 1
        m.ch[chunk, k.LO] = at - first
        lists.set_head(m, target, to)
        if at == end:
            lists.drop_tail(m, source)
    m.ls[source, k.SIZE] -= done
    m.ls[target, k.SIZE] += done
    m.cg[c, k.PGREFILL] += done
    m.cg[c, k.PGDEACTIVATE] += done
    m.g[k.WORK_SCAN] += done


@njit
def count_scan(m: Mem, c: int, scanned: int, stolen: int) -> None:
    """Count pgscan and pgsteal on the scanned cgroup, by who reclaims."""
    kind = m.g[k.SC_KIND]
    m.cg[c, k.PGSCAN + kind] += scanned
    m.cg[c, k.PGSTEAL + kind] += stolen
    if m.g[k.SC_TARGET] == 0:
        m.g[k.G_PGSCAN + kind] += scanned
        m.g[k.G_PGSTEAL + kind] += stolen
    m.g[k.WORK_SCAN] += scanned
    m.g[k.WORK_STEAL] += stolen
    m.g[k.SC_SCANNED] += scanned


@njit
def _put_back(m: Mem, c: int, kind: int, held: int) -> None:
    """move_folios_to_lru: what stays joins the lists when reclaim is done with all it has taken off.

    A page whose write to swap ended meanwhile was on no list, and could not be moved to the oldest end
    (mm/swap.c, `folio_rotate_reclaimable`): clean and still in the swap cache it goes round once more, and is
    found there by who touches it. Of what guests of 6.1 swapped out in e7 3.6% were (pswpout less pgrotated).
    """
    for i in range(held):
        entry = m.g[k.ISOLATED + i]
        page = entry & (ACTIVE - 1)
        if entry & ACTIVE:
            lists.add(m, page, 2 * kind + 1)
            workingset.age(m, c, folios.pages_of(m, page))
        else:
            lists.add(m, page, 2 * kind)


@njit
def shrink_inactive(m: Mem, c: int, kind: int, count: int) -> int:
    """shrink_inactive_list: reclaim from the oldest inactive pages; return how many were freed."""
    lid = c * k.LISTS + 2 * kind
    count = min(count, m.ls[lid, k.SIZE])
    freed = 0
    m.g[k.SC_PAGEOUT] = 0
    m.g[k.SC_UNQUEUED] = 0
    done = 0
    held = 0
    if kind and m.g[k.SC_CREDIT]:  # gone already (`rounds`)
        done = min(count, m.g[k.SC_CREDIT])
        m.g[k.SC_CREDIT] -= done
        m.ls[lid, k.SIZE] -= done
        freed = done
    while done < count:
        if kind:
            gone = evict.batch(m, c, k.INACTIVE_FILE, count - done, 0, evict.ANY, 0)
            freed += gone
            done += gone
            if done == count:
                break
        page = lists.take_tail(m, lid)
        pages = folios.pages_of(m, page)
        done += pages
        m.ls[lid, k.SIZE] -= pages
        m.w[page] |= k.PLACE  # in hand: its own write may end before it is put back
        fate = shrink.shrink_folio(m, page, c) if pages > 1 else shrink.shrink_page(m, page, c)
        if fate == shrink.FREED:
            freed += pages
            continue
        m.g[k.ISOLATED + held] = page | (ACTIVE if fate == shrink.ACTIVATE else 0)
        held += 1
        if m.g[k.WORK_OUT] and m.g[k.NS_SWAP_OUT]:
            io.spend_out(m)
        if held == HELD:
            _put_back(m, c, kind, held)
            held = 0
    _put_back(m, c, kind, held)
    if freed:
        counters.uncharge(m, c, freed)
    count_scan(m, c, done, freed)
    cost = m.g[k.SC_PAGEOUT]
    if m.g[k.COST_612]:
        cost = 32 * cost + done - freed
    if cost:
        workingset.note_cost(m, c, kind, cost)
    if done and m.g[k.SC_UNQUEUED] == done:
        flusher.call(m)
    return freed


@njit
def _shrink_list(m: Mem, c: int, number: int, count: int) -> int:
    kind = number >> 1
    if number & 1:
        if m.g[k.SC_DEACTIVATE_ANON + kind]:
            shrink_active(m, c, kind, count)
        else:
            m.g[k.SC_SKIPPED_DEACTIVATE] = 1
        return 0
    return shrink_inactive(m, c, kind, count)


@njit
def shrink_lruvec(m: Mem, c: int) -> None:
    """Reclaim from one cgroup by the shares get_scan_count gives its four lists."""
    balanced = scan_count.balance(m, c)
    ap, fp = scan_count.shares(m) if balanced == scan_count.FRACT else (0, 0)
    first = c * k.LISTS
    n0 = scan_count.pages(m, c, m.ls[first, k.SIZE], 1, balanced, ap, fp)
    n1 = scan_count.pages(m, c, m.ls[first + 1, k.SIZE], 1, balanced, ap, fp)
    n2 = scan_count.pages(m, c, m.ls[first + 2, k.SIZE], 0, balanced, ap, fp)
    n3 = scan_count.pages(m, c, m.ls[first + 3, k.SIZE], 0, balanced, ap, fp)
    t0, t1, t2, t3 = n0, n1, n2, n3
    wanted = m.g[k.SC_TO_RECLAIM]
    proportional = m.g[k.SC_TARGET] == 0 and m.g[k.SC_KIND] != k.KSWAPD and m.g[k.SC_PRIORITY] == 12
    freed = 0
    mine = plug.start(m)
    while n0 or n2 or n3:
        if n0:
            part = min(n0, 32)
            n0 -= part
            freed += _shrink_list(m, c, 0, part)
        if n1:
            part = min(n1, 32)
            n1 -= part
            freed += _shrink_list(m, c, 1, part)
        if n2:
            part = min(n2, 32)
            n2 -= part
            freed += _shrink_list(m, c, 2, part)
        if n3:
            part = min(n3, 32)
            n3 -= part
            freed += _shrink_list(m, c, 3, part)
        if m.g[k.WORK_OUT] and m.g[k.NS_SWAP_OUT]:
            io.spend(m)
        if m.g[k.FLUSH_WAKE] == k.FLUSH_ALL:
            flusher.preempt(m)
        if freed < wanted or proportional:
            continue
        file = n2 + n3
        anon = n0 + n1
        if file == 0 or anon == 0:
            break
        if file > anon:
            left = anon * 100 // (t0 + t1 + 1)
            n0 = 0
            n1 = 0
            n2 = max(0, t2 * (100 - left) // 100 - (t2 - n2))
            n3 = max(0, t3 * (100 - left) // 100 - (t3 - n3))
        else:
            left = file * 100 // (t2 + t3 + 1)
            n2 = 0
            n3 = 0
            n0 = max(0, t0 * (100 - left) // 100 - (t0 - n0))
            n1 = max(0, t1 * (100 - left) // 100 - (t1 - n1))
    plug.finish(m, mine)
    m.g[k.SC_RECLAIMED] += freed
    if m.g[k.SW_TOTAL] and scan_count.inactive_is_low(m, stats.length(m, c, 0), stats.length(m, c, 1)):
        shrink_active(m, c, 0, 32)
