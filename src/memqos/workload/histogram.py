"""Latencies in microseconds, counted in buckets that are at most 1/32 wide: constant memory.

The layout is HdrHistogram's: 0..63 us are buckets of one microsecond; every power of two above has
32 buckets of equal width. A percentile is the upper end of the bucket in which it falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

_LINEAR: Final = 64
_HALF: Final = 32


def bucket_of(us: int) -> int:
    """Return the number of the bucket that counts `us`."""
    if us < _LINEAR:
        return max(us, 0)
    shift = us.bit_length() - 6
    return _LINEAR + (shift - 1) * _HALF + (us >> shift) - _HALF


def lower_end(bucket: int) -> int:
    """Return the smallest number of microseconds that a bucket counts."""
    if bucket < _LINEAR:
        return bucket
    octave, place = divmod(bucket - _LINEAR, _HALF)
    return (place + _HALF) << (octave + 1)


class Histogram:
    """How many latencies fell in each bucket, and the largest of all, exactly."""

    __slots__ = ("counts", "max_us", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0
        self.max_us = 0

    def add(self, us: int) -> None:
        """Count one latency."""
        bucket = bucket_of(us)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1
        self.max_us = max(self.max_us, us)

    def percentile(self, percent: float) -> int:
        """Return the microseconds that `percent` of the latencies do not exceed; 0 when there are none.

        At most 1/32 above the exact nearest-rank percentile, never above the largest.
        """
        wanted = max(1, ceil(self.total * percent / 100))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(lower_end(bucket + 1) - 1, self.max_us)
        return 0

    def rows(self) -> list[tuple[int, int]]:
        """Return (lower end in microseconds, count) of every bucket that is not empty, in order."""
        return [(lower_end(bucket), self.counts[bucket]) for bucket in sorted(self.counts)]

    @classmethod
    def of_rows(cls, rows: Mapping[int, int], max_us: int) -> Histogram:
        """Build again what `rows` wrote; `max_us` is recorded beside it."""
        histogram = cls()
        histogram.counts = {bucket_of(low): count for low, count in rows.items()}
        histogram.total = sum(rows.values())
        histogram.max_us = max_us
        return histogram
