"""What reads of single pages have in common whichever LRU there is (see `stream`)."""

from __future__ import annotations

from memqos.sim.kernels import charge, lease, nodes, runs, shadow_list
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined
from memqos.sim.kernels.mem import Mem

AHEAD = 64
BLOCK = k.PAD  # reads until eights are looked for again
FIRST_BLOCK = 8  # of those that are read in passing, doubled while that goes well
CHARGED, REFUSED = 1, 2
GO, ROOM, FULL, EVICTOR, OTHER = range(5)
"""Why a loop stops: not; no more pages may be charged; a full chunk; another's shadow; anything else."""


@inlined
def eight_at(m: Mem, i: int, end: int) -> bool:
    """Whether eight pages are read in order from `tab[i]` on."""
    return i + runs.PAGES <= end and runs.in_order(m.tab, i, m.tab[i])


@inlined
def block_end(m: Mem, i: int, end: int) -> int:
    """Where eights are looked for again: soon, if pages are read in order."""
    last = i + runs.PAGES - 1
    if last < end and m.tab[last] == m.tab[i] + runs.PAGES - 1:
        return last + 1
    return min(end, i + BLOCK)


@inlined
def with_nodes(m: Mem, c: int, page: int, some: int) -> int:
    """How many of at most eight pages that `c` reads in can enter tree nodes without further ado."""
    if m.xn[page >> 6] == 0 and not nodes.make(m, c, page):
        return 0
    first = runs.in_node(page, some)
    if first < some and m.xn[(page >> 6) + 1] == 0 and not nodes.make(m, c, page + first):
        return first
    return some


@inlined
def enter_node(m: Mem, page: int, held: int, pages: int, known: int) -> None:
    """Pages join a tree node that holds `held`; they leave `known` shadows."""
    if held & k.NODE_PAGES == 0 and held:
        shadow_list.unlist(m, page >> 6)
    m.xn[page >> 6] = held + pages - (known << 8)


@inlined
def enter_nodes(m: Mem, page: int, some: int, known: bool) -> None:
    """At most eight pages join their tree nodes; with `known` they leave shadows."""
    first = runs.in_node(page, some)
    enter_node(m, page, m.xn[page >> 6], first, first if known else 0)
    if first < some:
        page += first
        rest = some - first
        enter_node(m, page, m.xn[page >> 6], rest, rest if known else 0)


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
