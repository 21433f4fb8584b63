"""Which page (or block) each access goes to: the definition, in plain Python.

Everything follows from the workload's seed, the phase's number (`steps.Step.number`, counted over all
repetitions) and the access's number i in the phase; nothing is kept from access to access. All integers
are modulo 2^64 unless said otherwise.

- ``mix(z)`` is the finaliser of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
  Generators, OOPSLA 2014): z ^= z >> 30; z *= 0xBF58476D1CE4E5B9; z ^= z >> 27; z *= 0x94D049BB133111EB;
  z ^= z >> 31.
- ``word(key, i) = mix(key + (i + 1) * 0x9E3779B97F4A7C15)``: output i of splitmix64 with state `key`.
- ``phase_key(seed, number, lane) = word(word(seed, number), lane)``; lane `PAGES` draws the pages of a
  region, lane `BLOCKS` the blocks of a file.
- An order over n places (n < 2^32) is a table of classes (first, size, threshold); the last threshold is
  2^64, the others at most 2^64 - 1. Access i is of the first class whose threshold is above
  ``word(key, 2i)``, and has the rank ``first + ((word(key, 2i + 1) >> 32) * size >> 32)``:
  equal probability in the class, up to 2^-32.
- uniform: one class. hotCold: the first max(1, min(n, ceil(fraction * n))) ranks, then the others.
- zipf(s): ranks 0..1023 are classes of one rank each; the ranks from there on are cut into classes of
  ranks [a, a + a // 64), each rank of a class given the weight of the class's middle. Rank r weighs
  (r + 1)^-s, a class ``size * (first + (size + 1) / 2)^-s``. Within a class true weights differ by less
  than s/64. The threshold is floor(cumulated weight / all weight * 2^53) * 2^11, sums and quotient in double.
- Rank r is place r, or with `scatter` place ``r * step mod n``, `step` the smallest integer ≥ n / golden
  ratio (``(n * 0x9E3779B97F4A7C15) >> 64``, at least 1) that has no common divisor with n: a bijection,
  the same for all regions of n pages. The multiplication is exact (< 2^64).
- sequential: access i goes to place ``i mod n``.

In the request loop access j of request r is access ``r * pages + j`` of the phase.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from memqos.workload.spec import Order

MASK: Final = 2**64 - 1
GOLDEN: Final = 0x9E3779B97F4A7C15
PAGES: Final = 0
BLOCKS: Final = 1
EXACT_RANKS: Final = 1024
MAX_PLACES: Final = 2**32 - 1
"""The most pages a region, or blocks a file, may have: 16 TiB of pages."""


def word(key: int, index: int) -> int:
    """Return output `index` (from 0) of splitmix64 seeded with `key`."""
    z = (key + (index + 1) * GOLDEN) & MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def phase_key(seed: int, number: int, lane: int = PAGES) -> int:
    """Return the key of one phase's draws."""
    return word(word(seed, number), lane)


@dataclass(frozen=True, slots=True)
class Places:
    """An order over `count` places as a table: `bounds` are the thresholds but the last (2^64).

    No table at all (`first` empty) is the sequential order. `step` is 1 without scatter.
    """

    count: int
    first: tuple[int, ...] = ()
    size: tuple[int, ...] = ()
    bounds: tuple[int, ...] = ()
    step: int = 1

    def at(self, key: int, index: int) -> int:
        """Return the place of access `index`."""
        if not self.first:
            return index % self.count
        chosen = bisect_right(self.bounds, word(key, 2 * index)) if self.bounds else 0
        rank = self.first[chosen] + ((word(key, 2 * index + 1) >> 32) * self.size[chosen] >> 32)
        return rank * self.step % self.count


def places(order: Order, count: int) -> Places:
    """Build the table of an order over `count` places, 1 to `MAX_PLACES`. Raises `ValueError` beyond."""
    if not 1 <= count <= MAX_PLACES:
        raise ValueError(f"{count} places are not in 1..{MAX_PLACES}")
    if order.kind == "sequential":
        return Places(count)
    step = scatter_step(count) if order.scatter else 1
    if order.kind == "zipf":
        first, size = _zipf_classes(count)
        weights = [n * (a + (n + 1) / 2) ** -order.exponent for a, n in zip(first, size, strict=True)]
        return Places(count, first, size, _bounds(weights), step)
    hot = max(1, min(count, math.ceil(order.fraction * count)))
    if order.kind == "uniform" or hot == count:
        return Places(count, (0,), (count,), (), step)
    threshold = min(int(order.probability * 2**53) << 11, MASK)
    return Places(count, (0, hot), (hot, count - hot), (threshold,), step)


def scatter_step(count: int) -> int:
    """Return the distance between the places of neighbouring ranks."""
    step = max(1, count * GOLDEN >> 64)
    while math.gcd(step, count) != 1:
        step += 1
    return step


def _zipf_classes(count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    first = list(range(min(count, EXACT_RANKS)))
    size = [1] * len(first)
    at = len(first)
    while at < count:
        first.append(at)
        size.append(min(at // 64, count - at))
        at += size[-1]
    return tuple(first), tuple(size)


def _bounds(weights: list[float]) -> tuple[int, ...]:
    total = 0.0
    sums = []
    for weight in weights:
        total += weight
        sums.append(total)
    return tuple(min(int(each / total * 2**53) << 11, MASK) for each in sums[:-1])
