"""Plain exact LRU, nothing else: a trace's misses, and what the lists cost without a kernel around them.

A ring of page numbers, oldest first. A hit writes its page again at the newest end; an entry counts only
while its page says that it stands there. Its misses are those of libcachesim, to the last one: where they
are not, the two have not read the same trace.
"""

from __future__ import annotations

import time
from typing import Any

import numba
import numpy as np


@numba.njit
def _misses(trace: Any, where: Any, ring: Any, fit: int) -> int:
    """`where[page]` is the page's place in `ring`, plus one; a full ring's gaps are closed."""
    size, mask = np.uint32(len(ring)), np.uint32(len(ring) - 1)
    one, none = np.uint32(1), np.uint32(0)
    head, tail = none, none
    held, misses = 0, 0
    for page in trace:
        if where[page] == none:
            misses += 1
            if held < fit:
                held += 1
            else:
                while True:
                    old = ring[tail & mask]
                    tail = np.uint32(tail + one)
                    if where[old] == tail:
                        break
                where[old] = none
        ring[head & mask] = page
        head = np.uint32(head + one)
        where[page] = head
        if np.uint32(head - tail) == size:
            to = tail
            for place in range(size):
                at = np.uint32(tail + np.uint32(place))
                kept = ring[at & mask]
                if where[kept] == np.uint32(at + one):
                    ring[to & mask] = kept
                    to = np.uint32(to + one)
                    where[kept] = to
            head = to
    return misses


def lru(trace: Any, pages: int, fit: int) -> tuple[float, int]:
    """CPU seconds and misses of a trace of fewer than 2^32 accesses to page numbers below `pages`."""
    where = np.zeros(pages, np.uint32)
    ring = np.zeros(1 << (4 * fit).bit_length(), np.uint32)
    start = time.process_time()
    misses = _misses(trace.view(np.uint32), where, ring, fit)
    return time.process_time() - start, misses
