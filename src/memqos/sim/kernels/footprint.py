"""What a process holds besides the memory it is asked to hold: its own heap and stack, and kernel memory.

A program that works needs some of its own pages all the time (`T_HOT` of them): reclaim finds them accessed
whenever it looks, and when they were swapped out all the same the program stands still until they are back.
They lie spread over its region, two of five beside each other: in guests 1.2 pages came back from swap with
each fault of an interpreter, of which one may be in vain. But for the first ones: what it made first it needs
always, and reclaim meets it first. Nearly all of the 58 pages that a guest of 6.12 swapped out before all
others came back within a tenth of a second, by twenty-five faults.
"""

from __future__ import annotations

from memqos.sim.kernels import anon, charge, stock
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.pagecache import DONE, FAILED

CORE = 48
"""Pages that lie one after another at the begin."""


@njit
def place(number: int, stride: int, core: int) -> int:
    """Where page `number` of those in use lies, `core` being how many of them are at the begin."""
    return number if number < core else number * stride - (stride - 1 if number % 5 == 1 else 0)


@njit
def begin(m: Mem, t: int, row: int) -> int:
    """The process starts: its stack, page tables and slab objects are charged.

    With what it has between fork and exec alone that is more than what a CPU has charged ahead, so that it
    finds out when its cgroup is above memory.high.
    """
    c = m.task[t, k.T_CG]
    m.task[t, k.T_OWN] = m.prog[row, k.P_OBJ] + 1
    m.task[t, k.T_HOT] = m.prog[row, k.P_A]
    m.task[t, k.T_HOT_STRIDE] = m.prog[row, k.P_B]
    while m.task[t, k.T_KERNEL] < m.prog[row, k.P_COUNT]:
        if not charge.new_page(m, c, False):
            return FAILED
        m.task[t, k.T_KERNEL] += 1
        m.cg[c, k.KERNEL_PAGES] += 1
        m.cg[c, k.N_KERNEL_BYTES] += 4096
    charge.charged(m, c, stock.BATCH)
    return DONE


@njit
def work(m: Mem, t: int) -> int:
    """Touch the pages a working program needs; WAIT: one of them is still being read."""
    o = m.task[t, k.T_OWN] - 1
    base = m.obj[o, k.O_BASE]
    while m.task[t, k.T_HOT_I] < m.task[t, k.T_HOT]:
        page = base + place(m.task[t, k.T_HOT_I], m.task[t, k.T_HOT_STRIDE], CORE)
        word = m.w[page]
        if word & k.MAPPED and not word & k.SWAPCACHE:
            m.w[page] = word | k.YOUNG
        else:
            fate = anon.fault(m, t, o, page, True)
            if fate != DONE:
                return fate
        m.task[t, k.T_HOT_I] += 1
    m.task[t, k.T_HOT_I] = 0
    return DONE
