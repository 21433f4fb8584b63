"""cpu.max: how long a task may run before its cgroup, or one above, has used up its quota of this period.

As in kernel/sched/fair.c: a quota is there again at the end of each period, and what was run beyond it is
taken from the next one (`__refill_cfs_bandwidth_runtime`, negative `runtime_remaining`). A cgroup's period
begins when it first runs under a quota. A task that may not run stays runnable: pressure counts its wait.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

FOREVER = 1 << 62


@njit
def left(m: Mem, t: int, now: int) -> int:
    """Nanoseconds that a task may run from now on; if none, it is ready again when it may."""
    least = FOREVER
    c = m.task[t, k.T_CG]
    while c >= 0:
        quota = m.cg[c, k.CPU_QUOTA]
        if quota:
            period = m.cg[c, k.CPU_PERIOD]
            over = (now - m.cg[c, k.CPU_SINCE]) // period
            if over > 0:
                m.cg[c, k.CPU_SINCE] += over * period
                m.cg[c, k.CPU_USED] = max(0, m.cg[c, k.CPU_USED] - over * quota)
            if m.cg[c, k.CPU_USED] >= quota:
                m.task[t, k.T_READY] = m.cg[c, k.CPU_SINCE] + period
                return 0
            least = min(least, quota - m.cg[c, k.CPU_USED])
        c = m.cg[c, k.PARENT]
    return least


@njit
def used(m: Mem, c: int, busy: int) -> None:
    """Book nanoseconds of processor for a cgroup and those above it."""
    while c >= 0:
        if m.cg[c, k.CPU_QUOTA]:
            m.cg[c, k.CPU_USED] += busy
        c = m.cg[c, k.PARENT]
