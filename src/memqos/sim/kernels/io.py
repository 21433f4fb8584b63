"""Disks: one first-in first-out queue each, and what is in flight.

A request's end is known when it is sent: it starts when the disk is free, takes the longer of
bytes/bandwidth and 1/IOPS, and its latency comes on top without occupying the disk. `complete` makes
finished requests' pages clean or readable. `io.stat` counts at submission, on the cgroup the kernel
would blame (kernel.md 11); `io.max` is a time before which the next request may not start (blk-throttle's
slices smoothed out).
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import lists
from memqos.sim.kernels.jit import inlined, njit
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
        if word & k.DIRTY:
            m.w[page] = word & ~k.RECLAIM
        else:
            _rotate(m, page)


@njit
def complete(m: Mem, until: int) -> None:
    """Finish every request that ends at or before `until`."""
    for d in range(m.g[k.NDEV]):
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
def stall(m: Mem, until: int) -> None:
    """The running task sleeps inside the kernel for want of memory until `until`."""
    if until > m.g[k.NOW]:
        m.g[k.MEMSTALL] += until - m.g[k.NOW]
        m.g[k.SLEPT] += until - m.g[k.NOW]
        m.g[k.NOW] = until
    complete(m, m.g[k.NOW])


@njit
def wait_write(m: Mem) -> bool:
    """Sleep until the next write ends; False when none is in flight."""
    first = -1
    for d in range(m.g[k.NDEV]):
        if m.dev[d, k.D_WQ] > 0:
            head = m.dev[d, k.D_QHEAD]
            while m.q[d * k.Q_CAP + head % k.Q_CAP, k.Q_KIND] == k.Q_READ:
                head += 1
            done = m.q[d * k.Q_CAP + head % k.Q_CAP, k.Q_DONE]
            if first < 0 or done < first:
                first = done
    if first < 0:
        return False
    stall(m, first)
    return True


@inlined
def allowed_at(m: Mem, c: int, d: int, write: int) -> int:
    """When `io.max` of `c` and its ancestors lets the next request start (0: at once)."""
    when = 0
    while c > 0:
        when = max(when, m.cg[c, k.IOTOKEN + 2 * d + write])
        c = m.cg[c, k.PARENT]
    return when


@njit
def _debit(m: Mem, c: int, d: int, write: int, size: int) -> None:
    while c > 0:
        bps = m.cg[c, k.IOMAX + 4 * d + write]
        iops = m.cg[c, k.IOMAX + 4 * d + 2 + write]
        if bps or iops:
            cost = 0
            if bps:
                cost = size * 1_000_000_000 // bps
            if iops:
                cost = max(cost, 1_000_000_000 // iops)
            slot = k.IOTOKEN + 2 * d + write
            m.cg[c, slot] = max(m.cg[c, slot], m.g[k.NOW]) + cost
        c = m.cg[c, k.PARENT]


@njit
def submit(m: Mem, d: int, c: int, page: int, pages: int, kind: int) -> int:
    """Send one request for `pages` pages, blamed on `c`; return when it will be done."""
    if m.dev[d, k.D_QTAIL] - m.dev[d, k.D_QHEAD] >= k.Q_CAP:
        complete(m, m.q[d * k.Q_CAP + m.dev[d, k.D_QHEAD] % k.Q_CAP, k.Q_DONE])
    write = 0 if kind == k.Q_READ else 1
    size = pages << 12
    service = 0
    if m.dev[d, k.D_RBPS + write]:
        service = size * 1_000_000_000 // m.dev[d, k.D_RBPS + write]
    if m.dev[d, k.D_RIOPS + write]:
        service = max(service, 1_000_000_000 // m.dev[d, k.D_RIOPS + write])
    free_at = max(m.g[k.NOW], m.dev[d, k.D_FREE_AT]) + service
    m.dev[d, k.D_FREE_AT] = free_at
    m.dev[d, k.D_BUSY] += service
    done = max(free_at + m.dev[d, k.D_RLAT + write], m.dev[d, k.D_LAST_DONE])
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
    _debit(m, c, d, write, size)
    return done


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
    """When the read in flight that covers `page` will be done; now if there is none."""
    head = m.dev[d, k.D_QHEAD]
    while head != m.dev[d, k.D_QTAIL]:
        row = d * k.Q_CAP + head % k.Q_CAP
        first = m.q[row, k.Q_PAGE]
        if m.q[row, k.Q_KIND] == k.Q_READ and first <= page < first + m.q[row, k.Q_N]:
            return m.q[row, k.Q_DONE]
        head += 1
    return m.g[k.NOW]
