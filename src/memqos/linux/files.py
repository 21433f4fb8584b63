"""Control files kept open and re-read in place: the one module that reads what the kernel prints.

Opening a control file costs several times what reading it does, so a cgroup's descriptors stay
open and one `pread` at offset 0 brings a fresh text. A text that is byte for byte the last one
has the last one's value, so most files of a quiet node are never decoded again.

A control file prints itself into one record, so one `pread` gets it whole if the buffer is large
enough; a read that fills its buffer is repeated with a larger one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from itertools import compress, count, repeat
from operator import ne
from typing import Final

from msgspec.structs import replace

from memqos.errors import CgroupGone, NodeError, Unreadable
from memqos.linux.cgroupfs import FILES
from memqos.linux.oserror import node_error
from memqos.model.snapshot import Cgroup

pread = os.pread
"""The one function that reads a control file; tests put faults here."""

CONTROL: Final = "cgroup.subtree_control"

OBSERVED: Final = {
    field: field.replace("_", ".") for field in Cgroup.__struct_fields__ if field not in ("path", "inode")
}
"""Field of `Cgroup` to control file."""

_DECODE: Final = {field: FILES[name].codec.decode for field, name in OBSERVED.items()}

_ABSENT: Final = (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP)
"""What a knob answers that this cgroup has not: no file, controller off, PSI off at boot."""


class Budget:
    """How many descriptors may stay open; `kept` are. Beyond it files are opened for every read."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = 0


class CgroupFiles:
    """The control files of one cgroup that make up its `Cgroup`.

    `parent` also watches `cgroup.subtree_control`: when it changes, the children have other files.
    """

    __slots__ = (
        "_budget",
        "_cgroup",
        "_fds",
        "_fields",
        "_looked",
        "_raws",
        "_sizes",
        "directory",
        "inode",
        "parent",
        "path",
    )

    def __init__(self, root: str, path: str, inode: int, budget: Budget, *, parent: bool) -> None:
        self.path = path
        self.inode = inode
        self.parent = parent
        self.directory = f"{root}/{path}" if path else root
        self._budget = budget
        self._fields: list[str] = []
        self._fds: list[int] = []
        self._sizes: list[int] = []
        self._raws: list[bytes] = []
        self._cgroup = Cgroup(path=path, inode=inode)
        self._looked = False
        self._look()

    def _look(self) -> None:
        """Open and read every file for the first time; remember which there are."""
        wanted = dict(OBSERVED)
        if self.parent:
            wanted[CONTROL] = CONTROL
        try:
            directory = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise node_error(error, cgroup=self.path, knob="", directory_exists=False) from None
        try:
            if os.fstat(directory).st_ino != self.inode:
                raise CgroupGone("another cgroup was born under this path", cgroup=self.path)
            for field, name in wanted.items():
                self._open(directory, field, name)
            if not self.alive():
                raise CgroupGone("the cgroup is gone", cgroup=self.path)
            self._cgroup = self._decoded(range(len(self._raws)))
        except BaseException:
            self.close()
            raise
        finally:
            os.close(directory)
        self._looked = True
        if self._budget.kept > self._budget.limit:
            self._drop()

    def _open(self, directory: int, field: str, name: str) -> None:
        fd = -1
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
            raw, size = read_whole(fd, 512)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            if error.errno in _ABSENT:
                return
            raise self._error(error, name) from None
        self._fds.append(fd)
        self._budget.kept += 1
        self._fields.append(field)
        self._sizes.append(size)
        self._raws.append(raw)

    @property
    def names(self) -> Iterable[str]:
        """The files found."""
        return [OBSERVED.get(field, field) for field in self._fields]

    def read(self) -> tuple[Cgroup, bool]:
        """Return the cgroup as it is now, and whether its children's controllers changed.

        Raises `CgroupGone` when it vanished, another `NodeError` for any other refusal.
        """
        if not self._looked:  # the last look failed halfway
            return self._again()
        try:
            raws = list(map(pread, self._fds, self._sizes, repeat(0))) if self._fds else self._read_closed()
            if raws == self._raws:
                return self._cgroup, False
            changed = list(compress(count(), map(ne, raws, self._raws)))
            for index in changed if self._fds else ():
                if len(raws[index]) >= self._sizes[index]:
                    raws[index], self._sizes[index] = read_whole(self._fds[index], self._sizes[index] * 2)
        except OSError:
            return self._again()
        self._raws = raws
        self._cgroup = self._decoded(changed)
        return self._cgroup, any(self._fields[index] == CONTROL for index in changed)

    def _decoded(self, changed: Iterable[int]) -> Cgroup:
        """Return the cgroup with the values that the texts at these places have now."""
        fields, raws, values = self._fields, self._raws, {}
        field = ""
        try:
            for index in changed:
                field = fields[index]
                if field != CONTROL:
                    values[field] = _DECODE[field](raws[index])
        except ValueError as error:
            self._raws = [b""] * len(fields)  # so that the next read decodes and fails again
            raise Unreadable(str(error), cgroup=self.path, knob=OBSERVED[field]) from None
        return replace(self._cgroup, **values)

    def _read_closed(self) -> list[bytes]:
        """Read files that are not kept open; ENODEV when the path leads to another cgroup by now."""
        raws = []
        directory = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if os.fstat(directory).st_ino != self.inode:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            for field in self._fields:
                fd = os.open(OBSERVED.get(field, field), os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
                try:
                    raws.append(read_whole(fd, 8192)[0])
                finally:
                    os.close(fd)
        finally:
            os.close(directory)
        return raws

    def renew(self) -> None:
        """Look anew which files there are: the parent switched a controller on or off."""
        self.close()
        self._cgroup = Cgroup(path=self.path, inode=self.inode)
        self._look()

    def _again(self) -> tuple[Cgroup, bool]:
        """Look anew after a failed read: the cgroup is gone, or it lost a controller."""
        if not self.alive():
            raise CgroupGone("the cgroup is gone", cgroup=self.path)
        self.renew()
        return self._cgroup, self.parent

    def alive(self) -> bool:
        """Tell whether the very cgroup is still at its path."""
        try:
            return os.stat(self.directory).st_ino == self.inode
        except OSError:
            return False

    def _error(self, error: OSError, name: str) -> NodeError:
        return node_error(error, cgroup=self.path, knob=name, directory_exists=self.alive())

    def _drop(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._budget.kept -= len(self._fds)
        self._fds = []

    def close(self) -> None:
        """Close every descriptor."""
        self._drop()
        self._looked = False
        self._fields, self._sizes, self._raws = [], [], []


def read_whole(fd: int, size: int) -> tuple[bytes, int]:
    """Read a control file in one piece; also return the buffer size that leaves it room to grow."""
    raw = pread(fd, size, 0)
    while len(raw) >= size:
        size *= 4
        raw = pread(fd, size, 0)
    return raw, max(64, -(-len(raw) * 3 // 2 // 64) * 64)


class ProcFile:
    """A file of /proc or /sys, kept open. It comes in pieces, so it is read until nothing follows.

    `read` returns `None` when the machine has no such file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._missing = False

    def read(self) -> bytes | None:
        """Return the whole text."""
        if self._missing:
            return None
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            raw = piece = pread(self._fd, 65536, 0)
            while piece:
                piece = pread(self._fd, 65536, len(raw))
                raw += piece
        except OSError as error:
            if error.errno in _ABSENT:
                self._missing = True
                return None
            raise node_error(error, cgroup="", knob=self.path, directory_exists=True) from None
        return raw

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
