"""The OOM killer: who is killed for a cgroup or the node, and telling the host of it.

mm/oom_kill.c (`oom_badness`, `out_of_memory`, `oom_kill_process`).
"""

from __future__ import annotations

from memqos.sim.kernels import counters, free, psi
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem


@njit
def badness(m: Mem, t: int, total: int) -> int:
    """oom_badness: pages held in memory and swap and as page tables, plus the adjustment's share.

    Pages of files count while they are mapped, whoever is charged for them.
    """
    points = m.task[t, k.T_SHARED]
    for o in range(m.g[k.NOBJ]):
        kind = m.obj[o, k.O_KIND]
        if m.obj[o, k.O_TASK] == t and (kind == k.ANON_OBJ or kind == k.MAP_OBJ):
            base = m.obj[o, k.O_BASE]
            if kind == k.ANON_OBJ:
                points += m.obj[o, k.O_TOUCHED]
            else:
                for page in range(base, base + m.obj[o, k.O_PAGES]):
                    points += 1 if m.w[page] & k.MAPPED else 0
            first = base >> 9
            for b in range(first, first + ((m.obj[o, k.O_PAGES] + 511) >> 9)):
                points += 1 if m.blk[b, k.B_PT] else 0
    return points + m.task[t, k.T_ADJ] * total // 1000


@njit
def _held(m: Mem, t: int) -> int:
    """Pages of memory, in swap, and of tables that a task gives back at its end."""
    return badness(m, t, 0) - m.task[t, k.T_SHARED]


@njit
def log_event(m: Mem, kind: int, t: int, c: int) -> None:
    """Tell the host what happened; when it does not read, the oldest is lost and counted."""
    head = m.g[k.EV_HEAD]
    if head - m.g[k.EV_TAIL] == k.EV_CAP:
        m.g[k.EV_TAIL] += 1
        m.g[k.LOST_EVENTS] += 1
    row = head % k.EV_CAP
    m.ev[row, 0] = m.g[k.NOW]
    m.ev[row, 1] = kind
    m.ev[row, 2] = t
    m.ev[row, 3] = c
    m.g[k.EV_HEAD] = head + 1


@njit
def kill(m: Mem, t: int, over: int) -> None:
    """SIGKILL: the running task frees its memory when it leaves the kernel, another one in a while.

    Who is killed for the node has given way by the time its killer looks again: he sleeps a tick
    (mm/page_alloc.c, `__alloc_pages_may_oom`). So has the victim where there is one processor: whom a signal
    wakes has had less of it than his killer, takes it from him (kernel/sched/fair.c, `check_preempt_wakeup`)
    and exits before he tries again. In seven of twelve plays in guests with one there was room within 17
    tries of a kill (k18, `alone` and `zipf`: memory.events, oom 1).
    """
    if m.task[t, k.T_STATE] >= k.T_DEAD:
        return
    m.task[t, k.T_EXIT] = 137
    m.task[t, k.T_KILLED] = 1
    if t == m.g[k.CUR]:
        m.g[k.OOM_DYING] = 1
    elif over and m.g[k.NS_EXIT] and m.g[k.NCPU] == 1:
        m.g[k.NOW] += m.g[k.NS_EXIT] * _held(m, t)
        finish(m, t, m.g[k.NOW])
    elif over and m.g[k.NS_EXIT]:
        psi.move(m, t, m.task[t, k.T_STATE], k.T_SLEEP, m.g[k.NOW])
        m.task[t, k.T_STATE] = k.T_SLEEP
        m.task[t, k.T_WAKE] = m.g[k.NOW] + m.g[k.NS_EXIT] * _held(m, t)
        m.g[k.DYING] += 1
    else:
        finish(m, t, m.g[k.NOW])


@njit
def finish(m: Mem, t: int, now: int) -> None:
    """A process is gone, killed or at its end: its memory is given back, and the host is told."""
    free.exit_task(m, t, now)
    log_event(m, k.EV_EXIT, t, m.task[t, k.T_CG])


@inlined
def _is_dying(m: Mem, t: int) -> bool:
    """Whether a task was killed, and holds its memory still; the running one is not meant."""
    return m.task[t, k.T_KILLED] != 0 and m.task[t, k.T_STATE] < k.T_DEAD and t != m.g[k.CUR]


@njit
def bury(m: Mem, until: int) -> None:
    """Those who were killed and are to be gone by then give back their memory."""
    left = 0
    for t in range(m.g[k.NTASK]):
        if _is_dying(m, t):
            if m.task[t, k.T_WAKE] <= until:
                finish(m, t, m.g[k.NOW])
            else:
                left += 1
    m.g[k.DYING] = left


@njit
def _await(m: Mem, over: int) -> bool:
    """Let the first one who was killed below `over`, and holds memory, be gone; False when nobody is."""
    soonest = 1 << 62
    for t in range(m.g[k.NTASK]):
        if _is_dying(m, t) and counters.is_below(m, m.task[t, k.T_CG], over):
            soonest = min(soonest, m.task[t, k.T_WAKE])
    if soonest == 1 << 62:
        return False
    wait = soonest - m.g[k.NOW]
    if wait > 0:  # on the processor, trying again and again
        m.g[k.MEMSTALL] += wait
        m.g[k.NOW] += wait
    bury(m, m.g[k.NOW])
    return True


@njit
def out_of_memory(m: Mem, over: int, pages: int) -> bool:
    """Kill in `over`'s subtree (0: the whole node) for so many pages; False when there is nobody to kill."""
    if over:
        counters.event(m, over, k.E_OOM)
        if counters.margin(m, over) >= pages:
            return True
        if m.g[k.DYING] and not m.g[k.PASSES_DYING] and _await(m, over):
            return True
        total = min(m.cg[over, k.MAX], m.g[k.TOTAL]) + min(m.cg[over, k.SWAP_MAX], m.g[k.SW_TOTAL])
    else:
        total = m.g[k.TOTAL] + m.g[k.SW_TOTAL]
    log_event(m, k.EV_OOM, -1, over)
    victim = -1
    worst = 0
    for t in range(m.g[k.NTASK]):
        usable = m.task[t, k.T_STATE] < k.T_DEAD and not m.task[t, k.T_KILLED] and m.task[t, k.T_ADJ] > -1000
        if usable and m.task[t, k.T_KIND] == 0 and counters.is_below(m, m.task[t, k.T_CG], over):
            points = badness(m, t, total)
            if victim < 0 or points >= worst:
                victim = t
                worst = points
    if victim < 0:
        return m.g[k.DYING] > 0 and _await(m, over)
    c = m.task[victim, k.T_CG]
    group = -1
    d = c
    while d > 0:
        if m.cg[d, k.OOM_GROUP]:
            group = d
        if d == over:
            break
        d = m.cg[d, k.PARENT]
    counters.event(m, c, k.E_OOM_KILL)
    m.g[k.G_OOM_KILL] += 1
    log_event(m, k.EV_OOM_KILL, victim, c)
    kill(m, victim, over)
    if group >= 0:
        counters.event(m, group, k.E_OOM_GROUP_KILL)
        # mm/oom_kill.c, oom_kill_process: the first victim is killed once more, as a member of its group,
        # unless he has begun to exit, where that counts, and had a processor to do so
        if victim == m.g[k.CUR] or m.g[k.NCPU] > 1 or not m.g[k.PASSES_DYING]:
            counters.event(m, c, k.E_OOM_KILL)
            m.g[k.G_OOM_KILL] += 1
        for t in range(m.g[k.NTASK]):
            alive = m.task[t, k.T_STATE] < k.T_DEAD and not m.task[t, k.T_KILLED]
            if alive and m.task[t, k.T_ADJ] > -1000 and counters.is_below(m, m.task[t, k.T_CG], group):
                counters.event(m, m.task[t, k.T_CG], k.E_OOM_KILL)
                m.g[k.G_OOM_KILL] += 1
                log_event(m, k.EV_OOM_KILL, t, m.task[t, k.T_CG])
                kill(m, t, over)
    return True
