"""The queues of a disk, `m.q`: reads and writes that wait, requests that are served; what one takes of it."""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

READS, WRITES, SERVED = range(3)


@njit
def row_of(d: int, ring: int, i: int) -> int:
    """The row of `m.q` of request number `i` of a disk's queue."""
    return (3 * d + ring) * k.Q_CAP + i % k.Q_CAP


@njit
def bytes_ns(m: Mem, d: int, write: int, pages: int) -> int:
    """What so many pages take of a disk's bytes a second."""
    bps = m.dev[d, k.D_RBPS + write]
    return (pages << 12) * 1_000_000_000 // bps if bps else 0


@njit
def request_ns(m: Mem, d: int, write: int) -> int:
    """What a request takes of a disk's requests a second."""
    iops = m.dev[d, k.D_RIOPS + write]
    return 1_000_000_000 // iops if iops else 0


@njit
def latency(m: Mem, d: int, write: int, row: int) -> int:
    """How long a request takes beside the disk's rates: by chance, but the same whenever it is asked for."""
    least = m.dev[d, k.D_RLAT + write]
    spread = m.dev[d, k.D_SPREAD]
    if spread == 0:
        return least
    drawn = m.q[row, k.Q_TIME] // 1000 * 40503 + m.q[row, k.Q_FIRST] * 2654435761 + m.dev[d, k.D_SALT]
    return least + drawn % 1000003 % spread
