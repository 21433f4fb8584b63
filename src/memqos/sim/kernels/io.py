"""Requests to disks: what `io.max` holds back, what passes, and who waits for the end of which.

`io.stat` counts when a request reaches the disk (`disk`), on the cgroup the kernel would blame: what `io.max`
holds back (`throttle`) is not counted yet. When a request will be done is known only as long as no other
comes: who waited in vain looks again.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, disk, plug, rings, throttle
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem


@njit
def _full(m: Mem, d: int, alone: bool) -> bool:
    """Whether a disk takes no more of reclaim's writes for now."""
    most = m.dev[d, k.D_UNDER_WAY]
    if most and m.dev[d, k.D_WPAGES] >= most:
        return True
    return alone and m.dev[d, k.D_WQ] + plug.writes(m) >= disk.depth(m, d, m.g[k.NOW])


@njit
def _release(m: Mem, until: int) -> None:
    """Send the held requests that may pass at or before `until`; none later than now, if `until` is."""
    while m.g[k.HELD] and m.held[0, k.H_TIME] <= until:
        time = m.held[0, k.H_TIME]
        d = m.held[0, k.H_DEV]
        c = m.held[0, k.H_CG]
        page = m.held[0, k.H_PAGE]
        pages = m.held[0, k.H_N]
        kind = m.held[0, k.H_KIND]
        back = m.g[k.BACK]
        m.g[k.BACK] = m.held[0, k.H_BACK]
        throttle.drop_first(m)
        disk.send(m, d, c, page, pages, kind, min(time, m.g[k.NOW]))
        m.g[k.BACK] = back


@njit
def complete(m: Mem, until: int) -> None:
    """Let happen on the disks what happens at or before `until`."""
    if m.g[k.HELD]:
        _release(m, until)
    for d in range(m.g[k.NDEV]):
        disk.serve(m, d, until)
        disk.end(m, d, until)


@njit
def spend(m: Mem) -> None:
    """Turn pages scanned, freed and sent to swap into CPU time stalled for memory; writes end meanwhile."""
    cost = counters.work(m)
    m.g[k.WORK_SCAN] = 0
    m.g[k.WORK_STEAL] = 0
    m.g[k.WORK_OUT] = 0
    m.g[k.WORK_ROUNDS] = 0
    m.g[k.WORK_REQUESTS] = 0
    m.g[k.WORK_BEGUN] = 0
    if m.g[k.SC_KIND] == k.DIRECT:
        m.g[k.MEMSTALL] += cost
    m.g[k.NOW] += cost
    complete(m, m.g[k.NOW])


@njit
def spend_out(m: Mem) -> None:
    """As `spend`, for what was sent to swap alone, while reclaim has more in hand.

    Of what a request costs beyond its pages half is its end, and comes later. With none of it 1.9% of the
    pages that e7 swapped out on 6.1 were in hand when their write ended, with all of it 5.1%, with half of it
    4.2%; 3.5% were in the guest (pswpout less pgrotated).
    """
    begun = m.g[k.WORK_REQUESTS] - m.g[k.WORK_BEGUN]
    cost = m.g[k.WORK_OUT] * m.g[k.NS_SWAP_OUT] + begun * m.g[k.NS_REQUEST] // 2
    m.g[k.WORK_OUT] = 0
    m.g[k.WORK_BEGUN] += begun
    if m.g[k.SC_KIND] == k.DIRECT:
        m.g[k.MEMSTALL] += cost
    m.g[k.NOW] += cost
    complete(m, m.g[k.NOW])


@njit
def stall(m: Mem, until: int) -> None:
    """The running task sleeps inside the kernel for want of memory until `until`."""
    if until > m.g[k.NOW]:
        m.g[k.MEMSTALL] += until - m.g[k.NOW]
        m.g[k.SLEPT] += until - m.g[k.NOW]
        if m.g[k.CUR] >= 0:
            m.task[m.g[k.CUR], k.T_RAN] = 1
        m.g[k.NOW] = until
    complete(m, m.g[k.NOW])


@njit
def next_write(m: Mem, d: int) -> int:
    """When the first write in flight on a disk ends; -1 when there is none."""
    if m.dev[d, k.D_WQ] == 0:
        return -1
    for i in range(m.dev[d, k.D_HEAD + rings.SERVED], m.dev[d, k.D_TAIL + rings.SERVED]):
        row = rings.row_of(d, rings.SERVED, i)
        if m.q[row, k.Q_KIND] >= k.Q_WRITE:
            return m.q[row, k.Q_TIME]
    return disk.forecast(m, d, rings.WRITES, m.dev[d, k.D_HEAD + rings.WRITES])


@njit
def wait_write(m: Mem) -> bool:
    """Sleep until the next write ends, or passes io.max; False when there is none.

    Who sleeps sends first what he has gathered (sched_submit_work).
    """
    plug.flush(m)
    complete(m, m.g[k.NOW])
    first = -1
    for d in range(m.g[k.NDEV]):
        done = next_write(m, d)
        if done >= 0 and (first < 0 or done < first):
            first = done
    if first < 0 and m.g[k.HELD]:
        first = throttle.held_until(m, 0, 1 << 62, 1)
    if first < 0:
        return False
    stall(m, first)
    return True


@njit
def submit(m: Mem, d: int, c: int, page: int, pages: int, kind: int) -> None:
    """Send one request for `pages` pages, blamed on `c`; io.max may hold it.

    Swap-out is debited but not held since REQ_SWAP passes blk-throttle (seen held on 6.1 only). A file on no
    disk (`d` < 0) is there at once.
    """
    now = m.g[k.NOW]
    if d < 0:
        for other in range(page, page + pages):
            m.w[other] &= ~k.LOCKED
        return
    if m.g[k.HELD]:
        _release(m, now)
    may_wait = kind != k.Q_SWAPOUT or m.g[k.THROTTLE_SWAP] != 0
    when = throttle.passes_at(m, c, d, kind >> 1, pages << 12, now, may_wait)
    if when > now:
        if m.g[k.HELD] == k.H_CAP:
            _release(m, m.held[0, k.H_TIME])
        throttle.hold(m, when, d, c, page, pages, kind)
    elif m.g[k.PLUG] and kind & k.Q_SWAP:
        plug.add(m, c, m.aux[page] - 1, kind)
    else:
        disk.send(m, d, c, page, pages, kind, now)


@njit
def swap_out(m: Mem, c: int, page: int) -> None:
    """Send a page to its slot; sleep first, for memory and for the disk, until it takes one more request."""
    d = m.g[k.SWAP_DEV]
    slot = m.aux[page] - 1
    while _full(m, d, plug.joins(m, c, slot, k.Q_SWAPOUT) < 0):
        m.g[k.SLEPT_IO] = 1
        if not wait_write(m):
            break
    submit(m, d, c, page, 1, k.Q_SWAPOUT)


@njit
def still_read(m: Mem, d: int, page: int) -> bool:
    """Whether a locked page's read is still in flight: look again at `g[DISK_WAIT]`.

    Who waits for a page that was hot before it was evicted stalls for memory too (mm/filemap.c,
    folio_wait_bit_common): `g[WAIT_WS]`.
    """
    complete(m, m.g[k.NOW])
    if not m.w[page] & k.LOCKED:
        return False
    when = done_at(m, d, page)
    if when <= m.g[k.NOW]:
        return False
    m.g[k.DISK_WAIT] = when
    m.g[k.WAIT_WS] = m.w[page] & k.WS
    return True


@njit
def _covers(m: Mem, row: int, page: int) -> bool:
    kind = m.q[row, k.Q_KIND]
    place = m.aux[page] - 1 if kind & k.Q_SWAP else page
    first = m.q[row, k.Q_FIRST]
    return kind < k.Q_WRITE and first <= place < first + m.q[row, k.Q_N]


@njit
def done_at(m: Mem, d: int, page: int) -> int:
    """When the read that covers `page` will be done, or will pass io.max; now if there is none."""
    for i in range(m.dev[d, k.D_HEAD + rings.SERVED], m.dev[d, k.D_TAIL + rings.SERVED]):
        row = rings.row_of(d, rings.SERVED, i)
        if _covers(m, row, page):
            return m.q[row, k.Q_TIME]
    for i in range(m.dev[d, k.D_HEAD + rings.READS], m.dev[d, k.D_TAIL + rings.READS]):
        if _covers(m, rings.row_of(d, rings.READS, i), page):
            return disk.forecast(m, d, rings.READS, i)
    if m.g[k.HELD]:
        return max(m.g[k.NOW], throttle.held_until(m, page, page + 1, 0))
    return m.g[k.NOW]


@njit
def _writes(m: Mem, row: int, first: int, end: int) -> bool:
    page = m.q[row, k.Q_FIRST]
    return m.q[row, k.Q_KIND] == k.Q_WRITE and page < end and page + m.q[row, k.Q_N] > first


@njit
def written_at(m: Mem, d: int, first: int, end: int) -> int:
    """When the last write of a page of `first..end` will be done, or one will pass io.max; now if none is."""
    complete(m, m.g[k.NOW])
    if m.g[k.HELD]:
        when = throttle.held_until(m, first, end, 1)
        if when >= 0:
            return max(m.g[k.NOW] + 1, when)
    for i in range(m.dev[d, k.D_TAIL + rings.WRITES] - 1, m.dev[d, k.D_HEAD + rings.WRITES] - 1, -1):
        if _writes(m, rings.row_of(d, rings.WRITES, i), first, end):
            return disk.forecast(m, d, rings.WRITES, i)
    last = m.g[k.NOW]
    for i in range(m.dev[d, k.D_HEAD + rings.SERVED], m.dev[d, k.D_TAIL + rings.SERVED]):
        row = rings.row_of(d, rings.SERVED, i)
        if _writes(m, row, first, end):
            last = m.q[row, k.Q_TIME]
    return last


@njit
def all_written(m: Mem) -> int:
    """When every write that was sent will be done, or the first held one will pass io.max; now if none is."""
    complete(m, m.g[k.NOW])
    last = m.g[k.NOW]
    for d in range(m.g[k.NDEV]):
        if m.dev[d, k.D_TAIL + rings.WRITES] != m.dev[d, k.D_HEAD + rings.WRITES]:
            last = max(last, disk.forecast(m, d, rings.WRITES, m.dev[d, k.D_TAIL + rings.WRITES] - 1))
        elif m.dev[d, k.D_WQ]:
            last = max(last, m.dev[d, k.D_LAST_DONE])
    if m.g[k.HELD]:
        last = max(last, throttle.held_until(m, 0, 1 << 62, 1))
    return last
