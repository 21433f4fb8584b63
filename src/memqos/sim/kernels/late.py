"""Reads that come to a disk behind the time it has been served to.

A task that sleeps inside the kernel for want of memory, until its writes to swap end, does so within one
turn: its time, and with it the disks' (`io.stall`), is then ahead of the other tasks' by up to seconds. What
another one reads meanwhile came before most of what the disk has begun. It is served where it would have
been, after the request that was being served as it came and after the reads that came before it. What was
served next begins no later for it, but the disk has that much less time from then on, unless it was idle.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.rings import READS, SERVED, bytes_ns, latency, request_ns, row_of

FAR = 512
"""Requests to look back over: writes were begun in order, but late reads stand among them as they came."""
_NEVER = 1 << 62


@njit
def _gap(m: Mem, d: int, came: int) -> tuple[int, int]:
    """When it was done with what it served then and with the reads before; when what came after began."""
    free = came
    after = _NEVER
    last = m.dev[d, k.D_TAIL + SERVED]
    for i in range(last - 1, max(0, last - FAR) - 1, -1):
        row = row_of(d, SERVED, i)
        write = m.q[row, k.Q_KIND] >> 1
        if m.q[row, k.Q_BEGAN] <= came or (not write and m.q[row, k.Q_CAME] <= came):
            free = max(free, m.q[row, k.Q_TIME] - m.dev[d, k.D_RLAT + write])
            if write:
                break
        else:
            after = min(after, m.q[row, k.Q_BEGAN])
    return free, after


@njit
def _insert(m: Mem, d: int, done: int) -> int:
    """The row of a new request among those that are served, by when they are done."""
    i = m.dev[d, k.D_TAIL + SERVED]
    m.dev[d, k.D_TAIL + SERVED] = i + 1
    while i > m.dev[d, k.D_HEAD + SERVED] and m.q[row_of(d, SERVED, i - 1), k.Q_TIME] > done:
        for column in range(k.Q_COLS):
            m.q[row_of(d, SERVED, i), column] = m.q[row_of(d, SERVED, i - 1), column]
        i -= 1
    return row_of(d, SERVED, i)


@njit
def serve(m: Mem, d: int, until: int) -> bool:
    """Serve the first read that waits if it came before the disk began what it has begun last, by `until`."""
    row = row_of(d, READS, m.dev[d, k.D_HEAD + READS])
    came = m.q[row, k.Q_TIME]
    if m.dev[d, k.D_HEAD + READS] == m.dev[d, k.D_TAIL + READS] or came >= m.dev[d, k.D_BEGUN]:
        m.dev[d, k.D_LATE] = 0
        return False
    if came > until:
        return False
    size_ns = bytes_ns(m, d, READS, m.q[row, k.Q_N])
    one_ns = request_ns(m, d, READS)
    m.dev[d, k.D_HEAD + READS] += 1
    began, after = _gap(m, d, came)
    spared = max(m.dev[d, k.D_FREE_AT], m.dev[d, k.D_FREE_IO]) - m.dev[d, k.D_BURST] <= came
    took = 0 if spared else max(size_ns, one_ns)
    idle = max(0, after - began)
    m.dev[d, k.D_FREE_AT] += max(0, size_ns - idle)
    m.dev[d, k.D_FREE_IO] += max(0, one_ns - idle)
    m.dev[d, k.D_AWAIT] -= size_ns
    m.dev[d, k.D_AWAIT_IO] -= one_ns
    m.dev[d, k.D_BUSY] += max(size_ns, one_ns)
    done = began + took + latency(m, d, READS, row)
    m.dev[d, k.D_LAST_DONE] = max(m.dev[d, k.D_LAST_DONE], done)  # they end in order
    to = _insert(m, d, done)
    for column in range(k.Q_FIRST, k.Q_CAME):
        m.q[to, column] = m.q[row, column]
    m.q[to, k.Q_CAME] = came
    m.q[to, k.Q_TIME] = done
    m.q[to, k.Q_BEGAN] = began
    return True
