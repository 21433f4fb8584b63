"""Virtual time: tasks take turns on the CPUs, run their programs, wait for disks and memory.

Each CPU has its own clock. The CPU that is furthest behind lets the task run that has been ready longest,
for at most one quantum, on the CPU it last ran on if that one is idle. What a task does in its turn takes
effect at once; when it has to wait, it waits from there. Who is in what state since when goes to `psi`.
"""

from __future__ import annotations

from memqos.sim.kernels import bandwidth, flusher, io, kswapd, oom, program, psi, stats, stock
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem, Row
from memqos.sim.kernels.program import BLOCKED, ENDED, GO, IDLE
from memqos.sim.kernels.transfers import NAP

SECOND = 1_000_000_000


@njit
def _kthread(m: Mem, t: int) -> int:
    if m.task[t, k.T_KIND] == k.KSWAPD_TASK:
        m.g[k.KSWAPD_WAKE] = 0
        fate = kswapd.run(m)
        if fate == kswapd.AGAIN:
            return GO
        if fate == kswapd.BALANCED or m.g[k.KSWAPD_FAILURES] >= 16:
            return IDLE
        m.g[k.DISK_WAIT] = m.g[k.NOW] + SECOND // 10
        return NAP
    again = flusher.flush(m, m.g[k.FLUSH_WAKE] == k.FLUSH_ALL)
    m.task[t, k.T_I] = again  # it waits for a disk, and is not to be woken
    if again:
        m.g[k.DISK_WAIT] = min(max(again, m.g[k.NOW] + 1_000_000), m.g[k.NOW] + SECOND)
    else:
        m.g[k.FLUSH_WAKE] = 0
        m.g[k.DISK_WAIT] = m.g[k.NOW] + 5 * SECOND
    return NAP


@njit
def set_state(m: Mem, t: int, state: int, now: int) -> None:
    """Move a task that does not run to another state."""
    psi.move(m, t, m.task[t, k.T_STATE], state, now)
    m.task[t, k.T_STATE] = state


@njit
def _pay(m: Mem) -> None:
    """The running task has sent requests to disks, outside reclaim (else `io.spend`)."""
    if m.g[k.WORK_REQUESTS]:
        m.g[k.NOW] += m.g[k.WORK_REQUESTS] * m.g[k.NS_REQUEST] - m.g[k.WORK_BEGUN] * m.g[k.NS_REQUEST] // 2
        m.g[k.WORK_REQUESTS] = 0
        m.g[k.WORK_BEGUN] = 0


@njit
def _start(m: Mem, t: int, cpu: int, now: int) -> None:
    """A task gets a CPU."""
    m.g[k.NOW] = now
    m.g[k.CUR] = t
    m.g[k.OVER_HIGH] = m.task[t, k.T_OVER]
    m.g[k.OOM_DYING] = m.task[t, k.T_KILLED]
    m.g[k.MEMSTALL] = 0
    m.g[k.SLEPT] = 0
    m.g[k.SLEPT_IO] = 0
    m.g[k.USER] = 0
    m.g[k.WAIT_WS] = 0
    last = k.LB_ROW * cpu + k.LB_LAST
    if m.lb[last] != t + 1:
        m.lb[last] = t + 1
        m.task[t, k.T_RAN] = 1
        m.task[t, k.T_COLD] |= k.FLUSHED
    stock.switch(m, cpu)
    io.complete(m, now)
    if m.task[t, k.T_CPU] != cpu:
        m.task[t, k.T_COLD] |= k.FLUSHED
        psi.move(m, t, k.T_RUN, k.T_SLEEP, now)
        m.task[t, k.T_CPU] = cpu
        psi.move(m, t, k.T_SLEEP, k.T_RUN, now)
    psi.move(m, t, k.T_RUN, k.ON_CPU, now)


@njit
def _account(m: Mem, t: int, busy: int, now: int) -> int:
    """Book a turn's times; return the state pressure sees the task in at its end.

    What it stalled for memory on the CPU counts at the end of its time there, then what it slept.
    """
    slept = m.g[k.SLEPT]
    stalled = m.g[k.MEMSTALL] - slept
    left = now - slept
    state = k.ON_CPU
    if m.task[t, k.T_KIND] == k.KSWAPD_TASK:
        stalled = busy
    if stalled > 0:
        psi.move(m, t, state, k.ON_CPU_STALLED, left - stalled)
        state = k.ON_CPU_STALLED
    if slept:
        asleep = k.T_BOTH if m.g[k.SLEPT_IO] else k.T_MEM
        psi.move(m, t, state, asleep, left)
        state = asleep
    m.task[t, k.T_USER] += m.g[k.USER]
    m.task[t, k.T_SYS] += busy - m.g[k.USER]
    m.task[t, k.T_STALL] += m.g[k.MEMSTALL]
    return state


@njit
def _turn(m: Mem, t: int, cpu: int, start: int, until: int, quota: int) -> int:
    """Give a task one turn from `start`, of `quota` at most; return when its CPU is free again."""
    _start(m, t, cpu, start)
    end = min(until, start + min(m.g[k.QUANTUM], quota))
    if m.task[t, k.T_KIND]:
        outcome = _kthread(m, t)
        _pay(m)
    else:
        outcome = GO
        while outcome == GO and m.g[k.NOW] < end and not m.g[k.KSWAPD_WAKE]:
            outcome = program.step(m, t, end)
            _pay(m)
    now = m.g[k.NOW]
    busy = now - start - m.g[k.SLEPT]
    if m.g[k.CPU_LIMITED]:
        bandwidth.used(m, m.task[t, k.T_CG], busy)
    was = _account(m, t, busy, now)
    m.task[t, k.T_OVER] = m.g[k.OVER_HIGH]
    m.g[k.OVER_HIGH] = 0
    m.g[k.OOM_DYING] = 0
    m.task[t, k.T_READY] = now
    state = k.T_RUN
    wake = now
    if outcome == BLOCKED:
        wake = max(now, m.g[k.DISK_WAIT])
        m.task[t, k.T_IOWAIT] += wake - now
        state = k.T_BOTH if m.g[k.WAIT_WS] else k.T_IO
    elif outcome == NAP:
        wake = m.g[k.DISK_WAIT]
        state = k.T_SLEEP
    elif outcome == IDLE:
        state = k.T_HOLD
    elif m.g[k.SLEPT]:
        state = k.T_SLEEP
    psi.move(m, t, was, state, now)
    m.task[t, k.T_STATE] = state
    m.task[t, k.T_WAKE] = wake
    if outcome == ENDED:
        oom.finish(m, t, now)
    m.g[k.CUR] = -1
    return start + busy


@njit
def _wake_kthreads(m: Mem, now: int) -> None:
    for t in range(m.g[k.NTASK]):
        kind = m.task[t, k.T_KIND]
        state = m.task[t, k.T_STATE]
        if kind == k.KSWAPD_TASK and m.g[k.KSWAPD_WAKE]:
            m.g[k.KSWAPD_WAKE] = 0
            if state == k.T_HOLD and m.g[k.KSWAPD_FAILURES] < 16:
                set_state(m, t, k.T_RUN, now)
                m.task[t, k.T_READY] = 0
        elif kind == k.FLUSHER_TASK and m.g[k.FLUSH_WAKE] and m.task[t, k.T_I] == 0:
            m.task[t, k.T_WAKE] = min(now, m.task[t, k.T_WAKE])


@njit
def _wake(m: Mem, now: int, soonest: int) -> int:
    """Make every task ready whose wait is over, and find the one that is ready longest (`g[R0]`, or -1).

    Returns when the next one, at most `soonest`, will be.
    """
    best = -1
    for t in range(m.g[k.NTASK]):
        state = m.task[t, k.T_STATE]
        if k.T_RUN < state < k.T_HOLD:
            wake = m.task[t, k.T_WAKE]
            if wake <= now:
                m.task[t, k.T_READY] = wake
                m.task[t, k.T_RAN] = 1
                if state == k.T_SLEEP:
                    m.task[t, k.T_COLD] |= k.FLUSHED
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
    m.g[k.R0] = best
    return soonest


@njit
def advance(m: Mem, clock: Row, until: int) -> int:
    """Run the node until `until`, or until something the host must see (1). `clock` is per CPU."""
    while True:
        cpu = 0
        for i in range(1, m.g[k.NCPU]):
            if clock[i] < clock[cpu]:
                cpu = i
        now = clock[cpu]
        if now >= until:
            _wake(m, until, until)
            m.g[k.NOW] = until
            io.complete(m, until)
            return 0
        if m.g[k.EV_HEAD] != m.g[k.EV_TAIL]:
            m.g[k.NOW] = now
            return 1
        if m.g[k.DYING]:
            m.g[k.NOW] = now
            oom.bury(m, now)
        if m.g[k.KSWAPD_WAKE] or m.g[k.FLUSH_WAKE]:
            _wake_kthreads(m, now)
        soonest = _wake(m, now, min(until, m.g[k.NEXT_PSI], m.g[k.NEXT_FLUSH]))
        best = m.g[k.R0]
        if m.g[k.NEXT_PSI] <= now:
            psi.tick(m, m.g[k.NEXT_PSI])
            m.g[k.NEXT_PSI] += psi.PERIOD
        if m.g[k.NEXT_FLUSH] <= now:
            stats.flush(m)
            m.g[k.NEXT_FLUSH] += psi.PERIOD
        psi.flush(m, now)
        if best < 0:
            clock[cpu] = max(now + 1, soonest)
            continue
        quota = bandwidth.left(m, best, now) if m.g[k.CPU_LIMITED] else bandwidth.FOREVER
        if not quota:
            continue
        home = m.task[best, k.T_CPU]
        if clock[home] <= now:
            cpu = home
        clock[cpu] = max(now + 1, _turn(m, best, cpu, now, until, quota))
