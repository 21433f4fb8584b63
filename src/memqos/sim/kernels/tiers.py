"""Which type MGLRU evicts from, and which tiers of it: those that refault no more than the others.

mm/vmscan.c (`get_type_to_scan`, `get_tier_idx`, `positive_ctrl_err`).
`g[MGLRU_72]` selects the rework of 6.14 (as in 7.2) over the rules of 6.12.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.placement import ANON, FILE

MIN_BATCH = 64  # MIN_LRU_BATCH


@njit
def _within(m: Mem, c: int, sp: int, sp_gain: int, pv: int, pv_gain: int) -> bool:
    """positive_ctrl_err over tiers `[type*4+tier]`: whether `pv` refaults no more than `sp`."""
    pv_ref = m.cg[c, k.AVG_REFAULTED + pv] + m.cg[c, k.REFAULTED + pv]
    pv_total = m.cg[c, k.AVG_TOTAL + pv] + m.cg[c, k.EVICTED + pv] + m.cg[c, k.SHELTERED + pv]
    sp_ref = m.cg[c, k.AVG_REFAULTED + sp] + m.cg[c, k.REFAULTED + sp]
    sp_total = m.cg[c, k.AVG_TOTAL + sp] + m.cg[c, k.EVICTED + sp] + m.cg[c, k.SHELTERED + sp]
    if pv_ref < MIN_BATCH:
        return True
    return pv_ref * (sp_total + MIN_BATCH) * sp_gain <= (sp_ref + 1) * pv_total * pv_gain


@njit
def limit_of(m: Mem, c: int, kind: int) -> int:
    """get_tier_idx: the highest tier of the oldest generation that may be evicted."""
    low, high = (2, 3) if m.g[k.MGLRU_72] else (1, 2)
    tier = 1
    while tier < k.TIERS and _within(m, c, 4 * kind, low, 4 * kind + tier, high):
        tier += 1
    return tier - 1


@njit
def _all_tiers(m: Mem, c: int, kind: int, which: int) -> int:
    total = 0
    for tier in range(k.TIERS):
        i = 4 * kind + tier
        if which == 0:
            total += m.cg[c, k.AVG_REFAULTED + i] + m.cg[c, k.REFAULTED + i]
        else:
            total += m.cg[c, k.AVG_TOTAL + i] + m.cg[c, k.EVICTED + i] + m.cg[c, k.SHELTERED + i]
    return total


@njit
def choose_type(m: Mem, c: int, swappiness: int) -> int:
    """get_type_to_scan; `g[R2]` is the tier limit, -1 when it is still to be found."""
    m.g[k.R2] = -1
    if swappiness == 0:
        return FILE
    if swappiness == 201:
        return ANON
    if not m.g[k.MGLRU_72]:
        if m.cg[c, k.MIN_SEQ_ANON] < m.cg[c, k.MIN_SEQ_FILE]:
            return ANON
        if swappiness == 1:
            return FILE
        if swappiness == 200:
            return ANON
        gain = swappiness
        kind = FILE if _within(m, c, 4 * ANON, gain, 4 * FILE, 200 - gain) else ANON
        mine = 200 - gain if kind == FILE else gain
        tier = 1
        while tier < k.TIERS and _within(m, c, 4 * (1 - kind), 200 - mine, 4 * kind + tier, mine):
            tier += 1
        m.g[k.R2] = tier - 1
        return kind
    if swappiness == 200:
        return ANON
    file_ref = _all_tiers(m, c, FILE, 0)
    if file_ref < MIN_BATCH:
        return FILE
    left = file_ref * (_all_tiers(m, c, ANON, 1) + MIN_BATCH) * swappiness
    right = (_all_tiers(m, c, ANON, 0) + 1) * _all_tiers(m, c, FILE, 1) * (200 - swappiness)
    return FILE if left <= right else ANON
