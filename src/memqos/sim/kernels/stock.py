"""What CPUs have charged ahead: some cgroups' pages each, one of which a charge takes without further ado.

mm/memcontrol.c (`memcg_stock_pcp`, `consume_stock`, `refill_stock`, `drain_all_stock`). A
charge takes 64 pages where it can, and kernel memory that is given back goes here first (simulated on 7.2
only). A CPU has a stock of one cgroup, on 7.2 of seven (NR_MEMCG_STOCK, 6.16): what is left of one stays
charged until a limit is met and reclaim does not help, or until another cgroup takes its place. So guests'
pods of two CPUs were charged 27 pages more than memory.stat knows of on 6.1, 22 on 6.12 and 107 on 7.2, on
average of k10, k11 and k12. `g[STOCK_CG]` and `g[STOCK_N]` are the stock last used on the CPU `g[STOCK_CPU]`;
the others are in `m.lb`, from `LB_STOCK` on, each a cgroup + 1 and its pages.
"""

from __future__ import annotations

from memqos.sim.kernels import counters
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

BATCH = 64  # MEMCG_CHARGE_BATCH


@njit
def _give_back(m: Mem) -> None:
    """What the stock in use holds is charged no longer (drain_stock)."""
    if m.g[k.STOCK_N]:
        counters.uncharge(m, m.g[k.STOCK_CG], m.g[k.STOCK_N])
        m.g[k.STOCK_N] = 0
    m.g[k.STOCK_CG] = -1


@njit
def _swap(m: Mem, at: int) -> None:
    """Exchange the stock in use and the one at that place."""
    c = m.lb[at] - 1
    pages = m.lb[at + 1]
    m.lb[at] = m.g[k.STOCK_CG] + 1 if m.g[k.STOCK_N] else 0
    m.lb[at + 1] = m.g[k.STOCK_N]
    m.g[k.STOCK_CG] = c
    m.g[k.STOCK_N] = pages


@njit
def switch(m: Mem, cpu: int) -> None:
    """From here on another CPU charges."""
    if cpu != m.g[k.STOCK_CPU]:
        _swap(m, k.LB_ROW * m.g[k.STOCK_CPU] + k.LB_STOCK)
        _swap(m, k.LB_ROW * cpu + k.LB_STOCK)
        m.g[k.STOCK_CPU] = cpu


@njit
def find(m: Mem, c: int) -> bool:
    """Use this CPU's stock of `c`, if it has one."""
    if m.g[k.STOCK_CG] == c:
        return True
    first = k.LB_ROW * m.g[k.STOCK_CPU] + k.LB_STOCK
    for at in range(first + 2, first + 2 * m.g[k.STOCK_SLOTS], 2):
        if m.lb[at] == c + 1:
            _swap(m, at)
            return True
    return False


@njit
def refill(m: Mem, c: int, pages: int) -> None:
    """Keep pages that are charged to `c` for its next charges; more than 64 are given back, all of them.

    Where every place is taken the first is cleared (the kernel draws one).
    """
    if not find(m, c):
        if m.g[k.STOCK_N] and m.g[k.STOCK_SLOTS] > 1:
            first = k.LB_ROW * m.g[k.STOCK_CPU] + k.LB_STOCK
            free = first + 2
            for at in range(first + 2, first + 2 * m.g[k.STOCK_SLOTS], 2):
                if m.lb[at] == 0:
                    free = at
                    break
            _swap(m, free)
        _give_back(m)
        m.g[k.STOCK_CG] = c
    m.g[k.STOCK_N] += pages
    if m.g[k.STOCK_N] > BATCH:
        _give_back(m)


@njit
def drain(m: Mem) -> None:
    """drain_all_stock: nothing is charged ahead any more."""
    _give_back(m)
    for cpu in range(m.g[k.NCPU]):
        first = k.LB_ROW * cpu + k.LB_STOCK
        for at in range(first, first + 2 * m.g[k.STOCK_SLOTS], 2):
            if m.lb[at]:
                _swap(m, at)
                _give_back(m)
                m.lb[at] = 0


@njit
def kernel_uncharge(m: Mem, c: int, pages: int) -> None:
    """Pages of kernel memory are given back (obj_cgroup_uncharge_pages): to the stock first."""
    if c and m.g[k.STOCK_SLOTS] > 1:
        refill(m, c, pages)
    else:
        counters.uncharge(m, c, pages)


@njit
def kernel_charge(m: Mem, c: int, pages: int) -> None:
    """Kernel memory that must be there is charged whatever the limits say, out of the stock if it can be."""
    if m.g[k.STOCK_SLOTS] > 1 and find(m, c) and m.g[k.STOCK_N] >= pages:
        m.g[k.STOCK_N] -= pages
    else:
        counters.force_charge(m, c, pages)
