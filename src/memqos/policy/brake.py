"""How fast a pod's swap may grow: `memory.swap.high`, moved along with it.

From 6.12 on no `io.max` limits swap writes. But a program that pushes out old pages for new ones can be
slowed where it asks for the new ones: above memory.swap.high, each 64 pages that it is charged cost it a
sleep of 64 s times the square of its relative overage, 2 s at most (`swap_find_max_overage`,
`calculate_high_delay` in mm/memcontrol.c). Unlike at memory.swap.max no page is refused and nothing is
killed.

So a rate of `rate` bytes per second takes an overage of x = sqrt(64 pages / (64 s * rate)): 3 % for
4 MiB/s, 6 % for 1 MiB/s. The value is set so that a pod growing at that rate has that overage half a
second later, and moved once a second: a pod that grows faster is slowed further. A pod whose swap grew by
less than a quarter of the rate gets no value below what it has in swap. Such a program only swaps in and out,
which the limit on its reads holds, and otherwise every page it asks for would cost the sleep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from memqos.model.snapshot import Cgroup
from memqos.units import UNLIMITED, page_floor

_CHARGED: Final = 64 * 4096
_SLEEP_SECONDS: Final = 64.0
_RENEW_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Brake:
    """One pod's memory.swap.high, the rate it stands for, what was swapped then, and what was there."""

    high: int
    rate: int
    swapped: int
    renewed_us: int
    theirs: int


def braked(before: Brake | None, cgroup: Cgroup, rate: int, now_us: int) -> Brake | None:
    """Return the brake that lets a pod's swap grow by `rate` bytes per second; `None` for none."""
    theirs = before.theirs if before is not None else cgroup.memory_swap_high
    if rate >= UNLIMITED or theirs is None or not cgroup.memory_swap_max:
        return None
    if before is not None and now_us - before.renewed_us < _RENEW_US:
        return before
    over = math.sqrt(_CHARGED / (_SLEEP_SECONDS * rate))
    swapped = cgroup.memory_swap_current or 0
    high = page_floor(int((swapped + rate / 2) / (1 + over)))
    if before is not None and swapped - before.swapped < rate / 4:
        high = max(high, swapped)
    return Brake(min(high, theirs), rate, swapped, now_us, theirs)
