"""What workloads write: never a zero page, hardly compressible, and no two pages alike.

From 6.12 the kernel swaps a page of zeros without any I/O, zram and zswap compress each page for
itself, and KSM merges equal ones; none of this must happen to a workload that does not ask for it.
Every page is a random page of a fixed pool with a number at its begin that no other page gets.
"""

from __future__ import annotations

import os
import random
from array import array
from typing import Final

from memqos.workload.spec import PAGE

POOL_PAGES: Final = 64
WORDS: Final = PAGE // 8
"""64-bit words in a page."""


class Content:
    """A pool of `POOL_PAGES` random pages (256 KiB), stamped anew each time they are handed out."""

    def __init__(self) -> None:
        self.pool = memoryview(bytearray(random.Random(0).randbytes(POOL_PAGES * PAGE)))  # noqa: S311
        self._words = self.pool.cast("Q")
        # below 2^63, so that counting on never overflows; two programs at once do not meet
        self._stamp = int.from_bytes(os.urandom(8), "little") >> 1

    def pages(self, number: int) -> memoryview:
        """Return the bytes of `number` (up to `POOL_PAGES`) fresh pages; valid until the next call."""
        stamp(self._words[: number * WORDS], self._next(number))
        return self.pool[: number * PAGE]

    def fill(self, buffer: memoryview) -> None:
        """Fill a buffer of any size with fresh pages' content."""
        for start in range(0, len(buffer), len(self.pool)):
            size = min(len(self.pool), len(buffer) - start)
            buffer[start : start + size] = self.pages(-(-size // PAGE))[:size]

    def renew(self, words: memoryview) -> None:
        """Stamp a filled buffer (as 64-bit words) anew."""
        stamp(words, self._next(-(-len(words) // WORDS)))

    def _next(self, number: int) -> int:
        first = self._stamp
        self._stamp += number
        return first


def stamp(words: memoryview, first: int) -> None:
    """Write first, first + 1, ... to the begin of each page."""
    numbers = array("Q", range(first, first + -(-len(words) // WORDS)))
    words[::WORDS] = memoryview(numbers)
