"""Pages in memory that are read in passing: before those that are missing or move, and without branches.

Which of the next 64 reads meet a page that is missing, or that moves to the active list, is anyone's guess,
the processor's too: a wrong one costs as much as five reads. So the others are done first, and the places of
these are noted for a second loop. As nothing is reclaimed meanwhile, the order between them does not matter.

What a read makes of a page's word is looked up by nine of its bits: its list, whether it is in memory, and
what its accesses have left on it. A load and an addition take the place of a dozen tests.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.access import marked, moves
from memqos.sim.kernels.cells import prefetch
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

STEP = 4
RES_BIT = k.RES.bit_length() - 1
LONG = 1 << 18
"""Entries from which on a cgroup's lists, and the nodes of what is on them, outgrow the second cache."""
SOON = 12
"""How far ahead of a read what belongs to a page is fetched by its word, which is there by then."""
NOTED = 1
"""What is looked up for a word of which a read makes nothing by itself; for others, what it adds."""
STATES = k.PAD_STATES - 1


@njit
def learn(m: Mem) -> None:
    """Write down what a read makes of each state."""
    for state in range(k.PAD_STATES):
        word = state << k.LIST_SHIFT
        if not word & k.RES or moves(m, word):
            m.pad[k.PAD_READ + state] = NOTED
        else:
            m.pad[k.PAD_READ + state] = marked(m, word) - word


@inlined
def _adds(m: Mem, word: int) -> int:
    return m.pad[k.PAD_READ + ((word >> k.LIST_SHIFT) & STATES)]


@inlined
def _look(m: Mem, base: int, i: int, at: int, far: int, n: int) -> int:
    """Read the page of place `at` if it is one to be read in passing; return how many were not so far."""
    page = base + m.tab[at]
    word = m.w[page]
    prefetch(m.w, base + m.tab[at + far])
    m.pad[at - i] = word
    m.pad[k.PAD + n] = at
    more = _adds(m, word)
    m.w[page] = word + (more & ~NOTED)
    return n + (more & NOTED)


@inlined
def touch(m: Mem, base: int, i: int, block: int, far: int, room: int) -> tuple[int, int]:
    """Read the pages `tab[i:block]` that are in memory and stay on their list; note the places of the others.

    It ends after one more of these than there is `room` for: no reclaim is due before that one. Returns where
    it ended, and their number. The words as they were are in `m.pad`, then the places.
    """
    at = i
    n = 0
    while at + STEP <= block and n + STEP <= room + 1:
        for some in range(STEP):
            n = _look(m, base, i, at + some, far, n)
        at += STEP
    while at < block and n <= room:
        n = _look(m, base, i, at, far, n)
        at += 1
    return at, n


@inlined
def _fetch(m: Mem, page: int, word: int) -> None:
    """Fetch what a read of a page that is missing or moves will change beside its word."""
    prefetch(m.pool, word & k.PLACE & -((word >> RES_BIT) & 1))
    prefetch(m.xn, page >> 6)


@inlined
def fetch_noted(m: Mem, base: int, i: int, n: int) -> None:
    """Fetch it for the `n` pages that `touch` noted from place `i` on."""
    for some in range(n):
        at = m.pad[k.PAD + some]
        _fetch(m, base + m.tab[at], m.pad[at - i])


@inlined
def fetch_soon(m: Mem, base: int, i: int, far: int) -> None:
    """Fetch it for the page of a read that comes some places after `i`, no more than `far`."""
    page = base + m.tab[i + min(SOON, far)]
    _fetch(m, page, m.w[page])


@inlined
def undo(m: Mem, base: int, i: int, at: int, end: int) -> None:
    """The pages `tab[at:end]` have not been read, after all; `i` is where `touch` began."""
    while end > at:
        end -= 1
        word = m.pad[end - i]
        if _adds(m, word) != NOTED:
            m.w[base + m.tab[end]] = word
