"""Pressure stall information: who waits for what, per cgroup.

kernel/sched/psi.c; kernel.md 10. One domain for the whole node instead of one per CPU: some = a task
stalls, full = a task stalls and none runs. Totals are nanoseconds.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.layout import Mem

PERIOD = 2_000_000_000
FIXED = 2048


@njit
def settle(m: Mem, c: int, now: int) -> None:
    """Add the time since the last change to the totals of one cgroup."""
    passed = now - m.cg[c, k.PSI_LAST]
    if passed <= 0:
        return
    m.cg[c, k.PSI_LAST] = now
    running = m.cg[c, k.N_RUNNING]
    if m.cg[c, k.N_MEMSTALL]:
        m.cg[c, k.PSI] += passed
        if running == 0:
            m.cg[c, k.PSI + 1] += passed
    if m.cg[c, k.N_IOWAIT]:
        m.cg[c, k.PSI + 2] += passed
        if running == 0:
            m.cg[c, k.PSI + 3] += passed


@njit
def change(m: Mem, c: int, state: int, by: int, now: int) -> None:
    """A task of `c` enters (by=1) or leaves (by=-1) a state, at `c` and every ancestor."""
    while c >= 0:
        settle(m, c, now)
        if state == k.T_RUN:
            m.cg[c, k.N_RUNNING] += by
        if state in (k.T_IO, k.T_BOTH):
            m.cg[c, k.N_IOWAIT] += by
        if state in (k.T_MEM, k.T_BOTH):
            m.cg[c, k.N_MEMSTALL] += by
        c = m.cg[c, k.PARENT]


@njit
def waited(m: Mem, c: int, time: int) -> None:
    """A task of `c` was ready but had no CPU for so long."""
    while c >= 0:
        m.cg[c, k.PSI + 4] += time
        c = m.cg[c, k.PARENT]


@njit
def tick(m: Mem, now: int) -> None:
    """Every two seconds: fold the last period into the averages over 10, 60 and 300 seconds."""
    for c in range(m.g[k.NCG]):
        settle(m, c, now)
        for i in range(5):
            total = m.cg[c, k.PSI + i]
            sample = min(PERIOD, total - m.cg[c, k.PSI_PREV + i]) * 100 // (PERIOD // 1_000_000)
            m.cg[c, k.PSI_PREV + i] = total
            for window in range(3):
                keep = 1677 if window == 0 else (1981 if window == 1 else 2034)
                slot = k.PSI_AVG + 3 * i + window
                m.cg[c, slot] = (m.cg[c, slot] * keep + sample * (FIXED - keep)) // FIXED
