"""Disks: one first-in first-out queue each, and what is in flight.

A request's end is known when it is sent: it starts when the disk is free, takes the longer of
bytes/bandwidth and 1/IOPS, and its latency comes on top without occupying the disk. `complete` makes
finished requests' pages clean or readable. `io.stat` counts when a request reaches the disk, on the cgroup
the kernel would blame (kernel.md 11): what `io.max` holds back (`throttle`) is not counted yet.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import lists, throttle
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.layout import Mem


@njit
def _rotate(m: Mem, page: int) -> None:
    """folio_rotate_reclaimable: a page reclaim waits for goes to the oldest end."""
    word = m.w[page]
    lists.remove(m, page)
    kind = 0 if word & k.ANON else 1
    if m.g[k.MGLRU]:
        c = (word & k.CG_MASK) >> k.CG_SHIFT
        number = kind * 4 + m.cg[c, k.MIN_SEQ_ANON + kind] % 4
    else:
        number = kind * 2
    m.w[page] = word & ~k.RECLAIM
    lists.add_tail(m, page, number)


@njit
def end_writeback(m: Mem, page: int) -> None:
    """A page's write has finished."""
    word = m.w[page]
    if not word & k.WB or not word & k.RES:
        return
    word &= ~k.WB
    m.w[page] = word
    m.cg[(word & k.CG_MASK) >> k.CG_SHIFT, k.N_WB] -= 1
    m.g[k.NWB] -= 1
    if word & k.RECLAIM:
        if word & k.DIRTY or word & k.POS == k.POS:  # dirty again, or in the hands of reclaim
            m.w[page] = word & ~k.RECLAIM
        else:
            _rotate(m, page)


@njit
def _end(m: Mem, d: int, until: int) -> None:
    """Finish every request on one disk that ends at or before `until`."""
    head = m.dev[d, k.D_QHEAD]
    tail = m.dev[d, k.D_QTAIL]
    while head != tail:
        row = d * k.Q_CAP + head % k.Q_CAP
        if m.q[row, k.Q_DONE] > until:
            break
        page = m.q[row, k.Q_PAGE]
        kind = m.q[row, k.Q_KIND]
        head += 1
        m.dev[d, k.D_QHEAD] = head
        if kind != k.Q_READ:
            m.dev[d, k.D_WQ] -= 1
        for i in range(page, page + m.q[row, k.Q_N]):
            if kind == k.Q_READ:
                m.w[i] &= ~k.LOCKED
            else:
                end_writeback(m, i)


@njit
def _dispatch(m: Mem, d: int, c: int, page: int, pages: int, kind: int, now: int) -> None:
    """A request reaches its disk."""
    if m.dev[d, k.D_QTAIL] - m.dev[d, k.D_QHEAD] >= k.Q_CAP:
        _end(m, d, m.q[d * k.Q_CAP + m.dev[d, k.D_QHEAD] % k.Q_CAP, k.Q_DONE])
    write = 0 if kind == k.Q_READ else 1
    size = pages << 12
    service = 0
    if m.dev[d, k.D_RBPS + write]:
        service = size * 1_000_000_000 // m.dev[d, k.D_RBPS + write]
    if m.dev[d, k.D_RIOPS + write]:
        service = max(service, 1_000_000_000 // m.dev[d, k.D_RIOPS + write])
    free_at = max(now - m.dev[d, k.D_BURST], m.dev[d, k.D_FREE_AT]) + service
    m.dev[d, k.D_FREE_AT] = free_at
    m.dev[d, k.D_BUSY] += service
    done = max(max(now, free_at) + m.dev[d, k.D_RLAT + write], m.dev[d, k.D_LAST_DONE])
    m.dev[d, k.D_LAST_DONE] = done
    tail = m.dev[d, k.D_QTAIL]
    row = d * k.Q_CAP + tail % k.Q_CAP
    m.q[row, k.Q_DONE] = done
    m.q[row, k.Q_PAGE] = page
    m.q[row, k.Q_N] = pages
    m.q[row, k.Q_KIND] = kind
    m.dev[d, k.D_QTAIL] = tail + 1
    if write:
        m.dev[d, k.D_WQ] += 1
    m.dev[d, k.D_RBYTES + write] += size
    m.dev[d, k.D_RIOS + write] += 1
    m.cg[c, k.IO + 4 * d + write] += size
    m.cg[c, k.IO + 4 * d + 2 + write] += 1


@njit
def _release(m: Mem, until: int) -> None:
    """Send the held requests that may pass at or before `until`."""
    while m.g[k.HELD] and m.held[0, k.H_TIME] <= until:
        time = m.held[0, k.H_TIME]
        d = m.held[0, k.H_DEV]
        c = m.held[0, k.H_CG]
        page = m.held[0, k.H_PAGE]
        pages = m.held[0, k.H_N]
        kind = m.held[0, k.H_KIND]
        throttle.drop_first(m)
        _dispatch(m, d, c, page, pages, kind, time)


@njit
def complete(m: Mem, until: int) -> None:
    """Let happen on the disks what happens at or before `until`."""
    if m.g[k.HELD]:
        _release(m, until)
    for d in range(m.g[k.NDEV]):
        _end(m, d, until)


@njit
def stall(m: Mem, until: int) -> None:
    """The running task sleeps inside the kernel for want of memory until `until`."""
    if until > m.g[k.NOW]:
        m.g[k.MEMSTALL] += until - m.g[k.NOW]
        m.g[k.SLEPT] += until - m.g[k.NOW]
        m.g[k.NOW] = until
    complete(m, m.g[k.NOW])


@njit
def _next_write(m: Mem, d: int) -> int:
    """When the first write in flight on a disk ends; -1 when there is none."""
    if m.dev[d, k.D_WQ] == 0:
        return -1
    head = m.dev[d, k.D_QHEAD]
    while m.q[d * k.Q_CAP + head % k.Q_CAP, k.Q_KIND] == k.Q_READ:
        head += 1
    return m.q[d * k.Q_CAP + head % k.Q_CAP, k.Q_DONE]


@njit
def wait_write(m: Mem) -> bool:
    """Sleep until the next write ends, or passes io.max; False when there is none."""
    first = -1
    for d in range(m.g[k.NDEV]):
        done = _next_write(m, d)
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

    Swap-out is debited but not held since REQ_SWAP passes blk-throttle (testbed.md: held on 6.1 only).
    """
    now = m.g[k.NOW]
    if m.g[k.HELD]:
        _release(m, now)
    when = throttle.passes_at(m, c, d, 0 if kind == k.Q_READ else 1, pages << 12, now)
    if when > now and (kind != k.Q_SWAPOUT or m.g[k.THROTTLE_SWAP]):
        if m.g[k.HELD] == k.H_CAP:
            _release(m, m.held[0, k.H_TIME])
        throttle.hold(m, when, d, c, page, pages, kind)
    else:
        _dispatch(m, d, c, page, pages, kind, now)


@njit
def still_read(m: Mem, d: int, page: int) -> bool:
    """Whether a locked page's read is still in flight: until `g[DISK_WAIT]`.

    Who waits for a page that was hot before it was evicted stalls for memory too (mm/filemap.c,
    folio_wait_bit_common): `g[WAIT_WS]`.
    """
    when = done_at(m, d, page)
    if when <= m.g[k.NOW]:
        complete(m, m.g[k.NOW])
        return False
    m.g[k.DISK_WAIT] = when
    m.g[k.WAIT_WS] = m.w[page] & k.WS
    return True


@njit
def done_at(m: Mem, d: int, page: int) -> int:
    """When the read that covers `page` will be done, or will pass io.max; now if there is none."""
    head = m.dev[d, k.D_QHEAD]
    while head != m.dev[d, k.D_QTAIL]:
        row = d * k.Q_CAP + head % k.Q_CAP
        first = m.q[row, k.Q_PAGE]
        if m.q[row, k.Q_KIND] == k.Q_READ and first <= page < first + m.q[row, k.Q_N]:
            return m.q[row, k.Q_DONE]
        head += 1
    if m.g[k.HELD]:
        return max(m.g[k.NOW], throttle.held_until(m, page, page + 1, 0))
    return m.g[k.NOW]


@njit
def written_at(m: Mem, d: int, first: int, end: int) -> int:
    """When the last write of a page of `first..end` will be done, or one will pass io.max; now if none is."""
    if m.g[k.HELD]:
        when = throttle.held_until(m, first, end, 1)
        if when >= 0:
            return max(m.g[k.NOW] + 1, when)
    last = m.g[k.NOW]
    for i in range(m.dev[d, k.D_QHEAD], m.dev[d, k.D_QTAIL]):
        row = d * k.Q_CAP + i % k.Q_CAP
        page = m.q[row, k.Q_PAGE]
        if m.q[row, k.Q_KIND] != k.Q_READ and page < end and page + m.q[row, k.Q_N] > first:
            last = m.q[row, k.Q_DONE]
    return last
