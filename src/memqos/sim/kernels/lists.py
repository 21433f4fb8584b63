"""LRU lists as logs of page numbers, 256 to a chunk, chunks in one pool.

Adding writes the next entry, taking from the tail reads entries in order, both sequential in memory
(a linked list costs a cache miss a page). Removing from the middle marks the entry -1. `compact`
closes the gaps when the pool runs out of chunks, which its size (a quarter more entries than pages
of memory, two chunks a list) makes rare.

Of a large folio the first page stands for all. A list's `SIZE` counts pages whose word names that list. With
MGLRU a page may be promoted by a flag alone and move only when eviction meets it (`folio_update_gen`), so
`take` leaves sizes to the caller.
"""

from __future__ import annotations

from memqos.sim.kernels import folios
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.cells import prefetch
from memqos.sim.kernels.jit import apart, inlined, njit
from memqos.sim.kernels.mem import Mem

AHEAD = 64


@njit
def _new_chunk(m: Mem) -> int:
    chunk = m.g[k.CHUNK_FREE]
    if chunk < 0:
        compact(m)
        chunk = m.g[k.CHUNK_FREE]
    m.g[k.CHUNK_FREE] = m.ch[chunk, k.NEWER]
    return chunk


@njit
def free_chunk(m: Mem, chunk: int) -> None:
    """Give a chunk back to the pool."""
    m.ch[chunk, k.NEWER] = m.g[k.CHUNK_FREE]
    m.g[k.CHUNK_FREE] = chunk


@apart
def open_head(m: Mem, lid: int) -> int:
    """Begin a new chunk at the newest end of a list; this may compact all lists."""
    new = _new_chunk(m)
    chunk = m.ls[lid, k.HEAD]
    m.ch[new, k.LO] = 0
    m.ch[new, k.HI] = 0
    m.ch[new, k.NEWER] = -1
    m.ch[new, k.OLDER] = chunk
    if chunk >= 0:
        m.ch[chunk, k.NEWER] = new
    else:
        m.ls[lid, k.TAIL] = new
    m.ls[lid, k.HEAD] = new
    return new


@inlined
def head_room(m: Mem, lid: int) -> tuple[int, int]:
    """The next place at the newest end of a list, and where its chunk ends."""
    chunk = m.ls[lid, k.HEAD]
    if chunk < 0:
        return 0, 0
    return (chunk << k.CHUNK_SHIFT) + m.ch[chunk, k.HI], (chunk + 1) << k.CHUNK_SHIFT


@inlined
def set_head(m: Mem, lid: int, at: int) -> None:
    """Say that the newest chunk of a list is filled up to place `at`."""
    chunk = m.ls[lid, k.HEAD]
    if chunk >= 0:
        m.ch[chunk, k.HI] = at - (chunk << k.CHUNK_SHIFT)


@inlined
def put_head(m: Mem, lid: int, page: int) -> None:
    """Add a page at the newest end; its word's position is set, its list and size are the caller's."""
    chunk = m.ls[lid, k.HEAD]
    if chunk < 0 or m.ch[chunk, k.HI] == k.CHUNK:
        chunk = open_head(m, lid)
    hi = m.ch[chunk, k.HI]
    pos = (chunk << k.CHUNK_SHIFT) + hi
    m.ch[chunk, k.HI] = hi + 1
    m.pool[pos] = page
    m.w[page] = (m.w[page] & ~k.PLACE) | pos


@njit
def put_tail(m: Mem, lid: int, page: int) -> None:
    """Add a page at the oldest end."""
    chunk = m.ls[lid, k.TAIL]
    if chunk < 0 or m.ch[chunk, k.LO] == 0:
        new = _new_chunk(m)
        chunk = m.ls[lid, k.TAIL]
        m.ch[new, k.LO] = k.CHUNK
        m.ch[new, k.HI] = k.CHUNK
        m.ch[new, k.OLDER] = -1
        m.ch[new, k.NEWER] = chunk
        if chunk >= 0:
            m.ch[chunk, k.OLDER] = new
        else:
            m.ls[lid, k.HEAD] = new
        m.ls[lid, k.TAIL] = new
        chunk = new
    lo = m.ch[chunk, k.LO] - 1
    pos = (chunk << k.CHUNK_SHIFT) + lo
    m.ch[chunk, k.LO] = lo
    m.pool[pos] = page
    m.w[page] = (m.w[page] & ~k.PLACE) | pos


@njit
def drop_tail(m: Mem, lid: int) -> None:
    """Give the oldest chunk of a list back; it holds nothing any more."""
    chunk = m.ls[lid, k.TAIL]
    newer = m.ch[chunk, k.NEWER]
    m.ls[lid, k.TAIL] = newer
    if newer < 0:
        m.ls[lid, k.HEAD] = -1
    else:
        m.ch[newer, k.OLDER] = -1
    free_chunk(m, chunk)


@inlined
def oldest(m: Mem, lid: int) -> int:
    """The oldest page; -1 when the list is empty. Entries of removed pages before it are dropped."""
    while True:
        chunk = m.ls[lid, k.TAIL]
        if chunk < 0:
            return -1
        at = chunk << k.CHUNK_SHIFT
        end = at + m.ch[chunk, k.HI]
        at += m.ch[chunk, k.LO]
        while at < end:
            page = int(m.pool[at])
            if page >= 0:
                m.ch[chunk, k.LO] = at & (k.CHUNK - 1)
                return page
            at += 1
        drop_tail(m, lid)


@inlined
def take_tail(m: Mem, lid: int) -> int:
    """Take the oldest page off; -1 when the list is empty. The size is the caller's."""
    page = oldest(m, lid)
    if page >= 0:
        m.ch[m.ls[lid, k.TAIL], k.LO] += 1
    return page


@inlined
def ahead(m: Mem, chunk: int) -> tuple[int, int]:
    """For `fetch`: where a chunk ends, and how far it is from there to where the next newer one begins."""
    newer = m.ch[chunk, k.NEWER]
    end = (chunk << k.CHUNK_SHIFT) + m.ch[chunk, k.HI]
    return end, (newer << k.CHUNK_SHIFT) + m.ch[newer, k.LO] - end if newer >= 0 else 0


@inlined
def fetch(m: Mem, at: int, end: int, jump: int) -> None:
    """Fetch the word of the page that stands some places after `at`."""
    at += AHEAD
    prefetch(m.w, m.pool[at + jump if at >= end else at])


@inlined
def list_of(word: int) -> int:
    """The list a resident page's word names."""
    number = ((word & k.LIST_MASK) >> k.LIST_SHIFT) + ((word & k.IN_DMA) >> 28)  # k.OF_DMA
    return ((word & k.CG_MASK) >> k.CG_SHIFT) * k.LISTS + number


@inlined
def remove(m: Mem, page: int) -> None:
    """Take a page out of the middle of its list."""
    word = m.w[page]
    m.pool[word & k.PLACE] = -1
    m.ls[list_of(word), k.SIZE] -= folios.pages_of(m, page)


@inlined
def add(m: Mem, page: int, number: int) -> None:
    """Put a resident page on list `number` of its cgroup, newest end."""
    word = (m.w[page] & ~k.LIST_MASK) | (number << k.LIST_SHIFT)
    m.w[page] = word
    lid = list_of(word)
    m.ls[lid, k.SIZE] += folios.pages_of(m, page)
    put_head(m, lid, page)


@njit
def add_tail(m: Mem, page: int, number: int) -> None:
    """Put a resident page on list `number` of its cgroup, oldest end."""
    word = (m.w[page] & ~k.LIST_MASK) | (number << k.LIST_SHIFT)
    m.w[page] = word
    lid = list_of(word)
    m.ls[lid, k.SIZE] += folios.pages_of(m, page)
    put_tail(m, lid, page)


@njit
def _compact_list(m: Mem, lid: int) -> None:
    source = m.ls[lid, k.TAIL]
    target = source
    filled = 0
    while source >= 0:
        lo = m.ch[source, k.LO]
        hi = m.ch[source, k.HI]
        for i in range(lo, hi):
            page = int(m.pool[(source << k.CHUNK_SHIFT) + i])
            if page >= 0:
                pos = (target << k.CHUNK_SHIFT) + filled
                m.pool[pos] = page
                m.w[page] = (m.w[page] & ~k.PLACE) | pos
                filled += 1
                if filled == k.CHUNK:
                    m.ch[target, k.LO] = 0
                    m.ch[target, k.HI] = k.CHUNK
                    target = m.ch[target, k.NEWER]
                    filled = 0
        source = m.ch[source, k.NEWER]
    if target < 0:
        return
    head = target
    if filled:
        m.ch[target, k.LO] = 0
        m.ch[target, k.HI] = filled
        target = m.ch[target, k.NEWER]
    else:
        head = m.ch[target, k.OLDER]
    m.ls[lid, k.HEAD] = head
    if head >= 0:
        m.ch[head, k.NEWER] = -1
    else:
        m.ls[lid, k.TAIL] = -1
    while target >= 0:
        newer = m.ch[target, k.NEWER]
        free_chunk(m, target)
        target = newer


@apart
def compact(m: Mem) -> None:
    """Close the gaps in every list; order is kept."""
    for lid in range(m.g[k.NCG] * k.LISTS):
        _compact_list(m, lid)
