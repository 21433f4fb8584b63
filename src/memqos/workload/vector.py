"""The draws of `draws`, many at a time with numpy: the same numbers (the tests compare them)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memqos.workload.draws import GOLDEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from memqos.workload.draws import Places


def words(key: int, indices: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return outputs `indices` of splitmix64 seeded with `key`."""
    z = np.uint64(key) + (indices + np.uint64(1)) * np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class VectorPlaces:
    """A table of `draws.places`, as arrays."""

    def __init__(self, places: Places) -> None:
        self.count = np.uint64(places.count)
        self.first = np.array(places.first, np.uint64)
        self.size = np.array(places.size, np.uint64)
        self.bounds = np.array(places.bounds, np.uint64)
        self.step = np.uint64(places.step)

    def at(self, key: int, start: int, number: int) -> NDArray[np.intp]:
        """Return the places of accesses `start` to `start + number`."""
        index = np.arange(start, start + number, dtype=np.uint64)
        if not len(self.first):
            return (index % self.count).astype(np.intp)
        index *= np.uint64(2)
        offset = words(key, index + np.uint64(1)) >> np.uint64(32)
        if not len(self.bounds):
            rank = (offset * self.size[0]) >> np.uint64(32)
        else:
            chosen = np.searchsorted(self.bounds, words(key, index), side="right")
            rank = self.first[chosen] + ((offset * self.size[chosen]) >> np.uint64(32))
        if self.step != 1:
            rank = rank * self.step % self.count
        found: NDArray[np.intp] = rank.astype(np.intp)
        return found
