"""The page cache's tree: one node (struct xa_node) per 64 pages, its kernel memory, and its shadows.

lib/xarray.c, mm/workingset.c (`workingset_update_node`, `count_shadow_nodes`, `shadow_lru_isolate`);
kernel.md 3. `m.xn[node]` counts a node's resident pages (low byte) and shadows (high byte): two bytes for
64 pages, so that a random access to a page does not cost another one to its node.
"""

from __future__ import annotations

from memqos.sim.kernels import counters
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.layout import Mem

BATCH = 128
"""SHRINK_BATCH"""


@njit
def account(m: Mem, c: int, size: int) -> None:
    """Account slab memory that is already within its charged pages, or shrinks."""
    m.cg[c, k.N_SLAB_BYTES] += size
    m.cg[c, k.N_KERNEL_BYTES] += size
    pages = (m.cg[c, k.N_KERNEL_BYTES] + 4095) >> 12
    extra = m.cg[c, k.KERNEL_PAGES] - pages
    if extra:
        counters.force_charge(m, c, -extra)
        m.g[k.FREE] += extra
        m.cg[c, k.KERNEL_PAGES] = pages


@njit
def unlist(m: Mem, node: int) -> None:
    """A node holds a page again, or goes: off the list of those that may be freed."""
    owner = m.xa[node, k.X_OWNER] - 1
    before = m.xa[node, k.X_PREV] - 1
    after = m.xa[node, k.X_NEXT] - 1
    if before >= 0:
        m.xa[before, k.X_NEXT] = after + 1
    else:
        m.cg[owner, k.NODES_HEAD] = after
    if after >= 0:
        m.xa[after, k.X_PREV] = before + 1
    else:
        m.cg[owner, k.NODES_TAIL] = before
    m.cg[owner, k.NODES] -= 1
    m.xa[node, k.X_NEXT] = 0
    m.xa[node, k.X_PREV] = 0


@njit
def enlist(m: Mem, node: int) -> None:
    """A node that holds only shadows joins the list of those that may be freed (workingset_update_node)."""
    owner = m.xa[node, k.X_OWNER] - 1
    last = m.cg[owner, k.NODES_TAIL]
    m.xa[node, k.X_PREV] = last + 1
    m.xa[node, k.X_NEXT] = 0
    if last >= 0:
        m.xa[last, k.X_NEXT] = node + 1
    else:
        m.cg[owner, k.NODES_HEAD] = node
    m.cg[owner, k.NODES_TAIL] = node
    m.cg[owner, k.NODES] += 1


@inlined
def levels_of(m: Mem, page: int) -> int:
    """How many levels of nodes the tree of the page's file has; 0: the file needs none."""
    o = m.blk[page >> 9, k.B_OBJ]
    if m.obj[o, k.O_BIG]:
        return 0
    pages = m.obj[o, k.O_PAGES]
    return 0 if pages <= 1 else (1 if pages <= 64 else (2 if pages <= 4096 else 3))


@njit
def need(m: Mem, page: int) -> int:
    """Bytes of tree nodes that adding this file page would allocate."""
    levels = levels_of(m, page)
    size = 0
    if levels >= 1:
        node = page >> 6
        if m.xn[node] == 0:
            size += k.XA_NODE_BYTES
            if levels >= 2 and m.xn[m.g[k.XA2] + (page >> 12)] == 0:
                size += k.XA_NODE_BYTES
                if levels >= 3 and m.xn[m.g[k.XA3] + (page >> 18)] == 0:
                    size += k.XA_NODE_BYTES
    return size


@njit
def _drop_node(m: Mem, page: int) -> None:
    node = page >> 6
    levels = levels_of(m, page)
    account(m, m.xa[node, k.X_OWNER] - 1, -k.XA_NODE_BYTES)
    m.xa[node, k.X_OWNER] = 0
    shift = 12
    above = m.g[k.XA2] + (page >> shift)
    for _ in range(levels - 1):
        m.xn[above] -= 1
        if m.xn[above]:
            break
        account(m, m.xa[above, k.X_OWNER] - 1, -k.XA_NODE_BYTES)
        shift += 6
        above = m.g[k.XA3] + (page >> shift)


@njit
def add(m: Mem, c: int, page: int, had_shadow: bool) -> None:
    """A file page enters its tree, its nodes' kernel memory charged by the caller before."""
    levels = levels_of(m, page)
    if levels == 0:
        return
    node = page >> 6
    if m.xn[node] & k.NODE_PAGES == 0:
        if m.xn[node]:
            unlist(m, node)
        else:
            m.xa[node, k.X_OWNER] = c + 1
            account(m, c, k.XA_NODE_BYTES)
            shift = 12
            above = m.g[k.XA2] + (page >> shift)
            for _ in range(levels - 1):
                m.xn[above] += 1
                if m.xn[above] > 1:
                    break
                m.xa[above, k.X_OWNER] = c + 1
                account(m, c, k.XA_NODE_BYTES)
                shift += 6
                above = m.g[k.XA3] + (page >> shift)
    m.xn[node] += 1 - k.NODE_SHADOW if had_shadow else 1


@njit
def remove(m: Mem, page: int, leave_shadow: bool) -> None:
    """A resident file page leaves its tree, with or without a shadow in its place."""
    if levels_of(m, page) == 0:
        return
    node = page >> 6
    m.xn[node] += k.NODE_SHADOW - 1 if leave_shadow else -1
    if m.xn[node] & k.NODE_PAGES == 0:
        if m.xn[node]:
            enlist(m, node)
        else:
            _drop_node(m, page)


@njit
def forget_shadow(m: Mem, page: int) -> None:
    """An evicted file page's shadow goes (the file is deleted or truncated)."""
    m.w[page] = 0
    if levels_of(m, page) == 0:
        return
    node = page >> 6
    m.xn[node] -= k.NODE_SHADOW
    if m.xn[node] == 0:
        unlist(m, node)
        _drop_node(m, page)


@inlined
def may_shrink(m: Mem, c: int, pages: int, left: int) -> bool:
    """Whether `shrink` could have anything to do while `pages` pages go from lists that then hold `left`."""
    left = 0 if m.g[k.SHADOW_SLAB_ONLY] else left
    return m.cg[c, k.NODES] + pages > ((m.cg[c, k.N_SLAB_BYTES] >> 12) + left) >> 3


@njit
def shrink(m: Mem, c: int) -> None:
    """Free the oldest nodes that hold only shadows beyond one per 8 pages of `c` (count_shadow_nodes).

    Half of what is too much each time, but in batches of 128 only (do_shrink_slab): what that leaves undone
    is deferred, and done when reclaim is hard pressed, a share of it that doubles with each priority.
    """
    pages = m.cg[c, k.N_SLAB_BYTES] >> 12
    if m.cg[c, k.NODES] <= pages >> 3:
        return
    if not m.g[k.SHADOW_SLAB_ONLY]:
        for i in range(k.LISTS):
            pages += m.ls[c * k.LISTS + i, k.SIZE]
    excess = m.cg[c, k.NODES] - (pages >> 3)
    if excess <= 0:
        return
    deferred = m.cg[c, k.NODES_DEFERRED]
    new = excess // 2
    scan = min((deferred >> m.g[k.SC_PRIORITY]) + new, 2 * excess)
    scanned = 0
    while scan >= BATCH or scan >= excess:
        some = min(BATCH, scan)
        for _ in range(min(some, m.cg[c, k.NODES])):
            _forget(m, c)
        scan -= some
        scanned += some
    m.cg[c, k.NODES_DEFERRED] = min(max(deferred + new - scanned, 0), 2 * excess)


@njit
def _forget(m: Mem, c: int) -> None:
    """Free the oldest node with its shadows (shadow_lru_isolate)."""
    node = m.cg[c, k.NODES_HEAD]
    first = node << 6
    unlist(m, node)
    for page in range(first, first + 64):
        if m.w[page] & k.SHADOW:
            m.w[page] = 0
    m.xn[node] = 0
    m.cg[c, k.NODERECLAIM] += 1
    _drop_node(m, first)
