"""Reads of single pages, as many as go by without anything but counting.

The same as `pagecache.add_page` and `pagecache.accessed` page by page (a property holds them together), with
the counters of the reading cgroup and the ends of the two lists it adds to in registers. Each LRU has its own
loop. Before an access that allocates a tree node, is throttled, or meets another cgroup's page to move, it
stops: the caller does that one the general way and comes back.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import reading, stream_generations, stream_lists
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

CHARGED, REFUSED = reading.CHARGED, reading.REFUSED


@njit
def reads(m: Mem, c: int, o: int, i: int, end: int, hits: bool) -> int:
    """Read the pages `tab[i:end]` of file `o` for `c`; return where it stopped, `g[R0]` misses in.

    `g[R1]` is what has become of the page it stopped at: nothing, `CHARGED`, or `REFUSED` as read-ahead.
    `hits` is a guess that most pages are in memory: it changes how fast this is, not what it does.
    """
    if m.g[k.MGLRU]:
        if hits:
            return stream_generations.reads_that_hit(m, c, o, i, end)
        return stream_generations.reads(m, c, o, i, end)
    if hits:
        return stream_lists.reads_that_hit(m, c, o, i, end)
    return stream_lists.reads(m, c, o, i, end)
