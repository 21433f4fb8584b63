"""What an access through a descriptor leaves on a page (folio_mark_accessed), and one that reclaim finds.

mm/swap.c, mm/vmscan.c.
"""

from __future__ import annotations

from memqos.sim.kernels import folios, lists, workingset
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined
from memqos.sim.kernels.mem import Mem


@inlined
def moves(m: Mem, word: int) -> bool:
    """Whether an access moves a resident page to the active list."""
    return not m.g[k.MGLRU] and word & (k.REF | k.LIST_MASK) == k.REF | k.INACTIVE_FILE << k.LIST_SHIFT


@inlined
def marked(m: Mem, word: int) -> int:
    """The word of a resident page after an access that does not move it."""
    rework = m.g[k.MGLRU_72]
    if not word & k.REF:
        return (word & ~k.REFS_MASK if rework else word) | k.REF
    if not m.g[k.MGLRU]:
        return word
    if not rework and not word & k.WS:
        return word | k.WS
    if word & k.REFS_MASK != k.REFS_MASK:
        return word + (1 << k.REFS_SHIFT)
    return word | k.WS


@inlined
def found_again(m: Mem, word: int) -> int:
    """lru_gen_set_refs of 7.2: the word of a mapped page that was accessed before, and was so again.

    Its fault has counted as an access (`folio_add_lru`), so that only the third time it is of the working
    set. Walks of page tables do not wait for that (`folio_update_gen`).
    """
    if workingset.refs_of(m, word) > 1:
        return (word & ~(k.REFS_MASK | k.REF)) | k.WS
    return marked(m, word)


@inlined
def accessed(m: Mem, page: int) -> None:
    """folio_mark_accessed, once per folio and read."""
    page = folios.head_of(m, page)
    word = m.w[page]
    if not moves(m, word):
        m.w[page] = marked(m, word)
        return
    c = (word & k.CG_MASK) >> k.CG_SHIFT
    lists.remove(m, page)
    m.w[page] = word & ~k.REF
    lists.add(m, page, k.ACTIVE_FILE)
    pages = folios.pages_of(m, page)
    workingset.age(m, c, pages)
    m.cg[c, k.PGACTIVATE] += pages
