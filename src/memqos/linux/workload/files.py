"""A workload's files: read and written by pread and pwrite through one buffer of a block's size.

The kernel is given no advice (posix_fadvise), and the files no O_DIRECT: the page cache is the point.
"""

from __future__ import annotations

import os

from memqos.linux.workload.clock import Meter, Pace, Stop
from memqos.linux.workload.content import Content
from memqos.workload.draws import BLOCKS, phase_key, places
from memqos.workload.spec import Order, ReadFile, WriteFile


class BlockReader:
    """An open file whose blocks are read in an order. Raises `OSError`, `ValueError` when it is empty."""

    def __init__(self, path: str, block: int, order: Order, seed: int, number: int) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.size = os.fstat(self.descriptor).st_size
            if not self.size:
                raise ValueError("is empty")
            self._places = places(order, -(-self.size // block))
        except BaseException:
            self.close()
            raise
        self._key = phase_key(seed, number, BLOCKS)
        self._block = block
        self._buffer = memoryview(bytearray(block))

    def read(self, access: int, limit: int) -> int:
        """Do access `access`: read one block, at most `limit` bytes of it; return how many there were."""
        place = self._places.at(self._key, access)
        return os.preadv(self.descriptor, [self._buffer[:limit]], place * self._block)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


def read_file(action: ReadFile, seed: int, number: int, meter: Meter, stop: Stop) -> None:
    """Do a `read` phase."""
    reader = BlockReader(action.path, action.block, action.order, seed, number)
    try:
        wanted = reader.size * action.passes if action.bytes is None else action.bytes
        meter.begin()
        pace = Pace(action.bytes_per_second, stop)
        access = 0
        while meter.bytes_read < wanted and not stop.asked:
            got = reader.read(access, wanted - meter.bytes_read)
            if not got:
                raise ValueError("became shorter while it was read")
            meter.bytes_read += got
            access += 1
            pace.wait(meter.bytes_read)
    finally:
        reader.close()


def write_file(action: WriteFile, content: Content, meter: Meter, stop: Stop) -> None:
    """Do a `write` phase."""
    buffer = memoryview(bytearray(action.block))
    content.fill(buffer)
    words = buffer.cast("Q")
    descriptor = os.open(action.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        meter.begin()
        pace = Pace(action.bytes_per_second, stop)
        while meter.bytes_written < action.size and not stop.asked:
            content.renew(words)
            left = buffer[: action.size - meter.bytes_written]
            meter.bytes_written += os.pwrite(descriptor, left, meter.bytes_written)
            pace.wait(meter.bytes_written)
        if action.sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
