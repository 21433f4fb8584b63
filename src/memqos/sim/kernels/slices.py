"""The budgets behind io.max: what one cgroup's limits let pass, slice by slice.

block/blk-throttle.c (`tg_may_dispatch`, `tg_within_bps_limit`, `tg_within_iops_limit`,
`throtl_trim_slice`). Time goes in jiffies. A limit allows what it allows of the time since its slices began,
rounded up to whole slices, so a slice's whole part is there as the slice begins: what had to wait goes
together then, and merges as far as its places are neighbours. With budgets that fill evenly every page of
swap would pass in a jiffy of its own, a request each, and a disk of 400 requests a second would be full at
1.6 MiB. What is left of a slice is lost with it, and all is forgotten when nothing was asked for until after
the last one (`throtl_start_new_slice`).

What may not be held is debited nevertheless (`tg_dispatch_in_debt`): the next one waits until it is paid for.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import psi
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

HZ = 1_000_000_000 // psi.JIFFY
LENGTH = HZ // 10
"""Jiffies of a slice: DFL_THROTL_SLICE_HD, as virtio-blk says it rotates (20 ms on a 6.1 SSD)."""

START, END, BYTES, REQUESTS, LAST, COLUMNS = range(6)  # the last: when what was asked for last passes


@inlined
def row_of(d: int, write: int) -> int:
    """Where a cgroup's budgets of one disk and direction begin in its row of `m.cg`."""
    return k.IOSLICE + COLUMNS * (2 * d + write)


@inlined
def _up(jiffies: int) -> int:
    return -(-jiffies // LENGTH) * LENGTH


@njit
def begin(m: Mem, c: int, row: int, now: int) -> None:
    """throtl_start_new_slice."""
    m.cg[c, row + START] = now
    m.cg[c, row + END] = _up(now + LENGTH)
    m.cg[c, row + BYTES] = 0
    m.cg[c, row + REQUESTS] = 0
    m.cg[c, row + LAST] = now


@inlined
def _wait(m: Mem, c: int, row: int, bps: int, iops: int, size: int, now: int) -> int:
    """Jiffies that a request must wait as things are now; 0: it passes."""
    elapsed = now - m.cg[c, row + START]
    wait = 0
    if bps:
        whole = max(LENGTH, _up(elapsed))
        extra = m.cg[c, row + BYTES] + size - bps * whole // HZ
        if extra > 0:
            wait = max(1, extra * HZ // bps) + whole - elapsed
    if iops:
        whole = _up(elapsed + 1)
        if m.cg[c, row + REQUESTS] + 1 > iops * whole // HZ:
            wait = max(wait, whole - elapsed)
    return wait


@njit
def _trim(m: Mem, c: int, row: int, bps: int, iops: int, now: int) -> None:
    """throtl_trim_slice: slices that are over, and their parts, count no longer."""
    m.cg[c, row + END] = _up(now + LENGTH)
    over = (now - m.cg[c, row + START]) // LENGTH
    if over == 0 or (iops and iops * over * LENGTH < HZ):
        return
    m.cg[c, row + START] += over * LENGTH
    m.cg[c, row + BYTES] = max(0, m.cg[c, row + BYTES] - bps * over * LENGTH // HZ)
    m.cg[c, row + REQUESTS] = max(0, m.cg[c, row + REQUESTS] - iops * over * LENGTH // HZ)


@njit
def take(m: Mem, c: int, d: int, write: int, size: int, now: int, may_wait: bool) -> int:
    """Debit a request of `size` bytes to `c`; the jiffy in which it passes, after all that came before."""
    bps = m.cg[c, k.IOMAX + 4 * d + write]
    iops = m.cg[c, k.IOMAX + 4 * d + write + 2]
    if bps == 0 and iops == 0:
        return now
    row = row_of(d, write)
    if m.cg[c, row + LAST] <= now and m.cg[c, row + END] < now:
        begin(m, c, row, now)
    if may_wait:
        now = max(now, m.cg[c, row + LAST])
    wait = _wait(m, c, row, bps, iops, size, now)
    m.cg[c, row + END] = max(m.cg[c, row + END], _up(now + max(LENGTH, wait)))
    while may_wait and wait:
        now += wait
        wait = _wait(m, c, row, bps, iops, size, now)
    m.cg[c, row + BYTES] += size
    m.cg[c, row + REQUESTS] += 1
    if may_wait:
        m.cg[c, row + LAST] = now
        _trim(m, c, row, bps, iops, now)
    return now
