"""How much may be written to swap on memqos' own account: per second and per day.

Flash wears out by what is written to it, and a disk that swaps serves nobody else meanwhile. Only what
memqos orders counts; what the kernel swaps by itself it cannot do without.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

DAY_US: Final = 86_400 * 10**6


@dataclass(frozen=True, slots=True)
class SwapBudget:
    """What is left, in bytes; `tokens` are this second's, `spent` this day's (of the node's clock).

    In any stretch of s seconds at most (s + 1) times `per_second` is taken, and never more than `per_day` in
    a day since boot.
    """

    per_second: int
    per_day: int
    tokens: int = 0
    time_us: int | None = None
    day: int = 0
    spent: int = 0

    def at(self, now_us: int) -> SwapBudget:
        """Return the budget as of a later moment."""
        passed = 10**6 if self.time_us is None else max(0, now_us - self.time_us)
        tokens = min(self.per_second, self.tokens + self.per_second * passed // 10**6)
        day = now_us // DAY_US
        spent = self.spent if day == self.day else 0
        return replace(self, tokens=tokens, time_us=now_us, day=day, spent=spent)

    @property
    def left(self) -> int:
        """Bytes that may be ordered now."""
        return max(0, min(self.tokens, self.per_day - self.spent))

    def less(self, size: int) -> SwapBudget:
        """Return the budget after an order of `size` bytes."""
        return replace(self, tokens=self.tokens - size, spent=self.spent + size)
