"""The flusher: which files it writes back, how much of each, and when it gets to it.

fs/fs-writeback.c (`wb_workfn`, `wb_writeback`, `wakeup_flusher_threads`).
"""

from __future__ import annotations

from memqos.sim.kernels import counters, dirty, disk, extents, io, psi
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

EXPIRE = 30_000_000_000
MIN_CHUNK = 1024  # MIN_WRITEBACK_PAGES
INIT_BW = 25600  # pages a second that a disk is taken for
AHEAD = 20_000_000


@njit
def _choose(m: Mem, everything: bool) -> int:
    """The file to write next: the one dirtied first among those that should be written; -1 for none."""
    best = -1
    over_all = dirty.over_background(m, 0)
    for o in range(m.g[k.NOBJ]):
        if m.obj[o, k.O_KIND] != k.FILE_OBJ or m.obj[o, k.O_NDIRTY] == 0:
            continue
        if best >= 0 and m.obj[o, k.O_DIRTIED] >= m.obj[best, k.O_DIRTIED]:
            continue
        c = m.obj[o, k.O_WBCG]
        expired = m.g[k.NOW] - m.obj[o, k.O_DIRTIED] >= EXPIRE
        due = everything or over_all or expired or m.obj[o, k.O_FRN_DUE]
        if due or (c and dirty.over_background(m, c)):
            best = o
    return best


@njit
def _chunk(m: Mem) -> int:
    """Pages of one file that are written before it is the next one's turn (writeback_chunk_size)."""
    limit = dirty.domain(m, 0, True) * m.g[k.DIRTY_RATIO] // 100
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
        sent = extents.write_chunk(m, o, _chunk(m))
        if m.obj[o, k.O_NDIRTY] == 0:
            m.obj[o, k.O_FRN_DUE] = 0
        if sent == 0:
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


@njit
def call(m: Mem) -> None:
    """Reclaim has met nothing but dirty pages that nobody writes yet (wakeup_flusher_threads)."""
    if m.g[k.FLUSH_WAKE] != k.FLUSH_ALL:
        m.g[k.FLUSH_WAKE] = k.FLUSH_ALL
        m.g[k.FLUSH_CALLED] = m.g[k.NOW] + counters.work(m)


@njit
def preempt(m: Mem) -> None:
    """Who reclaims on the only CPU has called the flusher, and goes on until a tick of the clock.

    kernel/sched/fair.c (`entity_tick`): who is woken does not take the CPU from who runs before a slice is
    over, 2.8 ms with one CPU. So a limit full of dirty pages is not passed over priority by priority to the
    end. Where dd had filled it first, with some 5,800 pages, 786 and 4,380 were met in vain until that was
    over (k20, `zeroes`, 7.2); two walks through all of it are 23,000 looks.
    """
    if m.g[k.FLUSH_WAKE] != k.FLUSH_ALL or m.g[k.NCPU] > 1 or m.g[k.SC_KIND] == k.KSWAPD:
        return
    if (m.g[k.NOW] + counters.work(m)) // psi.JIFFY == m.g[k.FLUSH_CALLED] // psi.JIFFY:
        return
    io.spend(m)
    beside(m)
