"""The journal: every turn of the loop, on disk, bounded in size.

A journal is a directory of segments, `journal-00000001` and so on. A segment begins with `MAGIC`;
then each record is its length, the CRC-32 of its payload (both 32 bits, little-endian) and the
payload (`memqos.agent.codec`), most of them only what changed; the first of a segment, and of an
agent's run, is whole. When a segment is full the next begins, and the oldest go when all
together would take more than the journal may: at no time is there more on disk than `size`.

*A torn tail.* A machine that stops in the middle of a record leaves a part of one. Opening the
journal cuts the last segment back to its last good record; reading stops there.

*A full disk.* A record that does not fit is dropped and counted, what of it was written is cut off
again, and the loop goes on. When there is room again, records follow.

The journal is a record, not a ledger: it is not `fsync`ed, so a crash of the machine (not of the
agent) can cost the last seconds.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from memqos.agent.codec import Decoder, Encoder
from memqos.model.plan import Tick
from memqos.units import MIB

MAGIC: Final = b"memqosj1"
_HEADER: Final = struct.Struct("<II")
_LARGEST: Final = 256 * MIB
SEGMENTS: Final = 8
"""A full journal's segments: an eighth of it goes at a time."""


class Journal:
    """Appends ticks; `append` never raises, it counts what it drops in `dropped`.

    `size` is the most all segments take together, in bytes. `repaired` says how many bytes of a
    torn tail were cut off at opening; `error` why the last record was dropped, else empty.
    """

    def __init__(self, directory: Path, size: int = 64 * MIB) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.segment_size = max(4096, size // SEGMENTS)
        self.size = max(size, SEGMENTS * 4096)
        self.written = 0
        self.dropped = 0
        self.error = ""
        self.repaired = 0
        self._encoder = Encoder()
        self._descriptor = -1
        self._end = 0
        self._open_last()

    def append(self, tick: Tick) -> bool:
        """Record one turn; false when it was dropped."""
        try:
            record = self._record(tick)
            begun = self._descriptor >= 0 and self._end > len(MAGIC)
            if self._descriptor < 0 or (begun and self._end + len(record) > self.segment_size):
                self._next_segment()
                record = self._record(tick)
            if self._end + len(record) > self.segment_size:
                raise OSError(0, f"a record of {len(record)} bytes does not fit into a segment")
            self._put(record)
        except (OSError, TypeError, ValueError, OverflowError) as error:
            self.dropped += 1
            self.error = getattr(error, "strerror", "") or str(error)
            return False
        self._encoder.accept()
        self.written += 1
        self.error = ""
        return True

    def _record(self, tick: Tick) -> bytes:
        payload = self._encoder.encode(tick)
        return _HEADER.pack(len(payload), zlib.crc32(payload)) + payload

    def close(self) -> None:
        """Close the segment being written."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, data: bytes) -> None:
        """Write all of it, or nothing."""
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], self._end + done)
        except OSError:
            try:
                os.ftruncate(self._descriptor, self._end)
            except OSError:
                self.close()  # the reader stops at the torn record; the next one gets a new segment
            raise
        self._end += done

    def _open_last(self) -> None:
        names = segments(self.directory)
        if not names:
            return
        good, total = _extent(names[-1])
        descriptor = os.open(names[-1], os.O_RDWR | os.O_CLOEXEC)
        if good < total:
            os.ftruncate(descriptor, good)
            self.repaired = total - good
        if good < len(MAGIC):
            os.close(descriptor)
            return
        self._descriptor, self._end = descriptor, good

    def _next_segment(self) -> None:
        self.close()
        names = segments(self.directory)
        number = int(names[-1].name.rpartition("-")[2]) + 1 if names else 1
        sizes = [name.stat().st_size for name in names]
        while names and sum(sizes) + self.segment_size > self.size:
            names.pop(0).unlink()
            sizes.pop(0)
        path = self.directory / f"journal-{number:08d}"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        self._end = 0
        self._encoder = Encoder()
        try:
            self._put(MAGIC)
        except OSError:
            self.close()
            path.unlink(missing_ok=True)
            raise


def segments(directory: Path) -> list[Path]:
    """Return a journal's segments, oldest first."""
    return sorted(path for path in directory.glob("journal-????????") if path.name[8:].isdigit())


def read(directory: Path) -> Iterator[Tick]:
    """Read a journal's turns, oldest first; what is torn or of another version is passed over."""
    for path in segments(directory):
        decoder = Decoder()
        for payload in _payloads(path):
            try:
                yield decoder.decode(payload)
            except ValueError:
                break


def _payloads(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return
            while len(header := file.read(_HEADER.size)) == _HEADER.size:
                length, checksum = _HEADER.unpack(header)
                payload = file.read(length) if length <= _LARGEST else b""
                if len(payload) != length or zlib.crc32(payload) != checksum:
                    return
                yield payload
    except FileNotFoundError:  # rotated away meanwhile
        return


def _extent(path: Path) -> tuple[int, int]:
    """Return how many bytes of a segment are good, and how many there are."""
    total = path.stat().st_size
    with path.open("rb") as file:
        good = len(MAGIC) if file.read(len(MAGIC)) == MAGIC else 0
    for payload in _payloads(path):
        good += _HEADER.size + len(payload)
    return good, total
