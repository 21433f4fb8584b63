"""Which number lies where in the tables of tasks, of what they do, and of what pressure sees (`layout`)."""

from __future__ import annotations

# m.task
(
    T_STATE, T_KIND, T_CG, T_ADJ, T_WAKE, T_PC, T_I, T_ROUND, T_RA_START, T_RA_SIZE, T_RA_ASYNC, T_PREV,
    T_EXIT, T_KILLED, T_USER, T_SYS, T_IOWAIT, T_STALL, T_STARTED, T_ENDED, T_RNG, T_DIRTIED,
    T_OVER, T_STEP, T_READY, T_K, T_ACCESSES, T_CPU, T_POSTED,
    # its own memory: object + 1, kernel pages, pages in use, where in m.tab, how far it is with them
    T_OWN, T_KERNEL, T_HOT, T_HOT_AT, T_HOT_I,
    T_COLD,  # their addresses are no longer known to its processor, or one was unmapped: `footprint`
    T_RA_ORDER,  # of the folios its last read-ahead made
    T_RAN,  # it was switched to since its page tables were last walked (mm->lru_gen.bitmap)
    T_WALK,  # whether they are walked: `tables`
    T_CALL,  # where its last read call ended (prev_pos), in pages
    T_SHARED,  # pages of files that it maps and that are not simulated
) = range(40)  # fmt: skip
TASK_COLS = 40
FLUSHED, LOST, BURSTS = 1, 2, 4  # in T_COLD; the last: so it is each time it looks
T_RUN, T_IO, T_MEM, T_BOTH, T_SLEEP, T_HOLD, T_DEAD = range(7)
ON_CPU, ON_CPU_STALLED = 7, 8  # of a task in T_RUN while it has its turn: pressure tells them apart
PROCESS, KSWAPD_TASK, FLUSHER_TASK = range(3)

# m.prog: operation and its numbers
(
    OP_EXIT, OP_READ, OP_WRITE, OP_TOUCH, OP_REQUESTS, OP_SLEEP, OP_FREE, OP_LOOP, OP_HOLD, OP_MARK, OP_SYNC,
    OP_BEGIN, OP_USE,
) = range(13)  # fmt: skip
(
    P_OP, P_OBJ, P_FIRST, P_COUNT, P_CHUNK, P_NS, P_PATTERN, P_A, P_B, P_WRITE, P_INTERVAL, P_LAT, P_START,
    P_END, P_FILE, P_FCOUNT, P_FBLOCK, P_FA, P_PACE, P_WRAP, P_RA, P_MAP,
) = range(22)  # fmt: skip
PROG_COLS = 22
SEQUENTIAL, TRACE = range(2)

# m.ps: tasks by state (enum psi_task_count), since when, times by pressure state, what was collected
S_RUN, S_ONCPU, S_IO, S_MEM, S_MEMRUN, S_LAST = range(6)
S_TIME, S_AVGS, S_POLL = 6, 13, 20  # as PSI, then non-idle
S_NONIDLE = 6
PS_COLS = 28

# m.tr
R_TIME, R_CG, R_CPU, R_OLD, R_NEW = range(5)
TR_COLS, TR_CAP = 5, 1 << 12

# m.ev: time, kind, task, cgroup
EV_CAP, EV_COLS = 1 << 12, 4
EV_OOM_KILL, EV_EXIT, EV_OOM, EV_MARK = range(4)
