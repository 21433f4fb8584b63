"""A workload's regions of real memory.

Pages are accessed in C loops over at most `POOL_PAGES` or `CHUNK` of them: runs through `memoryview`,
random ones through numpy, and through a Python loop where numpy is not loaded. Nothing here is
allocated in proportion to a region; the index arrays of a chunk are 32 KiB each.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from memqos.linux.workload.content import POOL_PAGES, WORDS, Content
from memqos.workload.spec import PAGE, Allocate, MapFile

if TYPE_CHECKING:
    from memqos.workload.draws import Places

CHUNK: Final = 4096
"""Most accesses drawn at a time."""


class Region:
    """Mapped memory of `pages` pages. Raises `OSError` and `ValueError` when it cannot be mapped."""

    def __init__(self, what: Allocate | MapFile, content: Content) -> None:
        self._map = _anonymous(what) if isinstance(what, Allocate) else _of_file(what)
        self._content = content
        self._view = memoryview(self._map)
        self._words = self._view.cast("Q")
        self._arrays: Any = None
        self.pages = len(self._view) // PAGE

    def read_run(self, first: int, number: int) -> None:
        """Read 8 bytes of each page of a run."""
        bytes(self._words[first * WORDS : (first + number) * WORDS : WORDS])

    def write_run(self, first: int, number: int) -> None:
        """Write every page of a run, in order."""
        for start in range(first, first + number, POOL_PAGES):
            now = min(POOL_PAGES, first + number - start)
            self._view[start * PAGE : (start + now) * PAGE] = self._content.pages(now)

    def read(self, pages: Iterable[int]) -> None:
        """Read 8 bytes of each page, in the order given."""
        for page in pages:
            self._words[page * WORDS]

    def write(self, pages: Iterable[int]) -> None:
        """Write each page, in the order given."""
        for page in pages:
            self._view[page * PAGE : (page + 1) * PAGE] = self._content.pages(1)

    def read_array(self, pages: Any) -> None:
        """Read 8 bytes of each page of an index array."""
        self._as_arrays()[0][pages, 0]

    def write_array(self, pages: Any) -> None:
        """Write each page of an index array, in its order."""
        words, pool = self._as_arrays()
        for start in range(0, len(pages), POOL_PAGES):
            now = pages[start : start + POOL_PAGES]
            self._content.pages(len(now))
            words[now] = pool[: len(now)]

    def give_back(self, size: int) -> None:
        """Give the last `size` bytes back to the kernel; they stay mapped."""
        self._map.madvise(mmap.MADV_DONTNEED, len(self._view) - size, size)

    def unmap(self) -> None:
        """Unmap all of it."""
        self._arrays = None
        self._words.release()
        self._view.release()
        self._map.close()

    def _as_arrays(self) -> Any:
        if self._arrays is None:
            import numpy as np

            self._arrays = (
                np.frombuffer(self._view, np.uint64).reshape(-1, WORDS),
                np.frombuffer(self._content.pool, np.uint64).reshape(-1, WORDS),
            )
        return self._arrays


def _anonymous(what: Allocate) -> mmap.mmap:
    mapped = mmap.mmap(-1, what.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if not what.huge_pages:
        try:
            mapped.madvise(mmap.MADV_NOHUGEPAGE)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a kernel without transparent huge pages
                raise
    return mapped


def _of_file(what: MapFile) -> mmap.mmap:
    descriptor = os.open(what.path, (os.O_RDWR if what.write else os.O_RDONLY) | os.O_CLOEXEC)
    try:
        there = os.fstat(descriptor).st_size // PAGE * PAGE
        size = there if what.size is None else what.size
        if not 0 < size <= there:
            raise ValueError(f"has {there} bytes in whole pages, not {size or PAGE}")
        prot = mmap.PROT_READ | (mmap.PROT_WRITE if what.write else 0)
        return mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, prot=prot)
    finally:
        os.close(descriptor)


class Walk:
    """Accesses to a part of a region in one phase's order; with `vector`, drawn by numpy."""

    def __init__(
        self, region: Region, places: Places, key: int, *, first: int = 0, write: bool, vector: bool
    ) -> None:
        self._region = region
        self._places = places
        self._key = key
        self._first = first
        self._write = write
        self._vector: Any = None
        if vector and places.first:
            from memqos.workload.vector import VectorPlaces

            self._vector = VectorPlaces(places)

    def access(self, start: int, number: int) -> None:
        """Do accesses `start` to `start + number` of the phase."""
        region, write = self._region, self._write
        for at in range(start, start + number, CHUNK):
            now = min(CHUNK, start + number - at)
            if not self._places.first:
                for first, length in self._runs(at, now):
                    (region.write_run if write else region.read_run)(first, length)
            elif self._vector is not None:
                pages = self._vector.at(self._key, at, now) + self._first
                (region.write_array if write else region.read_array)(pages)
            else:
                pages = [self._first + self._places.at(self._key, i) for i in range(at, at + now)]
                (region.write if write else region.read)(pages)

    def _runs(self, start: int, number: int) -> Iterator[tuple[int, int]]:
        count = self._places.count
        while number:
            place = start % count
            length = min(number, count - place)
            yield self._first + place, length
            start, number = start + length, number - length
