"""Orders to `memory.reclaim` on virtual time, beside whatever else runs.

As a worker process of the agent would give it, an order comes in pieces. A piece takes no time by itself;
what makes an order slow is the swap device, so a piece that may swap waits until no more than two pieces'
writes are under way, and one follows another after at least `PIECE_NS`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from memqos.model.plan import Outcome, Reclaim, Status, Write
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, SECOND, Machine

PIECE = 64 * PAGE
PIECE_NS = SECOND // 1000
"""256 KiB a millisecond: what a kernel takes back of clean page cache beside a busy node."""

_NEVER = 1 << 62


@dataclass(slots=True)
class _Order:
    write: Write
    reclaim: Reclaim
    inode: int
    due: int
    taken: int = 0


class Orders:
    """The orders of one machine. `work` carries them on: call it before time passes."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._running: dict[str, _Order] = {}
        self._ended: list[Outcome] = []

    def begin(self, write: Write, inode: int) -> None:
        """Take an order that was found in order."""
        assert isinstance(write.value, Reclaim)
        self._running[write.cgroup] = _Order(write, write.value, inode, self._machine.now)

    def cancel(self, cgroup: str) -> None:
        """End an order."""
        if (order := self._running.get(cgroup)) is not None:
            self._end(order, "stopped")

    def underway(self) -> frozenset[str]:
        """Return where an order runs."""
        return frozenset(self._running)

    def ended(self) -> tuple[Outcome, ...]:
        """Return what ended since the last call."""
        found, self._ended = tuple(self._ended), []
        return found

    def work(self) -> int:
        """Give the pieces that are due; return until when (virtual ns) nothing more is."""
        for order in list(self._running.values()):
            if order.due <= self._machine.now:
                self._piece(order)
        return min((order.due for order in self._running.values()), default=_NEVER)

    def _piece(self, order: _Order) -> None:
        machine, cgroup = self._machine, order.write.cgroup
        if machine.inodes.get(cgroup) != order.inode:
            self._end(order, "gone", "the cgroup is gone")
            return
        queued = machine.m.dev[machine.m.g[k.SWAP_DEV], k.D_WPAGES] * PAGE
        if queued <= 2 * PIECE or order.reclaim.swappiness == 0:
            size = min(PIECE, order.reclaim.size - order.taken)
            swappiness = -1 if order.reclaim.swappiness is None else order.reclaim.swappiness
            if not machine.reclaim(cgroup, size, swappiness):
                self._end(order, "partial", "fewer bytes were reclaimed than asked for (EAGAIN)")
                return
            order.taken += size
        if order.taken >= order.reclaim.size:
            self._end(order, "written")
        order.due = machine.now + PIECE_NS

    def _end(self, order: _Order, status: Status, error: str = "") -> None:
        del self._running[order.write.cgroup]
        after = replace(order.reclaim, size=order.taken)
        self._ended.append(Outcome(order.write, status, None, after, error))
