"""Reading control files: the one place that calls the kernel for a text.

A control file prints itself into one record, so one `pread` at offset 0 gets it whole if the buffer is large
enough; a read that fills its buffer is repeated with a larger one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from itertools import repeat
from typing import Final

pread = os.pread
"""The one function that reads a control file; tests put faults here."""

ABSENT: Final = (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP)
"""What a knob answers that this cgroup has not: no file, controller off, PSI off at boot."""


class Budget:
    """How many descriptors may stay open; `kept` are. Beyond it files are opened for every read."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = 0


def read_whole(fd: int, size: int) -> tuple[bytes, int]:
    """Read a control file in one piece; also return the buffer size that leaves it room to grow."""
    raw = pread(fd, size, 0)
    while len(raw) >= size:
        size *= 4
        raw = pread(fd, size, 0)
    return raw, max(64, -(-len(raw) * 3 // 2 // 64) * 64)


def read_each(fds: Sequence[int], sizes: Sequence[int], first: int) -> list[bytes]:
    """Read so many of the files, each with its buffer; a full one may go on."""
    return list(map(pread, fds, sizes, repeat(0, first)))


def read_closed(directory: str, inode: int, names: Sequence[str]) -> list[bytes]:
    """Read files that are not kept open; ENODEV when the path leads to another cgroup by now."""
    raws = []
    held = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(held).st_ino != inode:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        for name in names:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=held)
            try:
                raws.append(read_whole(fd, 8192)[0])
            finally:
                os.close(fd)
    finally:
        os.close(held)
    return raws


def answers(path: str) -> bool:
    """Tell whether a file that was refused is read by now, or says that it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            read_whole(fd, 512)
        finally:
            os.close(fd)
    except OSError as error:
        return error.errno in ABSENT
    return True
