"""Ease: slow a program down before it outruns the disk that its own memory limit has to wait for.

At `memory.max` the kernel reclaims for the program that asks, and kills when a few rounds found
nothing to free. It does not wait for writes that are under way: a program that dirties or allocates
faster than its pages are written, to a file or to swap, is killed with swap to spare. `memory.high`
somewhat below the limit makes it wait instead, longer the further it is over (64 s for each 64 pages
allocated at twice the limit; kernel.md 1.3), and so gives the disk the time.

So each container with a limit that may swap, or has much to write back, is held `margin_percent` below
its limit. It costs that much of its memory; below it nothing changes. It is never held where reclaim
could not bring it down to: what cannot be swapped (any more) stays the user's affair, and there the
limit kills as it should, rather than memory.high stopping the program for good.

In the simulator a `dd` of four times its limit of 48 MiB to a disk of 12 MiB/s ran into memory.max 902
(6.1), 578 (6.12) and 576 times (7.2), and never with this, in the same 16 s. On a real 6.12 one of 256 MiB
under 64 MiB at 8 MiB/s took 46.4 s without and 36.8 s with it, and a program that grew to as much through
swap as slow 42.3 s and 39.5 s; nothing was killed either way there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from memqos.model.plan import Plan, Stand, Write
from memqos.model.snapshot import Cgroup
from memqos.policy.rung import Situation
from memqos.policy.setting import setting
from memqos.policy.signals import stat_of, unreclaimable
from memqos.units import MIB, UNLIMITED, format_bytes, page_floor

_LEAST_LIMIT: Final = 16 * MIB
"""Below that the kernel's own batches (64 pages per CPU, 32 reclaimed at a time) decide anyway."""
_MUCH_TO_WRITE: Final = 8
_NEAR: Final = 0.9
_STEP: Final = 4 * MIB
"""A write of memory.high below what is charged reclaims that before it returns, and the loop waits."""


@dataclass(frozen=True, slots=True)
class EaseSettings:
    """Slowing a program down before its own limit kills it."""

    enabled: bool = setting(
        True,
        "Hold containers that swap or write back somewhat below their own limit.",
        "the kernel kills at the limit without waiting for writes that are under way",
    )
    margin_percent: float = setting(
        10.0,
        "How far below its limit a container is slowed down.",
        "one part in ten over memory.high costs 0.64 s for each 64 pages: slower than any disk",
        unit="percent",
        least=1.0,
    )
    dwell_seconds: float = setting(
        10.0,
        "How long a hold is kept when its reason is gone.",
        "a program that writes in bursts is not freed between two of them",
        unit="seconds",
        least=1.0,
    )


@dataclass(frozen=True, slots=True)
class Hold:
    """One container: its memory.high, where it shall be, why, since when, and the last time of a reason."""

    inode: int
    high: int
    goal: int
    theirs: int
    why: str
    since_us: int
    reason_us: int


EaseMemory = Mapping[str, Hold]


@dataclass(frozen=True, slots=True)
class Ease:
    """`memory.high` below the limit of containers that swap or write back."""

    settings: EaseSettings = field(default_factory=EaseSettings)
    name: str = "ease"

    def initial(self) -> EaseMemory:
        """Return the memory of a rung that holds nobody."""
        return {}

    def decide(self, memory: EaseMemory, situation: Situation) -> tuple[EaseMemory, Plan]:
        """Return the new memory and every hold."""
        holds: dict[str, Hold] = {}
        writes, stands = [], []
        for key, cgroup in _containers(situation):
            hold = self._hold(memory.get(cgroup.path), cgroup, situation)
            if hold is not None:
                holds[cgroup.path] = hold
                writes.append(Write(cgroup.path, "memory.high", hold.high, hold.why, self.name, hold.inode))
                if (cgroup.memory_current or 0) >= hold.goal * _NEAR:
                    stands.append(Stand(self.name, key, "act", hold.since_us, hold.why))
        return holds, Plan(tuple(writes), stands=tuple(stands))

    def _hold(self, before: Hold | None, cgroup: Cgroup, situation: Situation) -> Hold | None:
        if before is not None and before.inode != cgroup.inode:
            before = None
        limit = cgroup.memory_max or 0
        theirs = before.theirs if before is not None else cgroup.memory_high
        if theirs is None or not _LEAST_LIMIT <= limit < UNLIMITED:
            return None
        now, margin = situation.now_us, int(limit * self.settings.margin_percent / 100)
        high = page_floor(limit - margin, situation.view.now.node.page_size)
        free = situation.view.now.node.meminfo.get("SwapFree", 0)
        if theirs <= high or unreclaimable(cgroup, free) > high - margin:
            return None
        reason = _reason(cgroup, limit, free)
        if reason:
            why = f"{reason}: it is slowed down {format_bytes(margin)} below its limit, not killed at it"
            reached = before.high if before is not None else theirs
            step = page_floor(max(high, min(reached, cgroup.memory_current or 0) - _STEP))
            return Hold(cgroup.inode, step, high, theirs, why, before.since_us if before else now, now)
        if before is None or now - before.reason_us >= self.settings.dwell_seconds * 1e6:
            return None
        return before if before.goal == high else None


def _reason(cgroup: Cgroup, limit: int, free: int) -> str:
    """Say why a container may wait for a disk at its limit; "" when it may not."""
    unwritten = stat_of(cgroup, "file_dirty") + stat_of(cgroup, "file_writeback")
    if cgroup.memory_swap_max and free:
        return "it may swap"
    if unwritten * _MUCH_TO_WRITE > limit:
        return "much of it waits to be written back"
    return ""


def _containers(situation: Situation) -> Iterator[tuple[str, Cgroup]]:
    for placed in situation.view.pods:
        if placed.pod.uid in situation.view.underway.leaving:
            continue
        for path in placed.containers.values():
            cgroup = situation.view.now.cgroups.get(path)
            if cgroup is not None:
                yield placed.pod.key, cgroup
