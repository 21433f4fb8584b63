"""Classic two-list LRU reclaim of one cgroup (`shrink_lruvec` and below).

mm/vmscan.c; kernel.md 2.3-2.5. Costs: 6.1 counts pages sent to swap, 6.12 also pages scanned in vain.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, evict, io, lists, plug, shrink, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, njit
from memqos.sim.kernels.layout import Mem


@njit
def inactive_is_low(m: Mem, inactive: int, active: int) -> bool:
    """inactive_list_is_low: the active list may be sqrt(10 * GiB) times the inactive one."""
    size = (inactive + active) >> 18
    ratio = 1
    if size:
        while (ratio + 1) * (ratio + 1) <= 10 * size:
            ratio += 1
    return inactive * ratio < active


@njit
def prepare(m: Mem, target: int) -> None:
    """prepare_scan_control, on the target's whole subtree."""
    counters.sums(m, target)
    s = target
    for kind in range(2):
        inactive = m.cg[s, k.SUM0 + 2 * kind]
        active = m.cg[s, k.SUM0 + 2 * kind + 1]
        refaulted = counters.tree_sum(m, target, k.ACTIVATE_ANON + kind)
        low = inactive_is_low(m, inactive, active)
        may = refaulted != m.cg[target, k.SNAP_ANON + kind] or low or m.g[k.SC_FORCE_DEACTIVATE] != 0
        m.g[k.SC_DEACTIVATE_ANON + kind] = 1 if may else 0
    priority = m.g[k.SC_PRIORITY]
    trim = (m.cg[s, k.SUM2] >> priority) and not m.g[k.SC_DEACTIVATE_FILE]
    m.g[k.SC_CACHE_TRIM] = 1 if trim else 0
    m.g[k.SC_ANON_COST] = m.cg[target, k.COST_ANON]
    m.g[k.SC_FILE_COST] = m.cg[target, k.COST_FILE]
    m.g[k.SC_FILE_TINY] = 0
    if target == 0:
        file = m.cg[s, k.SUM2] + m.cg[s, k.SUM3]
        tiny = file + m.g[k.FREE] <= m.g[k.WMARK_HIGH] and not m.g[k.SC_DEACTIVATE_ANON]
        if tiny and m.cg[s, k.SUM0] >> priority:
            m.g[k.SC_FILE_TINY] = 1


@njit
def _scan(m: Mem, c: int, size: int, anon: int, balance: int, ap: int, fp: int) -> int:
    if (balance == 1 and anon) or (balance == 2 and not anon):
        return 0
    scan = size
    if c != m.g[k.SC_TARGET] and (m.cg[c, k.EMIN] or m.cg[c, k.ELOW]):
        shield = m.cg[c, k.EMIN]
        if m.cg[c, k.ELOW] > shield and not m.g[k.SC_LOW_RECLAIM]:
            shield = m.cg[c, k.ELOW]
            m.g[k.SC_LOW_SKIPPED] = 1
        usage = max(m.cg[c, k.USAGE], shield)
        scan = max(size - size * shield // (usage + 1), 32)
    scan >>= m.g[k.SC_PRIORITY]
    if scan == 0 and not m.cg[c, k.ONLINE]:
        scan = min(size, 32)
    if balance == 3:
        share = ap if anon else fp
        scan = (scan * share + (ap + fp - 1 if not m.cg[c, k.ONLINE] else 0)) // (ap + fp)
    return scan


@njit
def _balance(m: Mem, c: int) -> int:
    """get_scan_count's choice: 0 equal, 1 file only, 2 anon only, 3 by cost."""
    if not m.g[k.SC_MAY_SWAP] or counters.swap_room(m, c) <= 0:
        return 1
    swappiness = m.g[k.SC_SWAPPINESS]
    if m.g[k.SC_TARGET] != 0 and swappiness == 0:
        return 1
    if swappiness == 201:
        return 2
    if m.g[k.SC_PRIORITY] == 0 and swappiness:
        return 0
    if m.g[k.SC_FILE_TINY]:
        return 2
    if m.g[k.SC_CACHE_TRIM]:
        return 1
    return 3


@apart
def shrink_active(m: Mem, c: int, kind: int, count: int) -> None:
    """shrink_active_list: the oldest active pages go to the inactive list, marked workingset."""
    source = c * k.LISTS + 2 * kind + 1
    target = source - 1
    count = min(count, m.ls[source, k.SIZE])
    mark = k.WS | (2 * kind << k.LIST_SHIFT)
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
                m.w[page] = (m.w[page] & ~(k.YOUNG | k.LIST_MASK | k.POS)) | mark | to
                to += 1
                done += 1
        m.ch[chunk, k.LO] = at - first
        lists.set_head(m, target, to)
        if at == end:
            lists.drop_tail(m, source)
    m.ls[source, k.SIZE] -= count
    m.ls[target, k.SIZE] += count
    m.cg[c, k.PGREFILL] += count
    m.cg[c, k.PGDEACTIVATE] += count
    m.g[k.WORK_SCAN] += count


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
def shrink_inactive(m: Mem, c: int, kind: int, count: int) -> int:
    """shrink_inactive_list: reclaim from the oldest inactive pages; return how many were freed."""
    lid = c * k.LISTS + 2 * kind
    count = min(count, m.ls[lid, k.SIZE])
    freed = 0
    m.g[k.SC_PAGEOUT] = 0
    m.g[k.SC_UNQUEUED] = 0
    done = 0
    if kind and m.g[k.SC_CREDIT]:  # gone already (`rounds`)
        done = min(count, m.g[k.SC_CREDIT])
        m.g[k.SC_CREDIT] -= done
        m.ls[lid, k.SIZE] -= done
        freed = done
    while done < count:
        if kind:
            gone = evict.batch(m, c, k.INACTIVE_FILE, count - done, 0, evict.ANY)
            freed += gone
            done += gone
            if done == count:
                break
        done += 1
        page = lists.take_tail(m, lid)
        m.ls[lid, k.SIZE] -= 1
        m.w[page] |= k.PLACE  # in hand: its own write may end before it is put back
        fate = shrink.shrink_page(m, page, c)
        if fate == shrink.FREED:
            freed += 1
        elif fate == shrink.KEEP:
            lists.add(m, page, 2 * kind)
        else:
            lists.add(m, page, 2 * kind + 1)
            workingset.age(m, c, 1)
    if freed:
        counters.uncharge(m, c, freed)
    count_scan(m, c, count, freed)
    cost = m.g[k.SC_PAGEOUT]
    if m.g[k.COST_612]:
        cost = 32 * cost + count - freed
    if cost:
        workingset.note_cost(m, c, kind, cost)
    if count and m.g[k.SC_UNQUEUED] == count:
        m.g[k.FLUSH_WAKE] = k.FLUSH_ALL
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
    balance = _balance(m, c)
    total = m.g[k.SC_ANON_COST] + m.g[k.SC_FILE_COST]
    anon_cost = total + m.g[k.SC_ANON_COST]
    file_cost = total + m.g[k.SC_FILE_COST]
    total = anon_cost + file_cost
    swappiness = min(m.g[k.SC_SWAPPINESS], 200)
    ap, fp = 0, 0
    if balance == 3:
        ap = swappiness * (total + 1) // (anon_cost + 1)
        fp = (200 - swappiness) * (total + 1) // (file_cost + 1)
    first = c * k.LISTS
    n0 = _scan(m, c, m.ls[first, k.SIZE], 1, balance, ap, fp)
    n1 = _scan(m, c, m.ls[first + 1, k.SIZE], 1, balance, ap, fp)
    n2 = _scan(m, c, m.ls[first + 2, k.SIZE], 0, balance, ap, fp)
    n3 = _scan(m, c, m.ls[first + 3, k.SIZE], 0, balance, ap, fp)
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
    if m.g[k.SW_TOTAL] and inactive_is_low(m, m.ls[first, k.SIZE], m.ls[first + 1, k.SIZE]):
        shrink_active(m, c, 0, 32)
