"""The page cache's tree: one node (struct xa_node) per 64 pages, its kernel memory, and its shadows.

lib/xarray.c, mm/workingset.c (`workingset_update_node`). `m.xn[node]` counts a node's resident
pages (low byte) and shadows (high byte): two bytes for 64 pages, so that a random access to a page does not
cost another one to its node. In a node above the leaves what counts is a place: a node below, or 64 pages of
a large folio; or the shadow of these.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import shadow_list, stock
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

LEAF = 64
"""Pages below one leaf. Folios of as many or more stand in the nodes above, one place for 64 pages."""


@njit
def account(m: Mem, c: int, size: int) -> None:
    """Account slab memory that is already within its charged pages, or shrinks."""
    m.cg[c, k.N_SLAB_BYTES] += size
    m.cg[c, k.N_KERNEL_BYTES] += size
    pages = (m.cg[c, k.N_KERNEL_BYTES] + 4095) >> 12
    extra = m.cg[c, k.KERNEL_PAGES] - pages
    if extra > 0:
        stock.kernel_uncharge(m, c, extra)
    elif extra:
        stock.kernel_charge(m, c, -extra)
    if extra:
        m.g[k.FREE] += extra
        m.cg[c, k.KERNEL_PAGES] = pages


@inlined
def levels(pages: int) -> int:
    """How many levels of nodes the tree of a file of so many pages has; 0: it needs none."""
    return 0 if pages <= 1 else (1 if pages <= 64 else (2 if pages <= 4096 else 3))


@inlined
def levels_of(m: Mem, page: int) -> int:
    """The same of the page's file."""
    return levels(m.obj[m.blk[page >> 9, k.B_OBJ], k.O_PAGES])


@njit
def need(m: Mem, page: int, pages: int) -> int:
    """Bytes of tree nodes that adding this folio of a file would allocate."""
    levels = levels_of(m, page)
    if levels == 0:
        return 0
    size = 0
    if pages < LEAF:
        if m.xn[page >> 6]:
            return 0
        size = k.XA_NODE_BYTES
    if levels >= 2 and m.xn[m.g[k.XA2] + (page >> 12)] == 0:
        size += k.XA_NODE_BYTES
        if levels >= 3 and m.xn[m.g[k.XA3] + (page >> 18)] == 0:
            size += k.XA_NODE_BYTES
    return size


@inlined
def _above(m: Mem, page: int, level: int) -> int:
    """The node above a page's leaf (level 1), and the one above that."""
    return m.g[k.XA2] + (page >> 12) if level == 1 else m.g[k.XA3] + (page >> 18)


@njit
def _take(m: Mem, c: int, page: int, levels: int, more: int) -> None:
    """Something takes a place in the nodes above a leaf: those that are not there yet are made.

    `more` is what it adds to the lowest of them: a place, which may have held a shadow.
    """
    for level in range(1, levels):
        node = _above(m, page, level)
        held = m.xn[node]
        if held and held & k.NODE_PAGES == 0:
            shadow_list.unlist(m, node)
        m.xn[node] = held + more
        if held:
            break
        m.xa[node, k.X_OWNER] = c + 1
        account(m, c, k.XA_NODE_BYTES)
        more = 1


@inlined
def make(m: Mem, c: int, page: int) -> bool:
    """Allocate the leaf of a page that is about to enter it, if that is only counting; False if it is not.

    That is, its kernel memory is charged already, the node above it is there, and no large folio was.
    """
    size = m.cg[c, k.N_KERNEL_BYTES] + k.XA_NODE_BYTES
    if (size + 4095) >> 12 != m.cg[c, k.KERNEL_PAGES] or need(m, page, 1) != k.XA_NODE_BYTES:
        return False
    if m.obj[m.blk[page >> 9, k.B_OBJ], k.O_BIG]:
        return False
    m.cg[c, k.N_KERNEL_BYTES] = size
    m.cg[c, k.N_SLAB_BYTES] += k.XA_NODE_BYTES
    m.xa[page >> 6, k.X_OWNER] = c + 1
    _take(m, c, page, levels_of(m, page), 1)
    return True


@njit
def leave(m: Mem, page: int, level: int, more: int) -> None:
    """What stood in a place of a node above a leaf is gone, or (`more`) a shadow; so may that node be."""
    for at in range(level, levels_of(m, page)):
        node = _above(m, page, at)
        had = m.xn[node] & k.NODE_PAGES
        held = m.xn[node] + more
        m.xn[node] = held
        if held & k.NODE_PAGES:
            break
        if held:
            if had:
                shadow_list.enlist(m, node)
            break
        if not had:
            shadow_list.unlist(m, node)
        free(m, node)
        more = -1


@njit
def free(m: Mem, node: int) -> None:
    """Give a node's memory back."""
    account(m, m.xa[node, k.X_OWNER] - 1, -k.XA_NODE_BYTES)
    m.xa[node, k.X_OWNER] = 0


@njit
def drop(m: Mem, page: int) -> None:
    """A leaf holds nothing any more."""
    free(m, page >> 6)
    leave(m, page, 1, -1)


@njit
def _shadows(m: Mem, first: int) -> int:
    """How many of a leaf's 64 pages have shadows."""
    count = 0
    for page in range(first, first + LEAF):
        if m.w[page] & k.SHADOW:
            count += 1
    return count


@njit
def add(m: Mem, c: int, page: int, pages: int, shadows: int) -> None:
    """A folio enters its tree in place of so many shadows, its nodes' memory charged by the caller before.

    Of 64 pages on it takes places above the leaves; a smaller one there splits the shadow of a large one.
    """
    levels = levels_of(m, page)
    if levels == 0:
        return
    node = page >> 6
    if pages >= LEAF:
        m.obj[m.blk[page >> 9, k.B_OBJ], k.O_BIG] = 1
        for first in range(page, page + pages, LEAF):
            node = first >> 6
            known = 0
            if m.xn[node]:  # shadows only
                shadow_list.unlist(m, node)
                m.xn[node] = 0
                drop(m, first)
            elif m.w[first] & k.SHADOW:
                known = 1
            _take(m, c, first, levels, 1 - known * k.NODE_SHADOW)
        return
    if m.xn[node] & k.NODE_PAGES == 0:
        if m.xn[node]:
            shadow_list.unlist(m, node)
        else:
            first = node << 6
            split = _shadows(m, first) if m.obj[m.blk[page >> 9, k.B_OBJ], k.O_BIG] else 0
            m.xn[node] = split << 8
            m.xa[node, k.X_OWNER] = c + 1
            account(m, c, k.XA_NODE_BYTES)
            _take(m, c, page, levels, 1 - k.NODE_SHADOW if split else 1)
    m.xn[node] += pages - shadows * k.NODE_SHADOW


@njit
def remove(m: Mem, page: int, pages: int, leave_shadow: bool) -> None:
    """A resident folio leaves its tree, with or without a shadow in its place."""
    levels = levels_of(m, page)
    if levels == 0:
        return
    node = page >> 6
    if pages >= LEAF:
        for first in range(page, page + pages, LEAF):
            leave(m, first, 1, k.NODE_SHADOW - 1 if leave_shadow else -1)
        return
    m.xn[node] += (k.NODE_SHADOW - 1) * pages if leave_shadow else -pages
    if m.xn[node] & k.NODE_PAGES == 0:
        if m.xn[node]:
            shadow_list.enlist(m, node)
        else:
            drop(m, page)


@njit
def forget_shadow(m: Mem, page: int) -> None:
    """An evicted file page's shadow goes (the file is deleted or truncated)."""
    levels = levels_of(m, page)
    node = page >> 6
    if levels and m.xn[node] == 0:  # of a large folio, and it is this leaf's first
        for other in range(page, page + LEAF):
            m.w[other] = 0
        leave(m, page, 1, -k.NODE_SHADOW)
    m.w[page] = 0
    if levels == 0 or m.xn[node] == 0:
        return
    m.xn[node] -= k.NODE_SHADOW
    if m.xn[node] == 0:
        shadow_list.unlist(m, node)
        drop(m, page)
