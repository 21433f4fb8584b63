"""Dirty pages: when a writer must pause, and when the flusher should write what is dirty.

mm/page-writeback.c (`balance_dirty_pages`, `domain_dirty_limits`, `wb_over_bg_thresh`).
The pause follows the kernel's control curve with the disk's real write speed in place of its
estimate. On 6.12 and later a cgroup's pages are counted as of the last flush of statistics, every two
seconds or when somebody reads memory.stat (`mem_cgroup_flush_stats_ratelimited`): who fills its limit
within that time is not paused, and may have all of its page cache under writeback.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, inode, psi, throttle
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

INTERVAL = 32  # pages a task may dirty between two looks
MAX_PAUSE = 200_000_000
WB_STAT_BATCH = 8  # for each CPU
ONE = 1 << 16


@njit
def domain(m: Mem, c: int, sent: bool) -> int:
    """domain_dirty_avail: dirtyable pages of the node (0) or of a cgroup's domain.

    `g[R0]` is its dirty ones, and those that are `sent` to a disk.
    """
    dirty_all = m.g[k.NDIRTY] + (m.g[k.NWB] if sent else 0)
    avail_all = m.g[k.FREE] - min(m.g[k.FREE], m.g[k.TOTALRESERVE]) + counters.tree_sum(m, 0, k.N_FILE) + 1
    if c == 0:
        m.g[k.R0] = dirty_all
        return avail_all
    if m.g[k.STALE_STATS]:
        dirty = counters.tree_sum(m, c, k.SEEN_DIRTY) + (counters.tree_sum(m, c, k.SEEN_WB) if sent else 0)
        file = counters.tree_sum(m, c, k.SEEN_FILE)
    else:
        dirty = counters.tree_sum(m, c, k.N_DIRTY) + (counters.tree_sum(m, c, k.N_WB) if sent else 0)
        file = counters.tree_sum(m, c, k.N_FILE)
    headroom = k.UNLIMITED_PAGES
    i = c
    while i > 0:
        headroom = min(headroom, max(0, min(m.cg[i, k.MAX], m.cg[i, k.HIGH]) - m.cg[i, k.USAGE]))
        i = m.cg[i, k.PARENT]
    clean = file - min(file, dirty)
    other = max(0, avail_all - dirty_all - clean)
    m.g[k.R0] = dirty
    return file + min(headroom, other)


@njit
def _ratio(m: Mem, c: int) -> int:
    """How fast a writer may go, in 1/65536 of the disk's speed; -1 below the freerun ceiling."""
    avail = domain(m, c, True)
    dirty = m.g[k.R0]
    limit = max(1, avail * m.g[k.DIRTY_RATIO] // 100)
    background = avail * m.g[k.BG_RATIO] // 100
    freerun = (background + limit) // 2
    if dirty <= freerun:
        return -1
    m.g[k.FLUSH_WAKE] = max(k.FLUSH_OVER, m.g[k.FLUSH_WAKE])
    if dirty >= limit:
        return 0
    setpoint = (freerun + limit) // 2
    x = (setpoint - dirty) * ONE // max(1, limit - setpoint)
    return max(0, min(2 * ONE, ONE + ((x * x // ONE) * x) // ONE))


@njit
def _dirty_of(m: Mem, c: int) -> int:
    """WB_RECLAIMABLE: dirty pages of the files whose writeback is a cgroup's, counted as they are dirtied."""
    pages = 0
    for o in range(m.g[k.NOBJ]):
        if m.obj[o, k.O_KIND] == k.FILE_OBJ and m.obj[o, k.O_WBCG] == c:
            pages += m.obj[o, k.O_NDIRTY]
    return pages


@njit
def pause(m: Mem, c: int, o: int, writers: int, pages: int) -> int:
    """Nanoseconds the writer of a file must pause after so many pages; `g[R1]`: and ask again then.

    However far the statistics say that the limit is exceeded, it is not for longer than what of the cgroup's
    files awaits its write in fact lets a disk work (`wb_max_pause`), nor again once that has been written
    (`wb_stat_error`). So who writes 4 MiB a second went on at that pace in guests, though statistics showed
    twice the limit for two seconds (k17, `slow`).
    """
    m.g[k.R1] = 0
    ratio = _ratio(m, 0)
    mine = _ratio(m, c) if c else -1
    if ratio < 0 and mine < 0:
        return 0
    for other in range(m.g[k.NOBJ] if c else 0):  # mem_cgroup_flush_foreign
        if m.obj[other, k.O_FOREIGN] == c and m.obj[other, k.O_NDIRTY]:
            m.obj[other, k.O_FRN_DUE] = 1
    if ratio < 0 or 0 <= mine < ratio:
        ratio = mine
    d = m.obj[o, k.O_DEV]
    speed = throttle.write_rate(m, m.obj[o, k.O_WBCG], d, m.dev[d, k.D_WBPS]) >> 12
    unwritten = _dirty_of(m, c) + m.cg[c, k.N_WB] if c else m.g[k.NDIRTY] + m.g[k.NWB]
    jiffies = 1 + unwritten // (1 + (speed or inode.SPEED) // 32)
    most = min(MAX_PAUSE, psi.timeout(m.g[k.NOW], jiffies) - m.g[k.NOW])
    if ratio == 0:
        m.g[k.R1] = 1 if unwritten > WB_STAT_BATCH * m.g[k.NCPU] else 0
        return most
    if speed == 0:
        return 0
    return min(most, pages * 1_000_000_000 * writers // speed * ONE // ratio)


@njit
def _writers(m: Mem) -> int:
    """Programs that write to files now, through descriptors or mappings."""
    count = 0
    for t in range(m.g[k.NTASK]):
        row = m.task[t, k.T_PC]
        if m.task[t, k.T_STATE] >= k.T_DEAD or m.task[t, k.T_KIND]:
            continue
        if m.prog[row, k.P_OP] == k.OP_WRITE:
            count += 1
        elif m.prog[row, k.P_OP] == k.OP_TOUCH and m.prog[row, k.P_WRITE]:
            count += 1 if m.obj[m.prog[row, k.P_OBJ], k.O_KIND] == k.FILE_OBJ else 0
    return max(1, count)


@njit
def balance(m: Mem, t: int, o: int, pages: int) -> bool:
    """balance_dirty_pages_ratelimited: a task has dirtied so many pages more of a file.

    True: it is to pause until `g[DISK_WAIT]`.
    """
    m.task[t, k.T_DIRTIED] += pages
    if m.task[t, k.T_DIRTIED] < INTERVAL:
        return False
    nap = pause(m, m.task[t, k.T_CG], o, _writers(m), m.task[t, k.T_DIRTIED])
    if m.g[k.R1] == 0:
        m.task[t, k.T_DIRTIED] = 0
    m.g[k.DISK_WAIT] = m.g[k.NOW] + nap
    return nap > 0


@njit
def over_background(m: Mem, c: int) -> bool:
    """wb_over_bg_thresh: whether the flusher should write files of a cgroup, or of anybody (0).

    What is being written does not count. What its files have is counted as they are dirtied
    (`WB_RECLAIMABLE`), however late the statistics of the cgroup are. All that was written of late is taken
    to be theirs (`__wb_calc_thresh`).
    """
    avail = domain(m, c, False)
    most = avail * m.g[k.BG_RATIO] // 100
    if m.g[k.R0] > most:
        return True
    return c != 0 and _dirty_of(m, c) > most
