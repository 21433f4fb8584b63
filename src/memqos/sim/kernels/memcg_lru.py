"""The order in which MGLRU's reclaim of a whole node visits cgroups: an LRU of cgroups.

include/linux/mmzone.h (`struct lru_gen_memcg`), mm/vmscan.c (`lru_gen_rotate_memcg`, `shrink_many`). Cgroups
stand in generations of eight bins each. A walk goes through the bins of the oldest generation from a random
one on; who was aged, or is empty, goes to a random bin of the next generation and is left alone until all
others are there too. Who stands before the streaming cgroup in the walk loses pages with every walk, who
stands after it only when that did not give enough: the bins decide, and they are random.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

STAY, HEAD, TAIL, OLD, YOUNG = range(5)
GENERATIONS, BINS = 3, 8


@njit
def draw(m: Mem, below: int) -> int:
    """A random number (get_random_u32_below)."""
    x = m.g[k.RNG]
    x = x ^ ((x << 13) & 0xFFFFFFFF)
    x = x ^ (x >> 17)
    x = x ^ ((x << 5) & 0xFFFFFFFF)
    m.g[k.RNG] = x
    return (x >> 8) % below


@njit
def first_of(m: Mem, generation: int, number: int) -> int:
    """The first cgroup of a bin; -1 when it is empty."""
    return m.g[k.MEMCG_HEADS + generation * BINS + number] - 1


@njit
def next_of(m: Mem, c: int) -> int:
    """The cgroup after `c` in its bin; -1 at the end."""
    return m.cg[c, k.LRU_NEXT] - 1


@njit
def oldest(m: Mem) -> int:
    """The generation that is reclaimed from."""
    return m.g[k.MEMCG_SEQ] % GENERATIONS


@njit
def _put(m: Mem, c: int, generation: int, number: int, first: bool) -> None:
    m.cg[c, k.LRU_GEN] = generation
    m.cg[c, k.LRU_BIN] = number
    head = k.MEMCG_HEADS + generation * BINS + number
    tail = k.MEMCG_TAILS + generation * BINS + number
    before = -1 if first else m.g[tail] - 1
    after = m.g[head] - 1 if first else -1
    m.cg[c, k.LRU_PREV] = before + 1
    m.cg[c, k.LRU_NEXT] = after + 1
    if before >= 0:
        m.cg[before, k.LRU_NEXT] = c + 1
    else:
        m.g[head] = c + 1
    if after >= 0:
        m.cg[after, k.LRU_PREV] = c + 1
    else:
        m.g[tail] = c + 1
    m.g[k.MEMCG_COUNTS + generation] += 1


@njit
def _take(m: Mem, c: int) -> None:
    place = m.cg[c, k.LRU_GEN] * BINS + m.cg[c, k.LRU_BIN]
    before = m.cg[c, k.LRU_PREV] - 1
    after = m.cg[c, k.LRU_NEXT] - 1
    if before >= 0:
        m.cg[before, k.LRU_NEXT] = after + 1
    else:
        m.g[k.MEMCG_HEADS + place] = after + 1
    if after >= 0:
        m.cg[after, k.LRU_PREV] = before + 1
    else:
        m.g[k.MEMCG_TAILS + place] = before + 1
    m.g[k.MEMCG_COUNTS + m.cg[c, k.LRU_GEN]] -= 1


@njit
def online(m: Mem, c: int) -> None:
    """A cgroup is made (lru_gen_online_memcg)."""
    _put(m, c, oldest(m), draw(m, BINS), False)


@njit
def rotate(m: Mem, c: int, op: int) -> None:
    """lru_gen_rotate_memcg: `c` goes to another place; when the oldest generation is empty, the next is."""
    number = draw(m, BINS)
    old = m.cg[c, k.LRU_GEN]
    new = old
    if op == OLD:
        new = oldest(m)
    elif op == YOUNG:
        new = (m.g[k.MEMCG_SEQ] + 1) % GENERATIONS
    m.cg[c, k.LRU_SEG] = op if op in (HEAD, TAIL) else 0
    _take(m, c)
    _put(m, c, new, number, op in (HEAD, OLD))
    if m.g[k.MEMCG_COUNTS + old] == 0 and old == oldest(m):
        m.g[k.MEMCG_SEQ] += 1
