"""senpai's law, restated: `memory.high` follows what a cgroup can do without.

Once a second, for each cgroup: I is the `some` stall of its memory.pressure since its limit last moved.
Over the target the limit is raised by (I / target / 20)², at most doubled. Otherwise every sixth tick it is
lowered by 1 % × (target / I / 10)², by 1 % at most. It begins at the cgroup's memory.current, in whole pages:
it is meant to be pointed at what runs already, so it lets a new cgroup be for ten ticks.

Source: facebookincubator/senpai, senpai.py (2019; pressure 10000, interval 6, coeff_probe 10, max_probe
0.01, coeff_backoff 20, max_backoff 1, min 100 MB, max 100 GB). Its text is GPL-2 and was not copied. It knows
one cgroup and no priorities; here every pod gets its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from memqos.model.plan import Plan, Write
from memqos.model.view import View

PRESSURE_US: Final = 10_000
INTERVAL_TICKS: Final = 6
_PAGE_MASK: Final = ~4095


@dataclass(frozen=True, slots=True)
class Held:
    """What senpai knows of one cgroup: its limit in bytes, the stall since it moved, ticks since then.

    While `limit` is `None` it has not begun.
    """

    inode: int
    limit: int | None
    stalled_us: int = 0
    ticks: int = 0


@dataclass(frozen=True, slots=True)
class Senpai:
    """The law; sizes in bytes. An experiment of a 16th the size takes a 16th of `least`."""

    pressure_us: int = PRESSURE_US
    interval: int = INTERVAL_TICKS
    coeff_probe: float = 10.0
    max_probe: float = 0.01
    coeff_backoff: float = 20.0
    max_backoff: float = 1.0
    least: int = 100_000_000
    most: int = 100_000_000_000
    settle: int = 10
    name: str = "senpai"

    def initial(self) -> Mapping[str, Held]:
        """Return the memory of a senpai that holds nothing."""
        return {}

    def decide(self, memory: Mapping[str, Held], view: View) -> tuple[Mapping[str, Held], Plan]:
        """Move the limit of each pod's cgroup by one tick."""
        found, writes = {}, []
        for placed in view.pods:
            cgroup = None if placed.cgroup is None else view.now.cgroups.get(placed.cgroup)
            if cgroup is None or cgroup.memory_current is None or cgroup.memory_high is None:
                continue
            held = memory.get(cgroup.path)
            if held is None or held.inode != cgroup.inode:
                held, why = Held(cgroup.inode, None), ""
            elif held.limit is not None:
                held, why = self.tick(held, held.limit, view.stall_us(cgroup) or 0)
            elif held.ticks < self.settle:
                held, why = replace(held, ticks=held.ticks + 1), ""
            else:
                held, why = (
                    Held(cgroup.inode, self._bounded(cgroup.memory_current)),
                    "begins at what it holds",
                )
            found[cgroup.path] = held
            if held.limit is not None:
                writes.append(Write(cgroup.path, "memory.high", held.limit, why, self.name, cgroup.inode))
        return found, Plan(tuple(writes))

    def tick(self, held: Held, limit: int, stalled_us: int) -> tuple[Held, str]:
        """Return a cgroup's next state after `stalled_us` of stall in this tick under `limit`, and why."""
        total = held.stalled_us + stalled_us
        if total > self.pressure_us:
            up = min(
                (total / self.pressure_us / self.coeff_backoff) ** 2 * self.max_backoff, self.max_backoff
            )
            limit = self._bounded(int(limit * (1 + up)))
            return Held(held.inode, limit), f"stalled {total} us, over {self.pressure_us}: up by {up:.2%}"
        if held.ticks + 1 < self.interval:
            return replace(held, stalled_us=total, ticks=held.ticks + 1), "waits for its interval"
        down = (self.pressure_us / max(total, 1) / self.coeff_probe) ** 2 * self.max_probe
        down = min(down, self.max_probe)
        limit = self._bounded(int(limit * (1 - down)))
        return Held(held.inode, limit), f"stalled {total} us only: down by {down:.2%}"

    def _bounded(self, limit: int) -> int:
        return max(min(limit & _PAGE_MASK, self.most), self.least & _PAGE_MASK)
