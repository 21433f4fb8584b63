"""Large folios: pages of a file that came together, and are charged, sorted and evicted as one (7.2).

Every page keeps its word, with its cgroup and what it alone may be: read in flight, dirty, under writeback,
with buffers, mapped, accessed through a page table. What the folio is stands in the word of its first page:
its place on the lists and its generation, accesses through descriptors, RECLAIM, RAHEAD. All words carry
`LARGE`; `m.aux` of the first page is how many pages there are, of any other minus its distance to that.
include/linux/page-flags.h, mm/filemap.c.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem


@inlined
def head_of(m: Mem, page: int) -> int:
    """The first page of a resident page's folio (page_folio)."""
    return page + min(0, m.aux[page]) if m.w[page] < 0 else page


@inlined
def pages_of(m: Mem, head: int) -> int:
    """How many pages a folio has, by its first one (folio_nr_pages)."""
    return m.aux[head] if m.w[head] < 0 else 1


@njit
def state_of(m: Mem, head: int) -> int:
    """The word of a folio's first page, with what any of its pages is."""
    word = m.w[head]
    for page in range(head + 1, head + pages_of(m, head)):
        word |= m.w[page] & k.OF_A_PAGE
    return word


@njit
def change(m: Mem, head: int, gone: int, more: int) -> None:
    """Take flags from each page of a folio, and give others."""
    for page in range(head, head + pages_of(m, head)):
        m.w[page] = (m.w[page] & ~gone) | more


@njit
def make(m: Mem, head: int, pages: int, word: int, mine: int) -> None:
    """Fill pages with a word each, and make a large folio of them; `mine` is for the first one alone."""
    for i in range(pages):
        m.w[head + i] = word | k.LARGE
        m.aux[head + i] = -i
    m.w[head] |= mine
    m.aux[head] = pages


@njit
def clear(m: Mem, head: int, word: int) -> None:
    """A large folio leaves memory: each of its pages is `word` now."""
    for page in range(head, head + pages_of(m, head)):
        m.w[page] = word
        m.aux[page] = 0


@njit
def is_free(m: Mem, first: int, pages: int) -> bool:
    """Whether none of these pages is in memory."""
    here = 0
    for page in range(first, first + pages):
        here |= m.w[page]
    return here & k.RES == 0
