"""io.max: when a cgroup's request may go to its disk, and the requests that wait for that.

block/blk-throttle.c. Every cgroup on the way up has a budget of bytes and one of requests per
second for reads and for writes (`slices`). A request passes when what was sent, itself included, is within
the budget of the running slice; else it is held, first come first served, until it would be. What was held
goes on when a timer says so (throtl_schedule_pending_timer), all that may pass then in one plug, so that the
disk can merge it.
"""

from __future__ import annotations

from memqos.sim.kernels import counters, psi, slices
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem


@njit
def passes_at(m: Mem, c: int, d: int, write: int, size: int, now: int, may_wait: bool) -> int:
    """Debit one request of `size` bytes to `c` and its ancestors; return when all let it pass.

    Without `may_wait` that is now.
    """
    came = now // psi.JIFFY
    passes = came
    while c > 0:
        passes = slices.take(m, c, d, write, size, passes, may_wait)
        c = m.cg[c, k.PARENT]
    return now if passes == came else passes * psi.JIFFY


@njit
def write_rate(m: Mem, c: int, d: int, speed: int) -> int:
    """Bytes a second that `c` may write to a disk of that speed (0: no bound)."""
    while c > 0:
        limit = m.cg[c, k.IOMAX + 4 * d + 1]
        if limit and (speed == 0 or limit < speed):
            speed = limit
        c = m.cg[c, k.PARENT]
    return speed


@njit
def _before(m: Mem, a: int, b: int) -> bool:
    if m.held[a, k.H_TIME] != m.held[b, k.H_TIME]:
        return m.held[a, k.H_TIME] < m.held[b, k.H_TIME]
    return m.held[a, k.H_SEQ] < m.held[b, k.H_SEQ]


@njit
def _swap(m: Mem, a: int, b: int) -> None:
    for column in range(k.H_COLS):
        kept = m.held[a, column]
        m.held[a, column] = m.held[b, column]
        m.held[b, column] = kept


@njit
def hold(m: Mem, time: int, d: int, c: int, page: int, pages: int, kind: int) -> None:
    """Keep a request until `time` (a binary heap by time, then by arrival; there must be room)."""
    i = m.g[k.HELD]
    m.g[k.HELD] = i + 1
    m.g[k.HELD_SEQ] += 1
    m.held[i, k.H_TIME] = time
    m.held[i, k.H_SEQ] = m.g[k.HELD_SEQ]
    m.held[i, k.H_DEV] = d
    m.held[i, k.H_CG] = c
    m.held[i, k.H_PAGE] = page
    m.held[i, k.H_N] = pages
    m.held[i, k.H_KIND] = kind
    m.held[i, k.H_BACK] = m.g[k.BACK]
    while i > 0 and _before(m, i, (i - 1) >> 1):
        _swap(m, i, (i - 1) >> 1)
        i = (i - 1) >> 1


@njit
def drop_first(m: Mem) -> None:
    """Forget the request in row 0, the one that passes next; another one takes its place."""
    last = m.g[k.HELD] - 1
    m.g[k.HELD] = last
    _swap(m, 0, last)
    i = 0
    while 2 * i + 1 < last:
        child = 2 * i + 1
        if child + 1 < last and _before(m, child + 1, child):
            child += 1
        if not _before(m, child, i):
            break
        _swap(m, i, child)
        i = child


@njit
def held_until(m: Mem, first: int, end: int, write: int) -> int:
    """When the first held read (or write) that has a page of `first..end` passes; -1 when none is held."""
    when = -1
    for i in range(m.g[k.HELD]):
        page = m.held[i, k.H_PAGE]
        if (
            page < end
            and page + m.held[i, k.H_N] > first
            and (m.held[i, k.H_KIND] >= k.Q_WRITE) == (write != 0)
        ):
            time = m.held[i, k.H_TIME]
            when = time if when < 0 else min(when, time)
    return when


@njit
def anew(m: Mem, c: int, now: int) -> None:
    """The limits of `c` were written (tg_conf_updated): its budgets and who waits for them start anew."""
    for d in range(k.MAX_DEVICES):
        for write in range(2):
            slices.begin(m, c, slices.row_of(d, write), now // psi.JIFFY)
    count = m.g[k.HELD]
    while m.g[k.HELD]:
        drop_first(m)
    for i in range(count // 2):  # the first to pass stands last now
        _swap(m, i, count - 1 - i)
    for i in range(count):
        time = m.held[i, k.H_TIME]
        owner = m.held[i, k.H_CG]
        d = m.held[i, k.H_DEV]
        pages = m.held[i, k.H_N]
        kind = m.held[i, k.H_KIND]
        if counters.is_below(m, owner, c):
            time = passes_at(m, owner, d, kind >> 1, pages << 12, now, True)
        m.g[k.BACK] = m.held[i, k.H_BACK]
        hold(m, time, d, owner, m.held[i, k.H_PAGE], pages, kind)
    m.g[k.BACK] = 0
    for t in range(m.g[k.NTASK]):
        waits = m.task[t, k.T_STATE] == k.T_IO or m.task[t, k.T_STATE] == k.T_BOTH
        if waits and counters.is_below(m, m.task[t, k.T_CG], c):
            m.task[t, k.T_WAKE] = min(m.task[t, k.T_WAKE], max(now, m.task[t, k.T_READY]))
