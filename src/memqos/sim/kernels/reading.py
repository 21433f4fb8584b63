"""What reads of single pages have in common whichever LRU there is (see `stream`)."""

from __future__ import annotations

from memqos.sim.kernels import charge, lease, nodes, runs
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined
from memqos.sim.kernels.layout import Mem

AHEAD = 32
BLOCK = 64  # reads until a run is looked for again
CHARGED, REFUSED = 1, 2
GO, ROOM, FULL, EVICTOR, OTHER = range(5)
"""Why a loop stops: not; no more pages may be charged; a full chunk; another's shadow; anything else."""


@inlined
def run_at(m: Mem, page: int, i: int, end: int) -> int:
    """How many pages of one tree node are read in order from `tab[i]` on; 0 when hardly any."""
    if i + runs.LEAST >= end or m.tab[i + runs.LEAST] != m.tab[i] + runs.LEAST:
        return 0
    run = min(end - i, 64 - (page & 63))
    return run if runs.consecutive(m.tab, i, run) else 0


@inlined
def enter_node(m: Mem, page: int, held: int, pages: int, known: int) -> None:
    """Pages join a tree node that holds `held`, if the file has any; they leave `known` shadows."""
    if held & k.NODE_PAGES == 0:
        if held == 0:
            return
        nodes.unlist(m, page >> 6)
    m.xn[page >> 6] = held + pages - (known << 8)


@inlined
def reach(m: Mem, block: int) -> int:
    """How far ahead of reads before place `block` words are fetched: no further than `tab` goes."""
    return min(AHEAD, m.g[k.NTAB] - block)


@inlined
def settle(m: Mem, c: int, o: int, added: int, hand: int) -> None:
    """Count the pages read in, `hand` of them charged before."""
    m.g[k.CHANGES] += added
    m.g[k.NOW] += added * m.g[k.NS_READ_MISS]
    m.obj[o, k.O_RESIDENT] += added
    m.cg[c, k.N_FILE] += added
    lease.settle(m, c, added - hand if added else 0)


@inlined
def charged(m: Mem, c: int, page: int, counted: bool) -> int:
    """Charge a page the general way, reclaim and all; 0 if its tree node must be allocated first."""
    if counted and m.xn[page >> 6] == 0:
        return 0
    return CHARGED if charge.new_page(m, c, True) else REFUSED


@inlined
def interrupted(m: Mem, page: int, counted: bool) -> bool:
    """Whether what charging did must be seen to before the page is read in."""
    return m.g[k.OVER_HIGH] != 0 or m.g[k.KSWAPD_WAKE] != 0 or (counted and m.xn[page >> 6] == 0)
