"""Whose writeback an inode belongs to: the first cgroup that dirties it, until another writes most of it.

fs/fs-writeback.c (`inode_attach_wb`, `wbc_detach_inode`), mm/memcontrol.c (`mem_cgroup_track_foreign_dirty`).
Sixteen slots of an eighth of a second of writing each remember who wrote most; more than eight of them
foreign, and the inode moves. Until then the writes are blamed on its old owner.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

SLOT = (
    3200  # pages: an eighth of a second at the 100 MB/s that the kernel takes a disk for at first (INIT_BW)
)
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
    slots = min(MOST_SLOTS, (pages + SLOT - 1) // SLOT)
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
