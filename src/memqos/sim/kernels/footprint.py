"""What a process holds besides the memory it is asked to hold: its own heap and stack, and kernel memory.

A program that works needs some of its own pages all the time (`T_HOT` of them, whose places are in `m.tab`):
when they were swapped out all the same it stands still until they are back.

That it needs them reclaim sees less often than one would think. A processor sets the accessed bit of an entry
when it looks the entry up, and it looks up no address that it still knows; and reclaim clears the bit and
leaves it at that (arch/x86/mm/pgtable.c, `ptep_clear_flush_young`; a walk of MGLRU does the same). So a page
in use is found accessed once between two switches of its processor to another program; waiting for a disk is
none (`switch_mm_irqs_off`, lazy TLB). But who handles many pages in between has its processor forget. A guest
of 6.1 that filled four times its limit, byte by byte, activated 3 of the 30 pages that its loop needs and had
them back from swap three times over (e3); one that did so by 64 pages activated 150 of its 195 (k9).
"""

from __future__ import annotations

from memqos.sim.kernels import anon, charge, stock
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.pagecache import DONE, FAILED


@njit
def begin(m: Mem, t: int, row: int) -> int:
    """The process starts: its stack, page tables and slab objects are charged.

    With what it has between fork and exec alone that is more than what a CPU has charged ahead, so that it
    finds out when its cgroup is above memory.high.
    """
    c = m.task[t, k.T_CG]
    m.task[t, k.T_OWN] = m.prog[row, k.P_OBJ] + 1
    while m.task[t, k.T_KERNEL] < m.prog[row, k.P_COUNT]:
        if not charge.new_page(m, c, False):
            return FAILED
        m.task[t, k.T_KERNEL] += 1
        m.cg[c, k.KERNEL_PAGES] += 1
        m.cg[c, k.N_KERNEL_BYTES] += 4096
    charge.charged(m, c, stock.BATCH)
    return DONE


@njit
def use(m: Mem, t: int, row: int) -> None:
    """From now on the process needs these pages of its own."""
    m.task[t, k.T_HOT] = m.prog[row, k.P_COUNT]
    m.task[t, k.T_HOT_AT] = m.prog[row, k.P_A]
    m.task[t, k.T_HOT_I] = 0
    m.task[t, k.T_COLD] = k.FLUSHED if m.prog[row, k.P_B] else k.BURSTS


@njit
def work(m: Mem, t: int) -> int:
    """Touch the pages a working program needs; WAIT: one of them is still being read.

    Those whose address its processor knows are only looked at: whether they are there.
    """
    o = m.task[t, k.T_OWN] - 1
    base = m.obj[o, k.O_BASE]
    young = k.YOUNG if m.task[t, k.T_COLD] & (k.FLUSHED | k.BURSTS) else 0
    m.task[t, k.T_COLD] &= ~k.LOST
    while m.task[t, k.T_HOT_I] < m.task[t, k.T_HOT]:
        page = base + m.tab[m.task[t, k.T_HOT_AT] + m.task[t, k.T_HOT_I]]
        word = m.w[page]
        if word & k.MAPPED:
            m.w[page] = word | young | (k.DIRTY if word & k.SWAPCACHE else 0)
        else:
            fate = anon.fault(m, t, o, page, True)
            if fate != DONE:
                m.task[t, k.T_COLD] |= k.LOST
                return fate
        m.task[t, k.T_HOT_I] += 1
    m.task[t, k.T_HOT_I] = 0
    m.task[t, k.T_COLD] &= k.LOST | k.BURSTS
    return DONE
