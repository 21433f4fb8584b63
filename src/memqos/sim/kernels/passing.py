"""Pages in memory that are read in passing: before those that are missing or move, and without branches.

Which of the next 64 reads meet a page that is missing, or that moves to the active list, is anyone's guess,
the processor's too: a wrong one costs as much as five reads. So the others are done first, and the places of
these are noted for a second loop. As nothing is reclaimed meanwhile, the order between them does not matter.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.cells import prefetch
from memqos.sim.kernels.jit import inlined
from memqos.sim.kernels.mem import Mem

RES_BIT = k.RES.bit_length() - 1
REF_BIT = k.REF.bit_length() - 1


@inlined
def touch(m: Mem, base: int, i: int, block: int, far: int, room: int) -> tuple[int, int]:
    """Read the pages `tab[i:block]` that are in memory and stay on their list; note the places of the others.

    It ends after one more of these than there is `room` for: no reclaim is due before that one. Returns where
    it ended, and their number. The words as they were are in `m.pad`, then the places.
    """
    at = i
    n = 0
    while at < block and n <= room:
        page = base + m.tab[at]
        word = m.w[page]
        prefetch(m.w, base + m.tab[at + far])
        m.pad[at - i] = word
        m.pad[k.PAD + n] = at
        # not in memory, or referenced and inactive
        n += (~(word >> RES_BIT) | ((word >> REF_BIT) & ~(word >> k.LIST_SHIFT))) & 1
        m.w[page] = word | ((word & k.RES) << (REF_BIT - RES_BIT))
        at += 1
    return at, n


@inlined
def undo(m: Mem, base: int, i: int, at: int, end: int) -> None:
    """The pages `tab[at:end]` have not been read, after all; `i` is where `touch` began."""
    while at < end:
        if m.pad[at - i] & (k.RES | k.REF) == k.RES:
            m.w[base + m.tab[at]] &= ~k.REF
        at += 1
