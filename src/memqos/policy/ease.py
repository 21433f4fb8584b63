"""Ease: slow a writer down before it is killed at its own limit for pages that the disk has not written yet.

At `memory.max` the kernel reclaims for the program that asks for memory, and kills when a few rounds found
nothing to free. It does not wait for writes that are under way, and it counts what ext4 and page tables ask
for as well (`try_charge_memcg`, `mem_cgroup_oom` in mm/memcontrol.c). So a program whose page cache waits to
be written is killed at its own limit, on a node with memory to spare. With `memory.high` somewhat below the
limit it waits instead, longer the further it is over, and the disk gets the time.

A container in which much waits to be written back gets a `memory.high` `margin_percent` below its limit,
which costs it that much memory while it writes. The value is never one that reclaim could not bring the
container down to: there `memory.high` would stop the program for good, and it is better that the limit kills
it. A hold that was given up for that does not begin again within `_AGAIN_US`: a program at that edge is not
to be held and let go at every look.

On a real 7.2 a program that wrote and read files of 96 MiB under 48 MiB, without swap and beside a
disk of 16 MiB/s (e12's writer), was OOM-killed in 5 of 9 runs under the kubelet, most within 6 s; in none of
9 with memory.high 3 % below its limit from the start (`kubelet-memory-qos`); and in 1 of 9 under this rung,
where the kernel was as fast as the agent's first look. Pods that fill memory and swap without
writing files are not held: that saved none of them (four loads, 6.1 and 6.12), and who is held is lent no
swap by `memqos.policy.relax`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from memqos.model.plan import Plan, Stand, Write
from memqos.model.snapshot import Cgroup
from memqos.policy.rung import Situation
from memqos.policy.setting import setting
from memqos.policy.stat import Lines, unreclaimable
from memqos.units import MIB, UNLIMITED, format_bytes, page_floor

_LEAST_LIMIT: Final = 16 * MIB
"""Below that the kernel's own batches (64 pages per CPU, 32 reclaimed at a time) decide anyway."""
_MUCH_TO_WRITE: Final = 8
_TO_WRITE: Final = Lines("file_dirty", "file_writeback", "file", "shmem")
_NEAR: Final = 0.9
_AGAIN_US: Final = 10_000_000
"""As long as the other rungs wait until they loosen."""


@dataclass(frozen=True, slots=True)
class EaseSettings:
    """Slowing a writer down before its own limit kills it."""

    enabled: bool = setting(
        True,
        "Hold containers that have much to write back somewhat below their own limit.",
        "the kernel kills at the limit without waiting for writes that are under way",
    )
    margin_percent: float = setting(
        5.0,
        "How far below its limit such a container is slowed down.",
        "a writer 2 % over its memory.high still gets 10 MiB/s, one 5 % over it 1.6 MiB/s",
        unit="percent",
        least=1.0,
    )
    dwell_seconds: float = setting(
        60.0,
        "How long the container is held after its reason is gone.",
        "who writes in bursts fills its limit in a second, and is killed in the next",
        unit="seconds",
        least=1.0,
    )


class Hold(Struct, frozen=True):
    """One container: its memory.high, what was there, since when, when there last was a reason, and which.

    `left_us` is when it was given up because it could not be brought down to that; then it only waits.
    """

    inode: int
    high: int
    theirs: int
    since_us: int
    reason_us: int
    why: str
    left_us: int | None = None


EaseMemory = Mapping[str, Hold]


@dataclass(frozen=True, slots=True)
class Ease:
    """Slow containers with much to write back a little below their own limit (memory.high)."""

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
            if hold is None:
                continue
            holds[cgroup.path] = hold
            if hold.left_us is not None:
                continue
            writes.append(Write(cgroup.path, "memory.high", hold.high, hold.why, self.name, hold.inode))
            if (cgroup.memory_current or 0) >= hold.high * _NEAR:
                stands.append(Stand(self.name, key, "act", hold.since_us, hold.why))
        return holds, Plan(tuple(writes), stands=tuple(stands))

    def _hold(self, before: Hold | None, cgroup: Cgroup, situation: Situation) -> Hold | None:
        limit, now = cgroup.memory_max or 0, situation.now_us
        if before is not None and before.inode != cgroup.inode:
            before = None
        if before is not None and before.left_us is not None:
            if now - before.left_us < _AGAIN_US:
                return before
            before = None
        reason = _to_write(cgroup) * _MUCH_TO_WRITE > limit
        if not reason and (before is None or now - before.reason_us >= self.settings.dwell_seconds * 1e6):
            return None
        theirs = cgroup.memory_high
        if before is not None:
            if theirs == before.high:  # else it was not written, or somebody wrote since
                theirs = before.theirs
            elif theirs is not None and theirs != before.theirs:
                before = replace(before, theirs=theirs)
        if theirs is None or not _LEAST_LIMIT <= limit < UNLIMITED:
            return None
        node = situation.view.now.node
        margin = int(limit * self.settings.margin_percent / 100)
        high = page_floor(limit - margin, node.page_size)
        if theirs <= high:
            return None
        if unreclaimable(cgroup, node.meminfo.get("SwapFree", 0)) > high - margin:
            return None if before is None else replace(before, left_us=now)
        if before is not None and before.high == high:
            return replace(before, reason_us=now) if reason else before
        why = (
            f"much of it waits to be written back: it is slowed down {format_bytes(limit - high)} below its "
        )
        why += "limit, not killed at it"
        since_us, reason_us = (now, now) if before is None else (before.since_us, before.reason_us)
        return Hold(cgroup.inode, high, theirs, since_us, now if reason else reason_us, why)


def _to_write(cgroup: Cgroup) -> int:
    """Return the bytes of page cache that wait for the disk; file_writeback counts swapped pages, too."""
    dirty, writing, file, shmem = _TO_WRITE.of(cgroup.memory_stat)
    return dirty + min(writing, max(0, file - shmem))


def _containers(situation: Situation) -> Iterator[tuple[str, Cgroup]]:
    for placed in situation.view.pods:
        if placed.pod.uid in situation.view.underway.leaving:
            continue
        for path in placed.containers.values():
            cgroup = situation.view.now.cgroups.get(path)
            if cgroup is not None:
                yield placed.pod.key, cgroup
