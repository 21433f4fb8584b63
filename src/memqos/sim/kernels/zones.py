"""The zone DMA: the first 16 MiB of memory, which programs get last, and MGLRU reclaims last.

What programs may have anywhere (GFP_HIGHUSER_MOVABLE) comes from the zone above until that is down to its low
watermark, then from DMA, before kswapd is woken (mm/page_alloc.c `get_page_from_freelist`). A 256th of what
lies above DMA stays free there (`sysctl_lowmem_reserve_ratio`); in a node of 4 GiB and more, all of it.

MGLRU has a list per zone in each generation and looks at DMA's when the other is empty (mm/vmscan.c
`scan_folios`, `for (i = MAX_NR_ZONES; i > 0; i--)`). As long as new pages join the oldest generation it never
is, so that what got there stays: a stream through a full guest of 6.12 found 14 MiB of its file again. And
kswapd stops early only if every zone has enough (`should_abort_scan`): once DMA is in use it has not, and
kswapd goes on until it has reclaimed the high watermarks' sum. The classic LRU has one list for all zones;
there only what DMA keeps back is told apart, as everywhere. Of a node above 3 GiB, DMA32 and Normal are one.

`g[DMA_FREE]`: free pages there that programs may have; `g[DMA_HELD]`: those they may not, which are part of
the watermarks in `g`. `g[FREE]` counts both.
"""

from __future__ import annotations

from memqos.sim.kernels import folios, pcp
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

MANAGED = 3840
"""Pages of the zone: 16 MiB less the first megabyte (/proc/zoneinfo of every guest)."""

KERNEL = 32
"""Of them what the kernel itself holds: 3,793 to 3,808 were free in guests."""

RATIO = 256  # sysctl_lowmem_reserve_ratio[ZONE_DMA]
MARGIN = 6  # between its watermarks


@inlined
def is_short(m: Mem) -> bool:
    """Whether the page taken last, which is counted already, brought the upper zone below its low mark."""
    return pcp.free_of(m) - m.g[k.DMA_FREE] < m.g[k.WMARK_LOW]


@njit
def take(m: Mem, page: int) -> None:
    """A new page, or folio by its first one, comes from DMA if it is there whole."""
    pages = folios.pages_of(m, page)
    if pages <= m.g[k.DMA_FREE]:
        m.g[k.DMA_FREE] -= pages
        m.w[page] |= k.IN_DMA


@inlined
def give(m: Mem, word: int, pages: int) -> None:
    """So many resident pages, the first of which had that word, are free now."""
    if word & k.IN_DMA:
        m.g[k.DMA_FREE] += pages
    elif pages == 1:
        pcp.give(m, 1)


@njit
def all_safe(m: Mem, margin: int) -> bool:
    """Whether every zone has that much more than its high watermark."""
    if pcp.free_of(m) - m.g[k.DMA_FREE] <= m.g[k.WMARK_HIGH] + margin:
        return False
    return m.g[k.DMA_HELD] == 0 or m.g[k.DMA_FREE] > MARGIN + margin
