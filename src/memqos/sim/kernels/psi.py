"""Pressure stall information: who waits for what, per cgroup, as kernel/sched/psi.c adds it up.

A task is in one state at a time and belongs to the CPU it last ran on. Each cgroup counts, per CPU, its
tasks (and its descendants') by state, and for how long that was pressure (`psi_group_change`)::

    memory some   a task stalls for memory        full   none of the runnable ones is productive
    io some       a task waits for a disk         full   and none is runnable
    cpu some      more runnable than running      full   runnable ones, none running

The CPUs' times are averaged, weighted by how long each was not idle (`collect_percpu_times`), every 2 s
for the averages and `total`, and whenever someone looks at a trigger for the triggers' own totals.

Several CPUs have their own clocks, so changes arrive out of order: `post` puts them in the order of time,
`flush` lets those happen that nothing can precede any more. Times are nanoseconds.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

PERIOD = 2_004_000_000
"""PSI_FREQ: two seconds and a tick."""
JIFFY = 4_000_000
"""HZ is 250 in Debian's kernels."""
FIXED = 2048
AVGS, POLL = range(2)


@njit
def timeout(now: int, jiffies: int) -> int:
    """When schedule_timeout(jiffies) is over: at a tick, and not a moment early.

    So it is one more tick than was asked for (kernel/time/timer.c `calc_index`, since 5.11).
    """
    return (now // JIFFY + jiffies + 1) * JIFFY


@njit
def settle(m: Mem, row: int, now: int) -> None:
    """Add the time since the last change to one cgroup's times on one CPU (record_times)."""
    passed = now - m.ps[row, k.S_LAST]
    if passed <= 0:
        return
    m.ps[row, k.S_LAST] = now
    run = m.ps[row, k.S_RUN]
    io = m.ps[row, k.S_IO]
    mem = m.ps[row, k.S_MEM]
    if run == 0 and io == 0 and mem == 0:
        return
    m.ps[row, k.S_TIME + k.S_NONIDLE] += passed
    if mem:
        stalled = m.ps[row, k.S_MEMRUN]
        m.ps[row, k.S_TIME] += passed
        if stalled or run == 0:
            m.ps[row, k.S_TIME + 1] += passed
    if io:
        m.ps[row, k.S_TIME + 2] += passed
        if run == 0:
            m.ps[row, k.S_TIME + 3] += passed
    if run > m.ps[row, k.S_ONCPU]:
        m.ps[row, k.S_TIME + 4] += passed
        if m.ps[row, k.S_ONCPU] == 0:
            m.ps[row, k.S_TIME + 5] += passed


@njit
def _count(m: Mem, row: int, state: int, by: int) -> None:
    if state == k.T_IO or state == k.T_BOTH:
        m.ps[row, k.S_IO] += by
    if state == k.T_MEM or state == k.T_BOTH or state == k.ON_CPU_STALLED:
        m.ps[row, k.S_MEM] += by
    if state == k.T_RUN or state >= k.ON_CPU:
        m.ps[row, k.S_RUN] += by
    if state >= k.ON_CPU:
        m.ps[row, k.S_ONCPU] += by
    if state == k.ON_CPU_STALLED:
        m.ps[row, k.S_MEMRUN] += by


@njit
def _happen(m: Mem, i: int) -> None:
    """One change of state takes place, at its cgroup and every ancestor."""
    now = m.tr[i, k.R_TIME]
    c = m.tr[i, k.R_CG]
    while c >= 0:
        row = c * m.g[k.NCPU] + m.tr[i, k.R_CPU]
        settle(m, row, now)
        _count(m, row, m.tr[i, k.R_OLD], -1)
        _count(m, row, m.tr[i, k.R_NEW], 1)
        c = m.cg[c, k.PARENT]


@njit
def flush(m: Mem, now: int) -> None:
    """Let every change up to `now` happen; what is posted later must not lie before."""
    i = m.g[k.TR_HEAD]
    tail = m.g[k.TR_TAIL]
    while i < tail and m.tr[i, k.R_TIME] <= now:
        _happen(m, i)
        i += 1
    m.g[k.TR_HEAD] = i
    if i == tail:
        m.g[k.TR_HEAD] = 0
        m.g[k.TR_TAIL] = 0


@njit
def _room(m: Mem) -> None:
    """Move what is posted to the front of its table; if it is full, the first change happens early."""
    if m.g[k.TR_HEAD] == 0:
        _happen(m, 0)
        m.g[k.TR_HEAD] = 1
    head = m.g[k.TR_HEAD]
    count = m.g[k.TR_TAIL] - head
    for i in range(count):
        for column in range(k.TR_COLS):
            m.tr[i, column] = m.tr[head + i, column]
    m.g[k.TR_HEAD] = 0
    m.g[k.TR_TAIL] = count


@njit
def post(m: Mem, time: int, c: int, cpu: int, old: int, new: int) -> None:
    """A task of `c` on `cpu` leaves one state for another at `time`."""
    if m.g[k.TR_TAIL] == k.TR_CAP:
        _room(m)
    i = m.g[k.TR_TAIL]
    m.g[k.TR_TAIL] = i + 1
    while i > m.g[k.TR_HEAD] and m.tr[i - 1, k.R_TIME] > time:
        for column in range(k.TR_COLS):
            m.tr[i, column] = m.tr[i - 1, column]
        i -= 1
    m.tr[i, k.R_TIME] = time
    m.tr[i, k.R_CG] = c
    m.tr[i, k.R_CPU] = cpu
    m.tr[i, k.R_OLD] = old
    m.tr[i, k.R_NEW] = new


@njit
def move(m: Mem, t: int, old: int, new: int, time: int) -> None:
    """Task `t` leaves `old` for `new` at `time`, or when the last change posted for it lies."""
    time = max(time, m.task[t, k.T_POSTED])
    m.task[t, k.T_POSTED] = time
    if old != new:
        post(m, time, m.task[t, k.T_CG], m.task[t, k.T_CPU], old, new)


@njit
def collect(m: Mem, c: int, who: int, now: int) -> None:
    """collect_percpu_times: bring the totals of one cgroup up to date for the averages or the triggers."""
    seen = k.S_AVGS if who == AVGS else k.S_POLL
    totals = k.PSI if who == AVGS else k.PSI_POLL
    states = 6 if who == AVGS else 4
    first = c * m.g[k.NCPU]
    weights = 0
    for row in range(first, first + m.g[k.NCPU]):
        settle(m, row, now)
        weights += (m.ps[row, k.S_TIME + k.S_NONIDLE] - m.ps[row, seen + k.S_NONIDLE]) // JIFFY
    for i in range(states):
        total = 0
        for row in range(first, first + m.g[k.NCPU]):
            weight = (m.ps[row, k.S_TIME + k.S_NONIDLE] - m.ps[row, seen + k.S_NONIDLE]) // JIFFY
            total += (m.ps[row, k.S_TIME + i] - m.ps[row, seen + i]) * weight
            m.ps[row, seen + i] = m.ps[row, k.S_TIME + i]
        m.cg[c, totals + i] += total // max(weights, 1)
    for row in range(first, first + m.g[k.NCPU]):
        m.ps[row, seen + k.S_NONIDLE] = m.ps[row, k.S_TIME + k.S_NONIDLE]


@njit
def look(m: Mem, who: int, now: int) -> None:
    """Someone reads the pressure of every cgroup (`AVGS`), or a trigger is due (`POLL`)."""
    flush(m, now)
    for c in range(m.g[k.NCG]):
        collect(m, c, who, now)


@njit
def tick(m: Mem, now: int) -> None:
    """update_averages, every two seconds: fold the period into the averages over 10, 60 and 300 s."""
    look(m, AVGS, now)
    for c in range(m.g[k.NCG]):
        for i in range(6):
            sample = min(PERIOD, m.cg[c, k.PSI + i] - m.cg[c, k.PSI_PREV + i])
            m.cg[c, k.PSI_PREV + i] = m.cg[c, k.PSI + i]
            share = sample * 100 // PERIOD * FIXED
            for window in range(3):
                keep = 1677 if window == 0 else (1981 if window == 1 else 2034)
                slot = k.PSI_AVG + 3 * i + window
                old = m.cg[c, slot]
                new = old * keep + share * (FIXED - keep)
                if share >= old:
                    new += FIXED - 1
                m.cg[c, slot] = new // FIXED
