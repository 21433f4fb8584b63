"""Disks: what waits for them, what they serve, and how requests merge.

A disk has two budgets that run side by side, bytes and requests per second, shared by reads and writes as
QEMU's `throttling.*-total` and cloud disks share them. Reads wait in one queue and writes in another; where
both wait, they are served in turns. So it is in the guests: blk-mq without a scheduler (`none`, as two
hardware queues get) hands everything on, and QEMU keeps a queue each way and lets both go as the budget
refills (block/throttle-groups.c, `throttle_group_co_io_limits_intercept`). A request that is served takes
its part of the budgets, and is done when they have it and its latency is over. After a pause `D_BURST`
is there at once; a disk that has it answers what has passed: QEMU lets a request go when those before it
have left the bucket that full, and only then counts it (util/throttle.c `throttle_compute_wait`). Of 4 MiB
at 100 MiB/s that is 40 ms sooner. Guests wrote 64 MiB so in 554 to 587 ms (k10), simulated in 626 before.

Swap goes page by page, one bio each, and `io.stat` and `io.max` count those; what one task sends at one
moment (a plug) becomes one request as far as its slots are neighbours and of one cgroup
(`blk_attempt_plug_merge`), up to 254 pages, the segments virtio-blk takes. In guests 60 to 110 pages were
swapped out in one request on 6.1 and 6.12, 20 on 7.2, and 7.5 of a read-ahead's 8 pages were read in one.
"""

from __future__ import annotations

from memqos.sim.kernels import late, slots, written
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.rings import READS, SERVED, WRITES, bytes_ns, latency, request_ns, row_of

MOST = 254
"""Pages of one merged request: seg_max of QEMU's virtio-blk (its queue of 256 less 2)."""
WINDOW = 100_000_000
_EVER = 1 << 62


@njit
def end(m: Mem, d: int, until: int) -> None:
    """Finish every request on one disk that is served and done at or before `until`."""
    while m.dev[d, k.D_HEAD + SERVED] != m.dev[d, k.D_TAIL + SERVED]:
        row = row_of(d, SERVED, m.dev[d, k.D_HEAD + SERVED])
        if m.q[row, k.Q_TIME] > until:
            return
        m.dev[d, k.D_HEAD + SERVED] += 1
        kind = m.q[row, k.Q_KIND]
        pages = m.q[row, k.Q_N]
        back = m.q[row, k.Q_BACK]
        if kind >= k.Q_WRITE:
            m.dev[d, k.D_WQ] -= 1
            m.dev[d, k.D_WPAGES] -= pages
        if back < 0:
            continue
        for i in range(m.q[row, k.Q_FIRST] - back, m.q[row, k.Q_FIRST] + pages):
            page = i
            if kind & k.Q_SWAP:
                if not m.sw[i] & k.SW_USED:
                    continue
                page = m.sw[i] & k.POS
            if kind >= k.Q_WRITE:
                written.end_writeback(m, page)
            else:
                m.w[page] &= ~k.LOCKED


@njit
def _pick(m: Mem, d: int, r: int, w: int, free: int, turn: int) -> int:
    """The queue whose head (reads `r`, writes `w`) is next when the disk is free; -1 when both are empty."""
    reads = r != m.dev[d, k.D_TAIL + READS]
    writes = w != m.dev[d, k.D_TAIL + WRITES]
    if not reads:
        return WRITES if writes else -1
    if not writes:
        return READS
    read = m.q[row_of(d, READS, r), k.Q_TIME]
    written = m.q[row_of(d, WRITES, w), k.Q_TIME]
    when = max(free, min(read, written))
    if read <= when and written <= when:
        return turn
    return READS if read <= when else WRITES


@njit
def serve(m: Mem, d: int, until: int) -> None:
    """Let the disk begin what it can begin at or before `until`."""
    while True:
        if m.dev[d, k.D_LATE] and late.serve(m, d, until):
            continue
        free = max(m.dev[d, k.D_FREE_AT], m.dev[d, k.D_FREE_IO])
        ring = _pick(m, d, m.dev[d, k.D_HEAD + READS], m.dev[d, k.D_HEAD + WRITES], free, m.dev[d, k.D_TURN])
        if ring < 0:
            return
        row = row_of(d, ring, m.dev[d, k.D_HEAD + ring])
        start = max(free, m.q[row, k.Q_TIME])
        if start > until:
            return
        size_ns = bytes_ns(m, d, ring, m.q[row, k.Q_N])
        one_ns = request_ns(m, d, ring)
        earliest = start - m.dev[d, k.D_BURST]
        m.dev[d, k.D_FREE_AT] = max(earliest, m.dev[d, k.D_FREE_AT]) + size_ns
        m.dev[d, k.D_FREE_IO] = max(earliest, m.dev[d, k.D_FREE_IO]) + one_ns
        m.dev[d, k.D_AWAIT] -= size_ns
        m.dev[d, k.D_AWAIT_IO] -= one_ns
        after = max(m.dev[d, k.D_FREE_AT], m.dev[d, k.D_FREE_IO])
        m.dev[d, k.D_BUSY] += max(0, after - max(free, earliest))
        served = start if m.dev[d, k.D_BURST] else max(start, after)
        done = max(served + latency(m, d, ring, row), m.dev[d, k.D_LAST_DONE])
        m.dev[d, k.D_LAST_DONE] = done
        m.dev[d, k.D_BEGUN] = start
        m.dev[d, k.D_HEAD + ring] += 1
        m.dev[d, k.D_TURN] = 1 - ring
        if m.dev[d, k.D_TAIL + SERVED] - m.dev[d, k.D_HEAD + SERVED] == k.Q_CAP:
            end(m, d, m.q[row_of(d, SERVED, m.dev[d, k.D_HEAD + SERVED]), k.Q_TIME])
        last = row_of(d, SERVED, m.dev[d, k.D_TAIL + SERVED])
        m.dev[d, k.D_TAIL + SERVED] += 1
        for column in range(k.Q_FIRST, k.Q_CAME):
            m.q[last, column] = m.q[row, column]
        m.q[last, k.Q_CAME] = m.q[row, k.Q_TIME]
        m.q[last, k.Q_TIME] = done
        m.q[last, k.Q_BEGAN] = start


@njit
def forecast(m: Mem, d: int, ring: int, number: int) -> int:
    """When request `number` of a queue will be done if no other comes."""
    r = m.dev[d, k.D_HEAD + READS]
    w = m.dev[d, k.D_HEAD + WRITES]
    size_at = m.dev[d, k.D_FREE_AT]
    one_at = m.dev[d, k.D_FREE_IO]
    turn = m.dev[d, k.D_TURN]
    done = m.dev[d, k.D_LAST_DONE]
    while True:
        free = max(size_at, one_at)
        which = _pick(m, d, r, w, free, turn)
        row = row_of(d, which, r if which == READS else w)
        start = max(free, m.q[row, k.Q_TIME])
        earliest = start - m.dev[d, k.D_BURST]
        size_at = max(earliest, size_at) + bytes_ns(m, d, which, m.q[row, k.Q_N])
        one_at = max(earliest, one_at) + request_ns(m, d, which)
        served = start if m.dev[d, k.D_BURST] else max(start, max(size_at, one_at))
        done = max(done, served + latency(m, d, which, row))
        if which == ring and number == (r if which == READS else w):
            return done
        if which == READS:
            r += 1
        else:
            w += 1
        turn = 1 - which


@njit
def busy_until(m: Mem, d: int, now: int) -> int:
    """When all that was sent to a disk so far will have had its part of it."""
    earliest = now - m.dev[d, k.D_BURST]
    size_at = max(earliest, m.dev[d, k.D_FREE_AT]) + m.dev[d, k.D_AWAIT]
    return max(size_at, max(earliest, m.dev[d, k.D_FREE_IO]) + m.dev[d, k.D_AWAIT_IO])


@njit
def joins(m: Mem, d: int, c: int, slot: int, kind: int, now: int) -> int:
    """The row of the request before it that a page of swap becomes part of; -1 if it must be alone."""
    ring = kind >> 1
    if m.dev[d, k.D_TAIL + ring] == m.dev[d, k.D_HEAD + ring]:
        return -1
    row = row_of(d, ring, m.dev[d, k.D_TAIL + ring] - 1)
    if m.q[row, k.Q_TIME] != now or m.q[row, k.Q_KIND] != kind or m.q[row, k.Q_CG] != c:
        return -1
    pages = m.q[row, k.Q_N]
    return row if pages < m.dev[d, k.D_MOST] and slots.follows(slot, m.q[row, k.Q_FIRST], pages) else -1


@njit
def depth(m: Mem, d: int, now: int) -> int:
    """How many writes a disk takes at a time (block/blk-wbt.c).

    16 at first; doubled after each tenth of a second of writing in which no read took 75 ms (the target in
    the guests, whose disks were found rotating; here reads do not wait so long), up to three quarters of a
    queue of 256; 16 again after half a second without writes. No more than its scheduler takes.
    """
    most = m.dev[d, k.D_DEPTH] if m.dev[d, k.D_DEPTH] else _EVER
    if now > m.dev[d, k.D_WROTE] + 5 * WINDOW:
        return min(16, most)
    return min(192, most, 1 + (15 << min(4, max(0, now - m.dev[d, k.D_WRITING]) // WINDOW)))


@njit
def _row_for(m: Mem, d: int, ring: int, now: int) -> int:
    """The row of a new request: a read goes before those of a task whose time is ahead (`kernels.late`)."""
    i = m.dev[d, k.D_TAIL + ring]
    m.dev[d, k.D_TAIL + ring] = i + 1
    if ring == READS:
        while i > m.dev[d, k.D_HEAD + ring] and m.q[row_of(d, ring, i - 1), k.Q_TIME] > now:
            for column in range(k.Q_COLS):
                m.q[row_of(d, ring, i), column] = m.q[row_of(d, ring, i - 1), column]
            i -= 1
    return row_of(d, ring, i)


@njit
def send(m: Mem, d: int, c: int, page: int, pages: int, kind: int, now: int) -> None:
    """A request of cgroup `c` reaches its disk at `now`."""
    serve(m, d, now - 1)
    ring = kind >> 1
    first = page
    if kind & k.Q_SWAP:
        first = m.aux[page] - 1
        if first < 0:  # freed while io.max held it back
            return
    size = pages << 12
    m.dev[d, k.D_RBYTES + ring] += size
    m.cg[c, k.IO + 4 * d + ring] += size
    m.cg[c, k.IO + 4 * d + 2 + ring] += 1
    if ring:
        m.dev[d, k.D_WPAGES] += pages
    row = joins(m, d, c, first, kind, now) if kind & k.Q_SWAP else -1
    if row >= 0:
        pages = m.q[row, k.Q_N]
        m.q[row, k.Q_N] = pages + 1
        m.dev[d, k.D_AWAIT] += bytes_ns(m, d, ring, pages + 1) - bytes_ns(m, d, ring, pages)
        return
    m.dev[d, k.D_RIOS + ring] += 1
    m.g[k.WORK_REQUESTS] += 1
    if ring == READS:
        if now < m.dev[d, k.D_BEGUN]:
            m.dev[d, k.D_LATE] = 1
    else:
        m.dev[d, k.D_WQ] += 1
        if now > m.dev[d, k.D_WROTE] + 5 * WINDOW:
            m.dev[d, k.D_WRITING] = now
        m.dev[d, k.D_WROTE] = max(now, m.dev[d, k.D_WROTE])
    if m.dev[d, k.D_TAIL + ring] - m.dev[d, k.D_HEAD + ring] == k.Q_CAP:
        serve(m, d, max(now, m.dev[d, k.D_FREE_AT], m.dev[d, k.D_FREE_IO]))
    row = _row_for(m, d, ring, now)
    m.q[row, k.Q_TIME] = now
    m.q[row, k.Q_FIRST] = first
    m.q[row, k.Q_N] = pages
    m.q[row, k.Q_KIND] = kind
    m.q[row, k.Q_CG] = c
    m.q[row, k.Q_BACK] = m.g[k.BACK]
    m.dev[d, k.D_AWAIT] += bytes_ns(m, d, ring, pages)
    m.dev[d, k.D_AWAIT_IO] += request_ns(m, d, ring)
