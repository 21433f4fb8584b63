"""Giving memory back: single pages, regions, whole processes, dropped caches.

mm/truncate.c, mm/memory.c (`zap_pte_range`), exit.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, folios, lists, lru_batch, nodes, psi, slots, stock, zones
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.access import accessed
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem


@njit
def clear_dirty(m: Mem, page: int, c: int) -> None:
    """A dirty file page becomes clean."""
    m.w[page] &= ~k.DIRTY
    m.cg[c, k.N_DIRTY] -= 1
    m.g[k.NDIRTY] -= 1
    m.obj[m.blk[page >> 9, k.B_OBJ], k.O_NDIRTY] -= 1


@njit
def drop(m: Mem, page: int) -> None:
    """Free one page whatever its state, leaving no shadow and no swap slot; uncharges it.

    Of a large folio all pages go: name its first one.
    """
    word = m.w[page]
    if word < 0:
        _drop_folio(m, page)
        return
    if word & k.RES:
        c = (word & k.CG_MASK) >> k.CG_SHIFT
        if word & k.PLACE == k.PLACE:
            lru_batch.forget(m, page)
        else:
            lists.remove(m, page)
        if word & k.WB:
            m.cg[c, k.N_WB] -= 1
            m.g[k.NWB] -= 1
        if word & k.ANON:
            if word & k.SWAPCACHE:
                m.cg[c, k.N_SWAPCACHED] -= 1
            if word & k.MAPPED:
                m.cg[c, k.N_ANON] -= 1
        else:
            if word & k.DIRTY:
                clear_dirty(m, page, c)
            if word & k.MAPPED:
                m.cg[c, k.N_MAPPED] -= 1
                m.aux[page] = 0
            m.cg[c, k.N_FILE] -= 1
            if word & k.BUFFERS:
                nodes.account(m, c, -k.BUFFER_BYTES)
            nodes.remove(m, page, 1, False)
        m.obj[m.blk[page >> 9, k.B_OBJ], k.O_RESIDENT] -= 1
        m.w[page] = 0
        m.g[k.FREE] += 1
        zones.give(m, word, 1)
        m.g[k.CHANGES] += 1
        counters.uncharge(m, c, 1)
    elif word & k.SHADOW and not word & k.ANON:
        nodes.forget_shadow(m, page)
    if m.aux[page]:
        slots.free(m, page)
    m.w[page] = 0


@njit
def _drop_folio(m: Mem, head: int) -> None:
    first = m.w[head]
    c = (first & k.CG_MASK) >> k.CG_SHIFT
    pages = folios.pages_of(m, head)
    lists.remove(m, head)
    for page in range(head, head + pages):
        word = m.w[page]
        if word & k.WB:
            m.cg[c, k.N_WB] -= 1
            m.g[k.NWB] -= 1
        if word & k.DIRTY:
            clear_dirty(m, page, c)
        if word & k.MAPPED:
            m.cg[c, k.N_MAPPED] -= 1
        if word & k.BUFFERS:
            nodes.account(m, c, -k.BUFFER_BYTES)
    folios.clear(m, head, 0)
    nodes.remove(m, head, pages, False)
    m.cg[c, k.N_FILE] -= pages
    m.obj[m.blk[head >> 9, k.B_OBJ], k.O_RESIDENT] -= pages
    m.g[k.FREE] += pages
    zones.give(m, first, pages)
    m.g[k.CHANGES] += pages
    counters.uncharge(m, c, pages)


@njit
def free_object(m: Mem, o: int, only_clean: bool) -> None:
    """Free the pages of a file or region: all of them, or (drop_caches) the clean and unmapped ones."""
    base = m.obj[o, k.O_BASE]
    for page in range(base, base + m.obj[o, k.O_PAGES]):
        word = m.w[page]
        if only_clean:
            busy = k.DIRTY | k.WB | k.LOCKED | k.MAPPED
            if word & k.RES and folios.head_of(m, page) == page and not folios.state_of(m, page) & busy:
                drop(m, page)
        elif word or m.aux[page]:
            drop(m, page)
    if only_clean:
        return
    if m.obj[o, k.O_KIND] == k.ANON_OBJ:
        _free_tables(m, o)
    m.obj[o, k.O_TOUCHED] = 0


@njit
def _free_tables(m: Mem, o: int) -> None:
    """The page tables of a region or of a mapping go."""
    base = m.obj[o, k.O_BASE]
    for b in range(base >> 9, (base + m.obj[o, k.O_PAGES] + 511) >> 9):
        if m.blk[b, k.B_PT]:
            c = m.blk[b, k.B_PT] - 1
            while not m.cg[c, k.ONLINE] and m.cg[c, k.KERNEL_PAGES] == 0:  # reparented
                c = m.cg[c, k.PARENT]
            m.blk[b, k.B_PT] = 0
            m.blk[b, k.B_HOT] = 0
            m.cg[c, k.N_PT] -= 1
            m.cg[c, k.N_KERNEL_BYTES] -= 4096
            m.cg[c, k.KERNEL_PAGES] -= 1
            stock.kernel_uncharge(m, c, 1)
            m.g[k.FREE] += 1


@njit
def _unmap(m: Mem, o: int, first: int) -> None:
    """A process maps a file's pages no longer (zap_pte_range): what it accessed counts as accessed once.

    What another process has mapped too stays mapped.
    """
    alone = True
    for other in range(m.g[k.NOBJ]):
        beside = m.obj[other, k.O_KIND] == k.MAP_OBJ and m.obj[other, k.O_BASE] == m.obj[o, k.O_BASE]
        if beside and other != o:
            alone = False
    base = m.obj[o, k.O_BASE]
    last = -1
    lru_batch.drain(m)
    for page in range(base + first, base + m.obj[o, k.O_PAGES]):
        word = m.w[page]
        if word & k.MAPPED and (alone or (word >= 0 and m.aux[page] == o + 1)):
            m.w[page] = word & ~(k.MAPPED | k.YOUNG)
            if word >= 0:
                m.aux[page] = 0
            m.cg[(word & k.CG_MASK) >> k.CG_SHIFT, k.N_MAPPED] -= 1
            head = folios.head_of(m, page)
            if word & k.YOUNG and head != last:
                accessed(m, page)
                last = head
    if first == 0 and alone:
        _free_tables(m, o)


@njit
def free_tail(m: Mem, o: int, first: int) -> None:
    """Munmap (`first` 0) or MADV_DONTNEED of what lies from page `first` on; a mapped file stays cached."""
    if m.obj[o, k.O_KIND] == k.MAP_OBJ:
        _unmap(m, o, first)
        if first == 0:
            m.obj[o, k.O_KIND] = k.GONE
        return
    if first == 0:
        free_object(m, o, False)
        return
    base = m.obj[o, k.O_BASE]
    for page in range(base + first, base + m.obj[o, k.O_PAGES]):
        if m.w[page] or m.aux[page]:
            drop(m, page)
            m.obj[o, k.O_TOUCHED] -= 1


@njit
def exit_task(m: Mem, t: int, now: int) -> None:
    """The process ends: its anonymous memory and page tables are freed, nothing waits for it any more."""
    lru_batch.drain(m)
    for o in range(m.g[k.NOBJ]):
        kind = m.obj[o, k.O_KIND]
        if (kind == k.ANON_OBJ or kind == k.MAP_OBJ) and m.obj[o, k.O_TASK] == t:
            if kind == k.ANON_OBJ:
                free_object(m, o, False)
            else:
                _unmap(m, o, 0)
            m.obj[o, k.O_KIND] = k.GONE
    pages = m.task[t, k.T_KERNEL]
    if pages:
        c = m.task[t, k.T_CG]
        m.task[t, k.T_KERNEL] = 0
        m.cg[c, k.KERNEL_PAGES] -= pages
        m.cg[c, k.N_KERNEL_BYTES] -= pages << 12
        m.g[k.FREE] += pages
        stock.kernel_uncharge(m, c, pages)
    psi.move(m, t, m.task[t, k.T_STATE], k.T_DEAD, now)
    m.task[t, k.T_STATE] = k.T_DEAD
    m.task[t, k.T_ENDED] = now
