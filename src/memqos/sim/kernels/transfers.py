"""Programs that read and write files through descriptors: page by page, at their own pace, throttled.

What the program itself computes is counted in `g[USER]`.
"""

from __future__ import annotations

from memqos.sim.kernels import buffered, charge, dirty
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.pagecache import DONE, WAIT

NAP = 13


@njit
def compute(m: Mem, time: int) -> None:
    """The program itself is busy for so long."""
    m.g[k.NOW] += time
    m.g[k.USER] += time


@njit
def after_fault(m: Mem, t: int) -> None:
    """Who is above memory.high pays for it on the way out of the kernel."""
    if m.g[k.OVER_HIGH]:
        charge.handle_over_high(m, m.task[t, k.T_CG])


@njit
def due(m: Mem, t: int, row: int, i: int) -> bool:
    """Whether a slowed-down operation may go on with page `i`; `g[DISK_WAIT]` when not."""
    if m.task[t, k.T_STEP] < 0:
        m.task[t, k.T_STEP] = m.prog[row, k.P_START]
    when = m.task[t, k.T_STEP] + i * m.prog[row, k.P_PACE] // 1000
    m.g[k.DISK_WAIT] = when
    return when <= m.g[k.NOW]


@njit
def read(m: Mem, t: int, row: int, end: int) -> int:
    """Go on with reading a file, until `end`."""
    o = m.prog[row, k.P_OBJ]
    first = m.prog[row, k.P_FIRST]
    count = m.prog[row, k.P_COUNT]
    chunk = m.prog[row, k.P_CHUNK]
    cost = m.prog[row, k.P_NS]
    random = m.prog[row, k.P_PATTERN] != k.SEQUENTIAL
    wrap = m.prog[row, k.P_WRAP]
    i = m.task[t, k.T_I]
    fate = DONE
    while i < count and m.g[k.NOW] < end:
        if m.prog[row, k.P_PACE] and not due(m, t, row, i):
            fate = NAP
            break
        part = i % chunk
        if random:
            index = m.tab[m.prog[row, k.P_A] + i // chunk] * chunk + part
            want = min(chunk - part, wrap - index)
            if want <= 0:
                i += 1
                continue
        else:
            index = first + i % wrap
            want = min(chunk - part, count - i, wrap - i % wrap)
        if part == 0:
            m.task[t, k.T_CALL] = m.task[t, k.T_PREV] + 1
        fate = buffered.read_page(m, t, o, index, want)
        if fate != DONE:
            break
        i += 1
        m.g[k.NOW] += m.g[k.NS_COPY]
        compute(m, cost)
        if i % chunk == 0:
            m.g[k.NOW] += m.g[k.NS_SYSCALL]
            if m.g[k.OVER_HIGH]:
                after_fault(m, t)
        if m.g[k.KSWAPD_WAKE]:
            break
    m.task[t, k.T_ACCESSES] += i - m.task[t, k.T_I]
    m.task[t, k.T_I] = i
    return fate


@njit
def write(m: Mem, t: int, row: int, end: int) -> int:
    """Go on with writing a file, until `end`, a pause or a wait."""
    o = m.prog[row, k.P_OBJ]
    count = m.prog[row, k.P_COUNT]
    block = max(1, m.prog[row, k.P_CHUNK])
    fate = DONE
    while m.task[t, k.T_I] < count and m.g[k.NOW] < end:
        i = m.task[t, k.T_I]
        if m.prog[row, k.P_PACE] and not due(m, t, row, i):
            return NAP
        if m.task[t, k.T_DIRTIED] >= dirty.INTERVAL and dirty.balance(m, t, o, 0):
            return WAIT
        want = min(block - i % block, count - i)
        fate = buffered.write_pages(m, t, o, m.prog[row, k.P_FIRST] + i, want)
        if fate != DONE:
            break
        pages = m.g[k.R0]
        m.task[t, k.T_I] += pages
        m.task[t, k.T_ACCESSES] += pages
        m.g[k.NOW] += pages * m.g[k.NS_COPY]
        compute(m, pages * m.prog[row, k.P_NS])
        if m.g[k.OVER_HIGH]:
            after_fault(m, t)
        if dirty.balance(m, t, o, pages):
            return WAIT
        if m.g[k.KSWAPD_WAKE] or m.g[k.FLUSH_WAKE]:
            break
    return fate
