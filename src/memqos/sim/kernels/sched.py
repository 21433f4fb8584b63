"""Virtual time: tasks take turns on the CPUs, run their programs, wait for disks and memory.

Each CPU has its own clock. The CPU that is furthest behind runs next: the task that has been ready
longest, for at most one quantum. What a task does in its turn takes effect at once; when it has to
wait, it waits from there. A task's program is a row of `m.prog` per operation.
"""

from __future__ import annotations

from memqos.sim.kernels import anon, charge, dirty, free, io, pagecache, psi, reclaim
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.layout import Mem
from memqos.sim.kernels.pagecache import DONE, FAILED, WAIT

GO, BLOCKED, ENDED, NAP, IDLE = 10, 11, 12, 13, 14
SECOND = 1_000_000_000


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
        fate = anon.file_fault(m, t, o, index, write)
    else:
        m.w[page] = word | k.YOUNG
    if fate == DONE:
        m.task[t, k.T_K] = -1
        m.task[t, k.T_ACCESSES] += 1
        m.g[k.NOW] += m.prog[row, k.P_NS]
    return fate


@njit
def _after_fault(m: Mem, t: int) -> None:
    if m.g[k.OVER_HIGH]:
        charge.handle_over_high(m, m.task[t, k.T_CG])


@njit
def _writers(m: Mem) -> int:
    count = 0
    for t in range(m.g[k.NTASK]):
        alive = m.task[t, k.T_STATE] < k.T_DEAD and m.task[t, k.T_KIND] == 0
        if alive and m.prog[m.task[t, k.T_PC], k.P_OP] == k.OP_WRITE:
            count += 1
    return max(1, count)


@njit
def _due(m: Mem, t: int, row: int, i: int) -> bool:
    """Whether a slowed-down operation may go on with page `i`; `g[DISK_WAIT]` when not."""
    if m.task[t, k.T_STEP] < 0:
        m.task[t, k.T_STEP] = m.prog[row, k.P_START]
    when = m.task[t, k.T_STEP] + i * m.prog[row, k.P_PACE] // 1000
    m.g[k.DISK_WAIT] = when
    return when <= m.g[k.NOW]


@njit
def _read(m: Mem, t: int, row: int, end: int) -> int:
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
        if m.prog[row, k.P_PACE] and not _due(m, t, row, i):
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
        fate = pagecache.read_page(m, t, o, index, want)
        if fate != DONE:
            break
        i += 1
        m.g[k.NOW] += cost
        if i % chunk == 0:
            m.g[k.NOW] += m.g[k.NS_SYSCALL]
            if m.g[k.OVER_HIGH]:
                _after_fault(m, t)
        if m.g[k.KSWAPD_WAKE]:
            break
    m.task[t, k.T_ACCESSES] += i - m.task[t, k.T_I]
    m.task[t, k.T_I] = i
    return fate


@njit
def _write(m: Mem, t: int, row: int, end: int) -> int:
    o = m.prog[row, k.P_OBJ]
    count = m.prog[row, k.P_COUNT]
    fate = DONE
    while m.task[t, k.T_I] < count and m.g[k.NOW] < end:
        if m.prog[row, k.P_PACE] and not _due(m, t, row, m.task[t, k.T_I]):
            return NAP
        fate = pagecache.write_page(m, t, o, m.prog[row, k.P_FIRST] + m.task[t, k.T_I])
        if fate != DONE:
            break
        m.task[t, k.T_I] += 1
        m.task[t, k.T_ACCESSES] += 1
        m.g[k.NOW] += m.prog[row, k.P_NS]
        m.task[t, k.T_DIRTIED] += 1
        if m.g[k.OVER_HIGH]:
            _after_fault(m, t)
        if m.task[t, k.T_DIRTIED] >= dirty.INTERVAL:
            m.task[t, k.T_DIRTIED] = 0
            nap = dirty.pause(m, m.task[t, k.T_CG], o, _writers(m))
            if nap:
                m.g[k.DISK_WAIT] = m.g[k.NOW] + nap
                return WAIT
        if m.g[k.KSWAPD_WAKE] or m.g[k.FLUSH_WAKE]:
            break
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
            place = m.tab[m.prog[row, k.P_FA] + number * (steps - pages) + i - pages]
            fate = pagecache.read_page(m, t, m.prog[row, k.P_FILE], place, 1)
            if fate == DONE:
                m.g[k.NOW] += m.prog[row, k.P_NS]
        if fate != DONE:
            return fate
        if m.g[k.OVER_HIGH]:
            _after_fault(m, t)
        m.task[t, k.T_I] = i + 1
        if i + 1 >= steps:
            m.lat[m.prog[row, k.P_LAT] + number] = max(1, m.g[k.NOW] - arrival)
            m.task[t, k.T_I] = 0
            m.task[t, k.T_ROUND] = number + 1
        if m.g[k.KSWAPD_WAKE]:
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
    m.task[t, k.T_MMAP_MISS] = 0


@njit
def _step(m: Mem, t: int, end: int) -> int:
    """Run the task's operation until its end, `end`, or a wait."""
    row = m.task[t, k.T_PC]
    op = m.prog[row, k.P_OP]
    count = m.prog[row, k.P_COUNT]
    fate = DONE
    if op == k.OP_READ:
        fate = _read(m, t, row, end)
        if m.task[t, k.T_I] >= count:
            next_op(m, t)
    elif op == k.OP_WRITE:
        fate = _write(m, t, row, end)
        if m.task[t, k.T_I] >= count:
            next_op(m, t)
    elif op == k.OP_TOUCH:
        while m.task[t, k.T_I] < count and m.g[k.NOW] < end:
            if m.prog[row, k.P_PACE] and not _due(m, t, row, m.task[t, k.T_I]):
                return NAP
            fate = _touch(m, t, row, m.task[t, k.T_I])
            if fate != DONE:
                break
            m.task[t, k.T_I] += 1
            if m.g[k.OVER_HIGH]:
                _after_fault(m, t)
            if m.g[k.KSWAPD_WAKE]:
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
        charge.log_event(m, k.EV_MARK, t, m.prog[row, k.P_A])
        next_op(m, t)
    elif op == k.OP_SYNC:
        o = m.prog[row, k.P_OBJ]
        dirty.write_chunk(m, o, m.obj[o, k.O_PAGES])
        m.g[k.DISK_WAIT] = m.dev[m.obj[o, k.O_DEV], k.D_LAST_DONE]
        next_op(m, t)
        return BLOCKED
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
    return BLOCKED if fate == WAIT else GO


@njit
def _kthread(m: Mem, t: int) -> int:
    if m.task[t, k.T_KIND] == k.KSWAPD_TASK:
        m.g[k.KSWAPD_WAKE] = 0
        if reclaim.kswapd(m) or m.g[k.KSWAPD_FAILURES] >= 16:
            return IDLE
        m.g[k.DISK_WAIT] = m.g[k.NOW] + SECOND // 10
        return NAP
    everything = m.g[k.FLUSH_WAKE] == 2
    again = dirty.flush(m, everything)
    if again:
        m.g[k.DISK_WAIT] = max(again, m.g[k.NOW] + 1_000_000)
    else:
        m.g[k.FLUSH_WAKE] = 0
        m.g[k.DISK_WAIT] = m.g[k.NOW] + 5 * SECOND
    return NAP


@njit
def set_state(m: Mem, t: int, state: int, now: int) -> None:
    """Move a task to another state, in its own books and in its cgroups' pressure."""
    c = m.task[t, k.T_CG]
    if m.task[t, k.T_KIND] == 0:
        psi.change(m, c, m.task[t, k.T_STATE], -1, now)
        psi.change(m, c, state, 1, now)
    m.task[t, k.T_STATE] = state


@njit
def finish(m: Mem, t: int, now: int) -> None:
    """The process has ended."""
    set_state(m, t, k.T_DEAD, now)
    m.task[t, k.T_ENDED] = now
    free.exit_task(m, t)
    charge.log_event(m, k.EV_EXIT, t, m.task[t, k.T_CG])


@njit
def _turn(m: Mem, t: int, start: int, until: int) -> int:
    """Give a task one turn from `start`; return when its CPU is free again."""
    m.g[k.NOW] = start
    m.g[k.CUR] = t
    m.g[k.OVER_HIGH] = 0
    m.g[k.OOM_DYING] = m.task[t, k.T_KILLED]
    m.g[k.MEMSTALL] = 0
    m.g[k.SLEPT] = 0
    m.g[k.WAIT_WS] = 0
    io.complete(m, start)
    if m.task[t, k.T_KIND] == 0 and start > m.task[t, k.T_READY]:
        psi.waited(m, m.task[t, k.T_CG], start - m.task[t, k.T_READY])
    end = min(until, start + m.g[k.QUANTUM])
    if m.task[t, k.T_KIND]:
        outcome = _kthread(m, t)
    else:
        outcome = GO
        while outcome == GO and m.g[k.NOW] < end and not m.g[k.KSWAPD_WAKE]:
            outcome = _step(m, t, end)
    now = m.g[k.NOW]
    busy = now - start - m.g[k.SLEPT]
    m.task[t, k.T_USER] += busy
    stalled = m.g[k.MEMSTALL]
    m.task[t, k.T_STALL] += stalled
    m.g[k.CUR] = -1
    m.g[k.OOM_DYING] = 0
    if stalled and m.task[t, k.T_KIND] == 0:
        set_state(m, t, k.T_MEM, now - stalled)
        set_state(m, t, k.T_RUN, now)
    m.task[t, k.T_READY] = now
    if outcome == BLOCKED:
        wake = max(now, m.g[k.DISK_WAIT])
        m.task[t, k.T_IOWAIT] += wake - now
        set_state(m, t, k.T_BOTH if m.g[k.WAIT_WS] else k.T_IO, now)
        m.task[t, k.T_WAKE] = wake
    elif outcome == NAP:
        set_state(m, t, k.T_SLEEP, now)
        m.task[t, k.T_WAKE] = m.g[k.DISK_WAIT]
    elif outcome == IDLE:
        set_state(m, t, k.T_HOLD, now)
    elif outcome == ENDED:
        finish(m, t, now)
    elif m.g[k.SLEPT]:
        set_state(m, t, k.T_SLEEP, now)
        m.task[t, k.T_WAKE] = now
    return start + busy


@njit
def _wake_kthreads(m: Mem, now: int) -> None:
    for t in range(m.g[k.NTASK]):
        kind = m.task[t, k.T_KIND]
        state = m.task[t, k.T_STATE]
        if kind == k.KSWAPD_TASK and m.g[k.KSWAPD_WAKE]:
            m.g[k.KSWAPD_WAKE] = 0
            if state == k.T_HOLD and m.g[k.KSWAPD_FAILURES] < 16:
                m.task[t, k.T_STATE] = k.T_RUN
                m.task[t, k.T_READY] = 0
        elif kind == k.FLUSHER_TASK and m.g[k.FLUSH_WAKE] and m.task[t, k.T_WAKE] > now + SECOND:
            m.task[t, k.T_WAKE] = now


@njit
def advance(m: Mem, clock: k.Row, until: int) -> int:
    """Run the node until `until`, or until something the host must see (1). `clock` is per CPU."""
    while True:
        cpu = 0
        for i in range(1, m.g[k.NCPU]):
            if clock[i] < clock[cpu]:
                cpu = i
        now = clock[cpu]
        if now >= until:
            m.g[k.NOW] = until
            io.complete(m, until)
            return 0
        if m.g[k.EV_HEAD] != m.g[k.EV_TAIL]:
            m.g[k.NOW] = now
            return 1
        if m.g[k.KSWAPD_WAKE] or m.g[k.FLUSH_WAKE]:
            _wake_kthreads(m, now)
        if m.g[k.NEXT_PSI] <= now:
            psi.tick(m, m.g[k.NEXT_PSI])
            m.g[k.NEXT_PSI] += psi.PERIOD
        best = -1
        soonest = min(until, m.g[k.NEXT_PSI])
        for t in range(m.g[k.NTASK]):
            state = m.task[t, k.T_STATE]
            if k.T_RUN < state < k.T_HOLD:
                wake = m.task[t, k.T_WAKE]
                if wake <= now:
                    m.task[t, k.T_READY] = wake
                    set_state(m, t, k.T_RUN, wake)
                    state = k.T_RUN
                else:
                    soonest = min(soonest, wake)
            if state == k.T_RUN:
                ready = m.task[t, k.T_READY]
                if ready > now:
                    soonest = min(soonest, ready)
                elif best < 0 or ready < m.task[best, k.T_READY]:
                    best = t
        if best < 0:
            clock[cpu] = max(now + 1, soonest)
        else:
            clock[cpu] = max(now + 1, _turn(m, best, now, until))
