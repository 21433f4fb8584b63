"""Dirty pages: when a writer must pause, and who writes them back.

mm/page-writeback.c (`balance_dirty_pages`, `domain_dirty_limits`), fs/fs-writeback.c.
The pause follows the kernel's control curve with the disk's real write speed in place of its
estimate. On 6.12 and later a cgroup's pages are counted as of the last flush of statistics, every two
seconds or when somebody reads memory.stat (`mem_cgroup_flush_stats_ratelimited`): who fills its limit
within that time is not paused, and may have all of its page cache under writeback.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, disk, extents, io, throttle
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

INTERVAL = 32  # pages a task may dirty between two looks
MAX_PAUSE = 200_000_000
EXPIRE = 30_000_000_000
MIN_CHUNK = 1024  # MIN_WRITEBACK_PAGES
INIT_BW = 25600  # pages a second that a disk is taken for
ONE = 1 << 16
AHEAD = 20_000_000


@njit
def domain(m: Mem, c: int) -> int:
    """Dirtyable pages of the node (0) or of a cgroup's domain; `g[R0]` its dirty and writeback pages."""
    dirty_all = m.g[k.NDIRTY] + m.g[k.NWB]
    avail_all = m.g[k.FREE] - min(m.g[k.FREE], m.g[k.TOTALRESERVE]) + counters.tree_sum(m, 0, k.N_FILE) + 1
    if c == 0:
        m.g[k.R0] = dirty_all
        return avail_all
    if m.g[k.STALE_STATS]:
        dirty = counters.tree_sum(m, c, k.SEEN_DIRTY)
        file = counters.tree_sum(m, c, k.SEEN_FILE)
    else:
        dirty = counters.tree_sum(m, c, k.N_DIRTY) + counters.tree_sum(m, c, k.N_WB)
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
    avail = domain(m, c)
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
def pause(m: Mem, c: int, o: int, writers: int, pages: int) -> int:
    """Nanoseconds the writer of a file must pause after so many pages."""
    ratio = _ratio(m, 0)
    mine = _ratio(m, c) if c else -1
    if ratio < 0 and mine < 0:
        return 0
    if ratio < 0 or 0 <= mine < ratio:
        ratio = mine
    if ratio == 0:
        return MAX_PAUSE
    d = m.obj[o, k.O_DEV]
    speed = throttle.write_rate(m, m.obj[o, k.O_WBCG], d, m.dev[d, k.D_WBPS]) >> 12
    if speed == 0:
        return 0
    return min(MAX_PAUSE, pages * 1_000_000_000 * writers // speed * ONE // ratio)


@njit
def _over_background(m: Mem, c: int) -> bool:
    avail = domain(m, c)
    return m.g[k.R0] > avail * m.g[k.BG_RATIO] // 100


@njit
def _choose(m: Mem, everything: bool) -> int:
    """The file to write next: the one dirtied first among those that should be written; -1 for none."""
    best = -1
    over_all = _over_background(m, 0)
    for o in range(m.g[k.NOBJ]):
        if m.obj[o, k.O_KIND] != k.FILE_OBJ or m.obj[o, k.O_NDIRTY] == 0:
            continue
        if best >= 0 and m.obj[o, k.O_DIRTIED] >= m.obj[best, k.O_DIRTIED]:
            continue
        c = m.obj[o, k.O_WBCG]
        expired = m.g[k.NOW] - m.obj[o, k.O_DIRTIED] >= EXPIRE
        foreign = m.obj[o, k.O_FOREIGN]  # mem_cgroup_flush_foreign
        if (
            everything
            or over_all
            or expired
            or (c and _over_background(m, c))
            or (foreign and _over_background(m, foreign))
        ):
            best = o
    return best


@njit
def _chunk(m: Mem) -> int:
    """Pages of one file that are written before it is the next one's turn (writeback_chunk_size)."""
    limit = domain(m, 0) * m.g[k.DIRTY_RATIO] // 100
    return (min(INIT_BW // 2, limit // 8) // MIN_CHUNK + 1) * MIN_CHUNK


@njit
def _most_requests(m: Mem, d: int) -> int:
    """Writes that the flusher has under way when reclaim calls for it: half of those a disk takes.

    block/blk-wbt.c `calc_wb_limits`; what it writes of itself goes at the disk's pace, `AHEAD` of it.
    """
    return (disk.depth(m, d, m.g[k.NOW]) + 1) // 2


@njit
def flush(m: Mem, everything: bool) -> int:
    """The flusher works until nothing should be written (0) or a disk is busy: when to go on."""
    while True:
        o = _choose(m, everything)
        if o < 0:
            return 0
        d = m.obj[o, k.O_DEV]
        if everything:
            if m.dev[d, k.D_WQ] >= _most_requests(m, d):
                return max(m.g[k.NOW] + 1, io.next_write(m, d))
        else:
            busy = disk.busy_until(m, d, m.g[k.NOW])
            if busy > m.g[k.NOW] + AHEAD:
                return busy - AHEAD // 2
        if extents.write_chunk(m, o, _chunk(m)) == 0:
            return m.g[k.NOW] + 10_000_000


@njit
def beside(m: Mem) -> None:
    """The flusher, called for by who reclaims, works on another CPU; that may save him from the OOM killer.

    What it writes goes to the disks when it has come to it. While it is at that nobody can call it again
    (fs/fs-writeback.c, `wb_start_writeback`, `WB_start_all`), and what is dirtied later waits for the next
    call. With one CPU it has its time instead of who called.
    """
    now = m.g[k.NOW]
    if now < m.g[k.FLUSHER_DONE]:
        return
    paid = m.g[k.WORK_REQUESTS]
    if flush(m, True) == 0:
        m.g[k.FLUSH_WAKE] = 0
    m.g[k.NOW] += (m.g[k.WORK_REQUESTS] - paid) * m.g[k.NS_REQUEST]
    m.g[k.WORK_REQUESTS] = paid
    m.g[k.FLUSHER_DONE] = m.g[k.NOW]
    if m.g[k.NCPU] > 1:
        m.g[k.NOW] = now
