"""Requests that a task gathers before it sends them: the plug around reclaim, or a read-ahead from swap.

Reclaim opens a plug (`blk_start_plug`), and so do `swap_cluster_readahead` and `swap_vma_readahead`. A page
that is read ahead is charged, so reclaim runs inside: its own plug is then none, what it sends to swap stays
in the outer one, nothing is written, nothing can be freed, and it goes on to ever lower priorities. That ends
when the task sleeps, when the plug holds 32 requests, or when one is added and the request looked at has
128 KiB already (block/blk-mq.c, `blk_add_rq_to_plug`): the newest where requests are put in front of the list
(6.1), so that little more than one request gathers. Where they go to its end (since 6.13, and stable 6.12) it
is the oldest, the read-ahead's own read of a few pages, and 31 requests of up to 254 pages gather. In traced
guests of 6.12 such a reclaim sent 5,422 pages to swap to free 32, and of 7.2 1,000 to 5,700.

Requests merge in a plug as far as one slot follows on another, with the newest only
(`blk_attempt_plug_merge`).
"""

from __future__ import annotations

from memqos.sim.kernels import disk, slots
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

FIRST, PAGES, KIND, CGROUP = range(4)
FLUSH_PAGES = 32
"""BLK_PLUG_FLUSH_SIZE, 128 KiB."""


@njit
def _row(i: int) -> int:
    return k.PLUG_ROWS + 4 * i


@njit
def start(m: Mem) -> bool:
    """blk_start_plug; False when there is one, to which all this belongs then."""
    if m.g[k.PLUG]:
        return False
    m.g[k.PLUG] = 1
    return True


@njit
def finish(m: Mem, mine: bool) -> None:
    """blk_finish_plug, by whom `start` has told that it is his."""
    if mine:
        flush(m)
        m.g[k.PLUG] = 0


@njit
def flush(m: Mem) -> None:
    """blk_mq_flush_plug_list: all that was gathered goes to the disk."""
    count = m.g[k.PLUGGED]
    m.g[k.PLUGGED] = 0
    for i in range(count):
        row = _row(i)
        for slot in range(m.g[row + FIRST], m.g[row + FIRST] + m.g[row + PAGES]):
            if m.sw[slot] & k.SW_USED:  # else its owner has ended meanwhile
                page = m.sw[slot] & k.POS
                disk.send(m, m.g[k.SWAP_DEV], m.g[row + CGROUP], page, 1, m.g[row + KIND], m.g[k.NOW])


@njit
def writes(m: Mem) -> int:
    """How many of the requests gathered are writes."""
    count = 0
    for i in range(m.g[k.PLUGGED]):
        count += m.g[_row(i) + KIND] == k.Q_SWAPOUT
    return count


@njit
def joins(m: Mem, c: int, slot: int, kind: int) -> int:
    """The row of the request gathered last if a page of swap becomes part of it; -1 if it must be alone."""
    if m.g[k.PLUGGED] == 0:
        return -1
    row = _row(m.g[k.PLUGGED] - 1)
    if (
        m.g[row + KIND] != kind
        or m.g[row + CGROUP] != c
        or m.g[row + PAGES] >= m.dev[m.g[k.SWAP_DEV], k.D_MOST]
    ):
        return -1
    return row if slots.follows(slot, m.g[row + FIRST], m.g[row + PAGES]) else -1


@njit
def add(m: Mem, c: int, slot: int, kind: int) -> None:
    """Gather one page's read from swap or write to it."""
    row = joins(m, c, slot, kind)
    if row >= 0:
        m.g[row + PAGES] += 1
        return
    count = m.g[k.PLUGGED]
    if count:
        seen = _row(0) if m.g[k.PLUG_FIFO] else _row(count - 1)
        if count == k.PLUG_MOST or m.g[seen + PAGES] >= FLUSH_PAGES:
            flush(m)
    row = _row(m.g[k.PLUGGED])
    m.g[k.PLUGGED] += 1
    m.g[row + FIRST] = slot
    m.g[row + PAGES] = 1
    m.g[row + KIND] = kind
    m.g[row + CGROUP] = c
