"""What tasks do: the operations of a program, page by page, until a turn ends or the task must wait.

A task's program is a row of `m.prog` per operation. What the program itself computes is its user time
(`P_NS` a page, counted in `g[USER]`); everything else a turn takes is the kernel's work for it.
"""

from __future__ import annotations

from memqos.sim.kernels import anon, buffered, extents, footprint, free, io, mapped, oom, tables, transfers
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.pagecache import DONE, FAILED, PAUSE, WAIT
from memqos.sim.kernels.transfers import NAP

GO, BLOCKED, ENDED, IDLE = 10, 11, 12, 14


@njit
def choose(m: Mem, row: int, turn: int) -> int:
    """The page access number `turn` goes to, counted from the operation's first page."""
    if m.prog[row, k.P_PATTERN] == k.SEQUENTIAL:
        return turn % m.prog[row, k.P_CHUNK]
    return m.tab[m.prog[row, k.P_A] + turn]


@njit
def _touch(m: Mem, t: int, row: int, turn: int) -> int:
    """Touch page number `T_K` of the region; pick it first unless it is being retried."""
    o = m.prog[row, k.P_OBJ]
    if m.task[t, k.T_K] < 0:
        m.task[t, k.T_K] = m.prog[row, k.P_FIRST] + choose(m, row, turn)
    index = m.task[t, k.T_K]
    write = m.prog[row, k.P_WRITE] != 0
    page = m.obj[o, k.O_BASE] + index
    word = m.w[page]
    fate = DONE
    if m.obj[o, k.O_KIND] == k.ANON_OBJ:
        if not word & k.MAPPED or (write and word & k.SWAPCACHE):
            fate = anon.fault(m, t, o, page, write)
        else:
            m.w[page] = word | k.YOUNG
    elif not word & k.MAPPED or (write and not word & k.DIRTY):
        ra = m.prog[row, k.P_MAP] - 1
        fate = mapped.fault(m, t, o, ra if ra >= 0 else o, index, write)
    else:
        m.w[page] = tables.young(m, word, m.task[t, k.T_CG])
        ra = m.prog[row, k.P_MAP] - 1
        tables.mapped_by(m, ra if ra >= 0 else o, page, 1)
    if fate in (DONE, PAUSE):
        m.task[t, k.T_K] = -1
        m.task[t, k.T_ACCESSES] += 1
        transfers.compute(m, m.prog[row, k.P_NS])
    return fate


@njit
def _read_part(m: Mem, t: int, row: int, number: int, part: int) -> int:
    """Read page number `part` of those that request `number` reads of its file; a block is one pread."""
    o = m.prog[row, k.P_FILE]
    count = m.prog[row, k.P_FCOUNT]
    place = m.tab[m.prog[row, k.P_FA] + number * count + part]
    done = part % m.prog[row, k.P_FBLOCK]
    if done == 0:
        m.task[t, k.T_CALL] = m.task[t, k.T_PREV] + 1
    elif place == m.task[t, k.T_PREV]:  # the file ends within the block
        return DONE
    want = min(m.prog[row, k.P_FBLOCK] - done, count - part, m.obj[o, k.O_PAGES] - place)
    fate = buffered.read_page(m, t, o, place, want)
    if fate == DONE:
        m.g[k.NOW] += m.g[k.NS_COPY]
        if done == 0:
            transfers.compute(m, m.prog[row, k.P_NS])
    return fate


@njit
def _requests(m: Mem, t: int, row: int, end: int) -> int:
    """An open loop: request i arrives at its time, touches pages, reads a file; its latency is recorded.

    `T_ROUND` is the request, `T_I` how far it is. NAP: nothing has arrived yet.
    """
    pages = m.prog[row, k.P_COUNT]
    steps = pages + m.prog[row, k.P_FCOUNT]
    while m.g[k.NOW] < end and m.task[t, k.T_ROUND] < m.prog[row, k.P_B]:
        number = m.task[t, k.T_ROUND]
        arrival = m.prog[row, k.P_START] + number * m.prog[row, k.P_INTERVAL] // 1000
        i = m.task[t, k.T_I]
        if i == 0 and m.task[t, k.T_K] < 0:
            if arrival > m.g[k.NOW]:
                m.g[k.DISK_WAIT] = arrival
                return NAP
            if m.prog[row, k.P_END] and m.g[k.NOW] >= m.prog[row, k.P_END]:
                m.prog[row, k.P_B] = number
                break
        if i < pages:
            fate = _touch(m, t, row, number * pages + i)
        else:
            fate = _read_part(m, t, row, number, i - pages)
        if fate != DONE and fate != PAUSE:
            return fate
        if m.g[k.OVER_HIGH]:
            transfers.after_fault(m, t)
        m.task[t, k.T_I] = i + 1
        if i + 1 >= steps:
            m.lat[m.prog[row, k.P_LAT] + number] = max(1, m.g[k.NOW] - arrival)
            m.task[t, k.T_I] = 0
            m.task[t, k.T_ROUND] = number + 1
        if fate == PAUSE:
            return WAIT
        if m.g[k.KSWAPD_WAKE] or m.task[t, k.T_COLD] & k.LOST:
            break
    return DONE


@njit
def next_op(m: Mem, t: int) -> None:
    """Go on to the next operation of the program."""
    m.task[t, k.T_PC] += 1
    m.task[t, k.T_I] = 0
    m.task[t, k.T_K] = -1
    m.task[t, k.T_STEP] = -1
    m.task[t, k.T_RA_START] = 0
    m.task[t, k.T_RA_SIZE] = 0
    m.task[t, k.T_RA_ASYNC] = 0
    m.task[t, k.T_PREV] = -10
    m.task[t, k.T_CALL] = -10


@njit
def step(m: Mem, t: int, end: int) -> int:
    """Run the task's operation until its end, `end`, or a wait."""
    row = m.task[t, k.T_PC]
    op = m.prog[row, k.P_OP]
    count = m.prog[row, k.P_COUNT]
    fate = DONE
    if m.task[t, k.T_COLD] and k.OP_READ <= op <= k.OP_REQUESTS:
        fate = footprint.work(m, t)
    if fate != DONE:
        pass
    elif op == k.OP_READ:
        fate = transfers.read(m, t, row, end)
        if m.task[t, k.T_I] >= count:
            next_op(m, t)
    elif op == k.OP_WRITE:
        fate = transfers.write(m, t, row, end)
        if m.task[t, k.T_I] >= count:
            next_op(m, t)
    elif op == k.OP_TOUCH:
        while m.task[t, k.T_I] < count and m.g[k.NOW] < end:
            if m.prog[row, k.P_PACE] and not transfers.due(m, t, row, m.task[t, k.T_I]):
                return NAP
            fate = _touch(m, t, row, m.task[t, k.T_I])
            if fate != DONE:
                m.task[t, k.T_I] += 1 if fate == PAUSE else 0
                break
            m.task[t, k.T_I] += 1
            if m.g[k.OVER_HIGH]:
                transfers.after_fault(m, t)
            if m.g[k.KSWAPD_WAKE] or m.task[t, k.T_COLD] & k.LOST:
                break
        if m.task[t, k.T_I] >= count:
            next_op(m, t)
    elif op == k.OP_REQUESTS:
        fate = _requests(m, t, row, end)
        if fate == NAP:
            return NAP
        if m.task[t, k.T_ROUND] >= m.prog[row, k.P_B]:
            m.task[t, k.T_ROUND] = 0
            next_op(m, t)
    elif op == k.OP_SLEEP:
        m.g[k.DISK_WAIT] = m.g[k.NOW] + m.prog[row, k.P_NS]
        next_op(m, t)
        return NAP
    elif op == k.OP_FREE:
        free.free_tail(m, m.prog[row, k.P_OBJ], m.prog[row, k.P_FIRST])
        next_op(m, t)
    elif op == k.OP_LOOP:
        target = m.prog[row, k.P_OBJ]
        m.prog[row, k.P_A] += 1
        again = count == 0 or m.prog[row, k.P_A] < count
        if not again:
            m.prog[row, k.P_A] = 0
        next_op(m, t)
        if again:
            m.task[t, k.T_PC] = target
        m.g[k.NOW] += m.g[k.NS_SYSCALL]
    elif op == k.OP_MARK:
        oom.log_event(m, k.EV_MARK, t, m.prog[row, k.P_A])
        next_op(m, t)
    elif op == k.OP_BEGIN:
        fate = footprint.begin(m, t, row)
        next_op(m, t)
    elif op == k.OP_USE:
        footprint.use(m, t, row)
        next_op(m, t)
    elif op == k.OP_SYNC:
        o = m.prog[row, k.P_OBJ]
        extents.write_chunk(m, o, m.obj[o, k.O_PAGES])
        base = m.obj[o, k.O_BASE]
        m.g[k.DISK_WAIT] = io.written_at(m, m.obj[o, k.O_DEV], base, base + m.obj[o, k.O_PAGES])
        if m.g[k.DISK_WAIT] > m.g[k.NOW]:
            return BLOCKED
        next_op(m, t)
    elif op == k.OP_HOLD:
        return IDLE
    else:
        m.task[t, k.T_EXIT] = m.prog[row, k.P_A]
        return ENDED
    if m.g[k.OOM_DYING] or fate == FAILED:
        if not m.g[k.OOM_DYING]:
            m.task[t, k.T_EXIT] = 137
        return ENDED
    if fate == NAP:
        return NAP
    return BLOCKED if fate in (WAIT, PAUSE) else GO
