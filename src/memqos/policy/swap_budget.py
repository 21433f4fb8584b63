"""How much may be written to swap on memqos' own account: per second and per day.

Flash wears out by what is written to it, and a disk that swaps serves nobody else meanwhile. Only what
memqos orders counts; what the kernel swaps by itself it cannot do without.

What a disk can take is found out: an order that runs for longer than a second halves the `pace`, every
second without one raises it by a quarter, up to what is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from memqos.units import MIB

DAY_US: Final = 86_400 * 10**6
_LEAST_PACE: Final = 1 * MIB


@dataclass(frozen=True, slots=True)
class SwapBudget:
    """What is left, in bytes; `tokens` are this second's, `spent` this day's (of the node's clock).

    In any stretch of s seconds at most (s + 1) times `per_second` is taken, and never more than `per_day` in
    a day since boot; an agent that is started anew knows nothing of what was spent before. `paced_us` is when
    the pace last changed.
    """

    per_second: int
    per_day: int
    pace: int
    tokens: int = 0
    time_us: int | None = None
    day: int = 0
    spent: int = 0
    paced_us: int = 0

    @classmethod
    def of(cls, per_second: int, per_day: int) -> SwapBudget:
        """Return a budget of which nothing is spent; it begins at a quarter of the allowed pace."""
        return cls(per_second, per_day, per_second // 4)

    def at(self, now_us: int, *, slow: bool = False) -> SwapBudget:
        """Return the budget as of a later moment; `slow` tells that an order runs for too long."""
        pace, paced_us = self.pace, self.paced_us
        if now_us - paced_us >= 10**6:
            pace = max(self.pace // 2, _LEAST_PACE) if slow else self.pace + self.pace // 4
            pace, paced_us = min(pace, self.per_second), now_us
        passed = 10**6 if self.time_us is None else max(0, now_us - self.time_us)
        tokens = min(pace, self.tokens + pace * passed // 10**6)
        day = now_us // DAY_US
        spent = self.spent if day == self.day else 0
        return replace(
            self, pace=pace, paced_us=paced_us, tokens=tokens, time_us=now_us, day=day, spent=spent
        )

    @property
    def left(self) -> int:
        """Bytes that may be ordered now."""
        return max(0, min(self.tokens, self.per_day - self.spent))

    def less(self, size: int) -> SwapBudget:
        """Return the budget after an order of `size` bytes."""
        return replace(self, tokens=self.tokens - size, spent=self.spent + size)
