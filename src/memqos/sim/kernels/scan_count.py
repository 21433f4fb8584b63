"""How much of each list classic reclaim scans: `prepare_scan_control` and `get_scan_count` of mm/vmscan.c."""

from __future__ import annotations

from memqos.sim.kernels import counters, pcp, stats
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

EQUAL, FILE, ANON, FRACT = range(4)
"""SCAN_EQUAL and so on: all lists alike, page cache only, anonymous memory only, by what each costs."""


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
def _all(m: Mem, number: int) -> int:
    """Pages of one sort of list on the node (node_page_state): never late."""
    total = 0
    for c in range(m.g[k.NCG]):
        total += m.ls[c * k.LISTS + number, k.SIZE]
    return total


@njit
def prepare(m: Mem, target: int) -> None:
    """prepare_scan_control, on the target's whole subtree."""
    counters.sums(m, target)
    s = target
    for kind in range(2):
        inactive = m.cg[s, k.SUM0 + 2 * kind]
        active = m.cg[s, k.SUM0 + 2 * kind + 1]
        refaulted = stats.activated(m, target, kind)
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
        file = _all(m, k.INACTIVE_FILE) + _all(m, k.ACTIVE_FILE)
        tiny = file + pcp.free_of(m) <= m.g[k.WMARK_HIGH] and not m.g[k.SC_DEACTIVATE_ANON]
        if tiny and _all(m, k.INACTIVE_ANON) >> priority:
            m.g[k.SC_FILE_TINY] = 1


@njit
def pages(m: Mem, c: int, size: int, anon: int, balanced: int, ap: int, fp: int) -> int:
    """How many pages of a list of `size` are scanned; under FRACT its share is `ap` or `fp` of both."""
    if (balanced == FILE and anon) or (balanced == ANON and not anon):
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
    if balanced == FRACT:
        share = ap if anon else fp
        scan = (scan * share + (ap + fp - 1 if not m.cg[c, k.ONLINE] else 0)) // (ap + fp)
    return scan


@njit
def balance(m: Mem, c: int) -> int:
    """get_scan_count's choice: EQUAL, FILE, ANON or FRACT."""
    if not m.g[k.SC_MAY_SWAP] or counters.swap_room(m, c) <= 0:
        return FILE
    swappiness = m.g[k.SC_SWAPPINESS]
    if m.g[k.SC_TARGET] != 0 and swappiness == 0:
        return FILE
    if swappiness == 201:
        return ANON
    if m.g[k.SC_PRIORITY] == 0 and swappiness:
        return EQUAL
    if m.g[k.SC_FILE_TINY]:
        return ANON
    if m.g[k.SC_CACHE_TRIM]:
        return FILE
    return FRACT


@njit
def shares(m: Mem) -> tuple[int, int]:
    """The shares of anonymous memory and of page cache under FRACT: swappiness against what each costs."""
    total = m.g[k.SC_ANON_COST] + m.g[k.SC_FILE_COST]
    anon_cost = total + m.g[k.SC_ANON_COST]
    file_cost = total + m.g[k.SC_FILE_COST]
    total = anon_cost + file_cost
    swappiness = min(m.g[k.SC_SWAPPINESS], 200)
    return (
        swappiness * (total + 1) // (anon_cost + 1),
        (200 - swappiness) * (total + 1) // (file_cost + 1),
    )
