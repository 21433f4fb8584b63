"""Charges in the cgroup tree, protection, and sums over a subtree.

mm/page_counter.c (`page_counter_try_charge`, `propagate_protected_usage`,
`effective_protection`). Sizes are pages.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart, inlined, njit
from memqos.sim.kernels.mem import Mem


@njit
def propagate(m: Mem, c: int) -> None:
    """Bring a cgroup's protected usage, and its parent's sum of them, up to date."""
    parent = m.cg[c, k.PARENT]
    if parent < 0:
        return
    usage = m.cg[c, k.USAGE]
    used = min(usage, m.cg[c, k.MIN])
    m.cg[parent, k.KIDS_MIN] += used - m.cg[c, k.MIN_USAGE]
    m.cg[c, k.MIN_USAGE] = used
    used = min(usage, m.cg[c, k.LOW])
    m.cg[parent, k.KIDS_LOW] += used - m.cg[c, k.LOW_USAGE]
    m.cg[c, k.LOW_USAGE] = used


@inlined
def charge_tree(m: Mem, c: int, pages: int) -> int:
    """Charge a cgroup and its ancestors; return -1, or the one whose `max` is in the way (nothing charged).

    The peak of levels below the refusing one keeps the attempt, as the kernel's watermark does.
    """
    i = c
    while i >= 0:
        usage = m.cg[i, k.USAGE] + pages
        if usage > m.cg[i, k.MAX]:
            over = i
            i = c
            while i != over:
                m.cg[i, k.USAGE] -= pages
                if m.cg[i, k.PROTECTED]:
                    propagate(m, i)
                i = m.cg[i, k.PARENT]
            return over
        m.cg[i, k.USAGE] = usage
        m.cg[i, k.PEAK] = max(m.cg[i, k.PEAK], usage)
        if m.cg[i, k.PROTECTED]:
            propagate(m, i)
        i = m.cg[i, k.PARENT]
    return -1


@njit
def force_charge(m: Mem, c: int, pages: int) -> None:
    """Charge whatever the limits say (negative: uncharge)."""
    i = c
    while i >= 0:
        usage = m.cg[i, k.USAGE] + pages
        m.cg[i, k.USAGE] = usage
        m.cg[i, k.PEAK] = max(m.cg[i, k.PEAK], usage)
        if m.cg[i, k.PROTECTED]:
            propagate(m, i)
        i = m.cg[i, k.PARENT]


@njit
def uncharge(m: Mem, c: int, pages: int) -> None:
    """Give pages back to a cgroup and its ancestors."""
    i = c
    while i >= 0:
        m.cg[i, k.USAGE] -= pages
        if m.cg[i, k.PROTECTED]:
            propagate(m, i)
        i = m.cg[i, k.PARENT]


@njit
def work(m: Mem) -> int:
    """Nanoseconds of the processor for what was scanned, freed and sent to disks and is not paid for yet."""
    out = m.g[k.WORK_OUT] * m.g[k.NS_SWAP_OUT] + m.g[k.WORK_ROUNDS] * m.g[k.NS_ROUND]
    out += m.g[k.WORK_REQUESTS] * m.g[k.NS_REQUEST] - m.g[k.WORK_BEGUN] * m.g[k.NS_REQUEST] // 2
    return m.g[k.WORK_SCAN] * m.g[k.NS_SCAN] + m.g[k.WORK_STEAL] * m.g[k.NS_STEAL] + out


@njit
def margin(m: Mem, c: int) -> int:
    """Pages this cgroup itself may still charge."""
    return m.cg[c, k.MAX] - m.cg[c, k.USAGE]


@njit
def rise(m: Mem, c: int, which: int) -> None:
    """Count an event at `c` and every ancestor (memory.swap.events has no local file)."""
    while c >= 0:
        m.cg[c, which] += 1
        c = m.cg[c, k.PARENT]


@njit
def event(m: Mem, c: int, which: int) -> None:
    """Count a memory event at `c` (local) and at `c` and every ancestor."""
    m.cg[c, which + k.LOCAL_OF] += 1
    rise(m, c, which)


@inlined
def _next_beside(m: Mem, root: int, c: int) -> int:
    """The next cgroup of `root`'s subtree in pre-order that is not below `c`; -1 at the end."""
    while c != root:
        if m.cg[c, k.NEXT] >= 0:
            return m.cg[c, k.NEXT]
        c = m.cg[c, k.PARENT]
    return -1


@njit
def next_in(m: Mem, root: int, c: int) -> int:
    """The next cgroup of `root`'s subtree in pre-order after `c`; -1 at the end."""
    if m.cg[c, k.FIRST_CHILD] >= 0:
        return m.cg[c, k.FIRST_CHILD]
    return _next_beside(m, root, c)


@njit
def is_below(m: Mem, c: int, root: int) -> bool:
    """Whether `c` is `root` or lies below it."""
    while c >= 0:
        if c == root:
            return True
        c = m.cg[c, k.PARENT]
    return False


@njit
def effective(m: Mem, root: int, c: int) -> None:
    """Compute `EMIN` and `ELOW` of `c` for a reclaim that starts at `root`; parents come first."""
    usage = m.cg[c, k.USAGE]
    if c == root or usage == 0:
        return
    parent = m.cg[c, k.PARENT]
    if parent == root:
        m.cg[c, k.EMIN] = m.cg[c, k.MIN]
        m.cg[c, k.ELOW] = m.cg[c, k.LOW]
        return
    above = m.cg[parent, k.USAGE]
    for which in range(2):
        setting = m.cg[c, k.MIN + which]
        given = m.cg[parent, k.EMIN + which]
        siblings = m.cg[parent, k.KIDS_MIN + which]
        protected = min(usage, setting)
        if siblings > given:
            value = int(float(protected) * float(given) / float(siblings))
        else:
            value = protected
            if m.g[k.RECURSIVEPROT] and given > siblings and above > siblings and usage > protected:
                spare = float(given - siblings) * float(usage - protected)
                value += int(spare / float(above - siblings))
        m.cg[c, k.EMIN + which] = value


@inlined
def at_flush(m: Mem) -> bool:
    """Whether who reclaims sees statistics as of their last flush, and brings none up to date (`stats`)."""
    return m.g[k.STALE_LISTS] != 0 and m.g[k.RSTAT_LAG] != 0


@apart
def sums_with(m: Mem, c: int, known: int) -> bool:
    """Bring `SUM0..3` of `c` up to date: pages on inactive/active anon/file lists of its subtree.

    As the kernel's rstat: exact for a leaf, at most 64 changes a CPU late for a subtree; since 6.8 as of the
    last flush (`stats`). `known` is a cgroup below it whose sums are exact at this moment, or -1; returned is
    whether those of `c` are.
    """
    if at_flush(m):
        return False
    if m.cg[c, k.FIRST_CHILD] < 0:
        for i in range(4):
            m.cg[c, k.SUM0 + i] = m.ls[c * k.LISTS + i, k.SIZE]
        return True
    if m.cg[c, k.SUM_STAMP] > 0 and m.g[k.CHANGES] + 1 - m.cg[c, k.SUM_STAMP] < m.g[k.RSTAT_LAG]:
        return False
    m.cg[c, k.SUM_STAMP] = m.g[k.CHANGES] + 1
    sum0, sum1, sum2, sum3 = 0, 0, 0, 0
    d = c
    while d >= 0:
        if d == known and m.cg[d, k.FIRST_CHILD] >= 0:
            sum0 += m.cg[d, k.SUM0]
            sum1 += m.cg[d, k.SUM1]
            sum2 += m.cg[d, k.SUM2]
            sum3 += m.cg[d, k.SUM3]
            d = _next_beside(m, c, d)
            continue
        lid = d * k.LISTS
        sum0 += m.ls[lid, k.SIZE]
        sum1 += m.ls[lid + 1, k.SIZE]
        sum2 += m.ls[lid + 2, k.SIZE]
        sum3 += m.ls[lid + 3, k.SIZE]
        # Mostly they were made one after another: then the next one need not wait until its name is read.
        # A later sibling has a higher number, so `<=` is `==`, which would be taken for `d = m.cg[d, NEXT]`.
        if m.cg[d, k.FIRST_CHILD] < 0 and 0 <= m.cg[d, k.NEXT] <= d + 1:
            d += 1
        else:
            d = next_in(m, c, d)
    m.cg[c, k.SUM0] = sum0
    m.cg[c, k.SUM1] = sum1
    m.cg[c, k.SUM2] = sum2
    m.cg[c, k.SUM3] = sum3
    return True


@njit
def sums(m: Mem, c: int) -> None:
    """As `sums_with`, with nothing known of the cgroups below."""
    sums_with(m, c, -1)


@njit
def tree_sum(m: Mem, c: int, field: int) -> int:
    """The sum of one column over a subtree."""
    total = 0
    d = c
    while d >= 0:
        total += m.cg[d, field]
        d = next_in(m, c, d)
    return total


@njit
def swap_room(m: Mem, c: int) -> int:
    """Pages that may still be swapped out for `c`: free slots and `swap.max` up the tree."""
    room = m.g[k.SW_FREE]
    while c >= 0:
        room = min(room, m.cg[c, k.SWAP_MAX] - m.cg[c, k.SWAP])
        c = m.cg[c, k.PARENT]
    return room


@njit
def swap_full(m: Mem, c: int) -> bool:
    """`mem_cgroup_swap_full`: over half of the slots is used, or of swap.max or swap.high at any level."""
    if m.g[k.SW_FREE] * 2 < m.g[k.SW_TOTAL]:
        return True
    while c >= 0:
        if m.cg[c, k.SWAP] * 2 >= min(m.cg[c, k.SWAP_MAX], m.cg[c, k.SWAP_HIGH]):
            return True
        c = m.cg[c, k.PARENT]
    return False
