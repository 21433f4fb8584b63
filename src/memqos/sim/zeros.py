"""Arrays of zeroes for a simulated node's state, on huge pages where they are large.

The pages of a trace lie anywhere in them, and with pages of 4 KiB most such accesses also miss the
processor's translation cache: on a node of 64 GiB the page words alone are 128 MiB. What is never touched
takes no memory.
"""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np

HUGE = 2 << 20
LARGE = 2 * HUGE
"""Bytes from which on an array is worth whole huge pages."""


def zeros(shape: int | tuple[int, ...], dtype: Any = np.int64) -> Any:
    """As `numpy.zeros`."""
    count = math.prod(shape) if isinstance(shape, tuple) else shape
    size = count * np.dtype(dtype).itemsize
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(shape, dtype)
    room = mmap.mmap(-1, size + HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    room.madvise(mmap.MADV_HUGEPAGE)
    start = -np.frombuffer(room, np.uint8).ctypes.data % HUGE
    return np.frombuffer(room, dtype, count, start).reshape(shape)
