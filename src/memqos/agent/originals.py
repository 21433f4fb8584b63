"""What each knob held before memqos, kept in a file before the first write to it.

The file `originals` in the state directory is an append-only list of records, one JSON object a
line, each with a checksum. Before a batch of writes reaches the kernel, every knob's original and
the value about to be written are in the file. So after `kill -9` at any point it is known
for every knob what to go back to, and whether what it holds is memqos's or somebody's newer value.

A knob is known by path, inode and boot: a cgroup reborn under the same name is another cgroup, and
a reboot ends everything. So nothing here is worth an `fsync`, which takes seconds on the disk of a node that
thrashes, just when nothing may wait: what a killed process wrote stays in the page cache, and what a crash
of the machine loses is void anyway.

A half-written last line is from a batch that never reached the kernel, so it is dropped. Any other line that
does not read was damaged later: what its knob held is lost, and whoever opens the file says so
(`Originals.damage`).
"""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from memqos.agent.original import Intent, Kept, Key, Original, written_over
from memqos.errors import AgentError
from memqos.model.plan import Advice

NAME: Final = "originals"
_COMPACT_ABOVE: Final = 4096
"""Lines of the file from which on forgetting writes it anew."""


class _Line(msgspec.Struct, array_like=True):
    boot: str
    cgroup: str
    inode: int
    knob: str
    original: Kept
    ours: tuple[Kept, ...]
    """Empty: the knob is forgotten."""


class Originals:
    """The remembered knobs of this boot; `damaged` is how many records could not be read.

    A file with such records is kept beside the new one, as `originals.damaged`.

    Raises `AgentError` for a file that cannot be read, `OSError` when the disk does not take a record.

    Only the holder of the directory's lock may open it. Without a directory nothing is read or
    kept: for a dry run, which writes no knob.
    """

    def __init__(self, directory: Path | None, boot_id: str) -> None:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        self.path = None if directory is None else directory / NAME
        self.boot_id = boot_id
        self.damaged = 0
        self._known: dict[Key, Original] = {}
        self._lines = 0
        self._load()
        if self._lines > len(self._known):
            with contextlib.suppress(OSError):  # a full disk: the longer file says the same
                self._compact()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: Key) -> Original | None:
        """Return what is remembered of a knob."""
        return self._known.get(key)

    def all(self) -> tuple[Original, ...]:
        """Return everything remembered, oldest first."""
        return tuple(self._known.values())

    def damage(self) -> tuple[Advice, ...]:
        """Return what a person should know of records that could not be read; nothing when all could."""
        if not self.damaged:
            return ()
        problem = f"{self.damaged} records of {self.path} are damaged: what those knobs held is not known"
        remedy = f"look at {self.path}.damaged, and set by hand what is not as it should be"
        return (Advice("memqos itself", problem, remedy, "agent"),)

    def remember(self, intents: Iterable[Intent]) -> None:
        """Put into the file what is about to be written; nothing changes when the disk refuses.

        A knob that holds what somebody else wrote gets a new original.
        """
        fresh = {}
        for intent in intents:
            after = written_over(self._known.get(intent.key), intent)
            if after is not None:
                fresh[intent.key] = after
        self._append(fresh.values())
        self._known.update(fresh)

    def forget(self, keys: Iterable[Key]) -> None:
        """Drop knobs that hold their originals again, or whose cgroup is gone."""
        gone = [self._known[key] for key in dict.fromkeys(keys) if key in self._known]
        self._append(msgspec.structs.replace(known, ours=()) for known in gone)
        for known in gone:
            del self._known[known.key]
        if self._lines > _COMPACT_ABOVE:
            self._compact()

    def _append(self, records: Iterable[Original]) -> None:
        lines = [self._encode(record) for record in records]
        if not lines or self.path is None:
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            end = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, b"".join(lines))
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
        self._lines += len(lines)

    def _load(self) -> None:
        if self.path is None:
            return
        data = _contents(self.path)
        whole, _, torn = data.rpartition(b"\n")
        if torn:
            os.truncate(self.path, len(data) - len(torn))
        for line in whole.splitlines():
            self._lines += 1
            record = _decode(line)
            self.damaged += record is None
            if record is None or record.boot != self.boot_id:
                continue
            original = Original(record.cgroup, record.inode, record.knob, record.original, record.ours)
            self._known.pop(original.key, None)
            if record.ours:
                self._known[original.key] = original
        if self.damaged:
            with contextlib.suppress(OSError):
                self.path.with_suffix(".damaged").write_bytes(data)

    def _compact(self) -> None:
        """Write the file anew without what was forgotten, and put it in place at once."""
        if self.path is None:
            return
        lines = [self._encode(record) for record in self._known.values()]
        anew = self.path.with_suffix(".new")
        descriptor = os.open(anew, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, b"".join(lines))
        finally:
            os.close(descriptor)
        anew.replace(self.path)
        self._lines = len(lines)

    def _encode(self, record: Original) -> bytes:
        line = msgspec.json.encode(
            _Line(self.boot_id, record.cgroup, record.inode, record.knob, record.value, record.ours)
        )
        return b"%08x %s\n" % (zlib.crc32(line), line)


def _contents(path: Path) -> bytes:
    """What a file holds, nothing when there is none; raises `AgentError`, also for what is no file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return file.read()
            problem = "is not a file"
    except FileNotFoundError:
        return b""
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise AgentError(f"{path} {problem}; look what it is, or name another state directory")


def _decode(line: bytes) -> _Line | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return msgspec.json.decode(text, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
