"""Whose writeback an inode belongs to: the first cgroup that dirties it, until another writes most of it.

fs/fs-writeback.c (`inode_attach_wb`, `wbc_detach_inode`), mm/memcontrol.c (`mem_cgroup_track_foreign_dirty`).
Sixteen slots of an eighth of a second of writing each remember who wrote most; more than eight of them
foreign, and the inode moves. A round that is short beside those before it does not count. Until then the
writes are blamed on its old owner, and are due whenever who dirties must pause (`mem_cgroup_flush_foreign`).
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

SPEED = 25600
"""Pages a second: the 100 MB/s that the kernel takes a disk for at first (INIT_BW)."""
SECOND = 1 << 13  # WB_FRN_TIME_SHIFT
SLOT = SECOND // 8  # WB_FRN_HIST_UNIT
MOST_SLOTS = 5
THRESHOLD = 8


@njit
def attach(m: Mem, o: int, c: int) -> None:
    """A page of cgroup `c` is dirtied."""
    mine = m.obj[o, k.O_WBCG]
    if mine < 0:
        mine = c
    while not m.cg[mine, k.ONLINE]:  # cleanup_offline_cgwbs
        mine = m.cg[mine, k.PARENT]
    m.obj[o, k.O_WBCG] = mine
    if c != mine:
        m.obj[o, k.O_FOREIGN] = c


@njit
def judge(m: Mem, o: int, pages: int, foreign: int) -> None:
    """A round of writeback has ended: `foreign` of its pages were another cgroup's."""
    if pages == 0:
        return
    time = (max(foreign, pages - foreign) * SECOND + SPEED - 1) // SPEED
    average = m.obj[o, k.O_FRN_AVG]
    average = average + (time >> 3) - (average >> 3) if average else time
    m.obj[o, k.O_FRN_AVG] = min(average, 0xFFFF)
    if time < average // 8:  # WB_FRN_TIME_CUT_DIV
        return
    slots = min(MOST_SLOTS, (time + SLOT - 1) // SLOT)
    history = m.obj[o, k.O_HISTORY] << slots & 0xFFFF
    if 2 * foreign > pages:
        history |= (1 << slots) - 1
    count = 0
    for bit in range(16):
        count += history >> bit & 1
    if count > THRESHOLD:
        m.obj[o, k.O_WBCG] = m.obj[o, k.O_FOREIGN]
        m.obj[o, k.O_FOREIGN] = 0
        history = 0
    m.obj[o, k.O_HISTORY] = history
