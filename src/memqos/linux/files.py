"""Control files kept open and re-read in place: the one module that reads what the kernel prints.

Opening a control file costs several times what reading it does, so a cgroup's descriptors stay
open and one `pread` at offset 0 brings a fresh text. A text that is byte for byte the last one
has the last one's value, so most files of a quiet node are never decoded again.

Only counters are read at every look: those of `LIVE`, and inside of pods those of `OWN`. What changes by a
write, and what the kernel announces, is read when the cgroup was told of (`memqos.linux.notice`), and at
every `EVERY`th look of it, should it have changed without a word; so is what nobody decides by.

A control file prints itself into one record, so one `pread` gets it whole if the buffer is large
enough; a read that fills its buffer is repeated with a larger one.

A file that is refused, or whose text does not read, counts as not there, in that cgroup and for as long
as it lasts: `CgroupFiles.unread` says which and why. A new kernel's new form of one file costs that file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Container, Iterable
from itertools import compress, count, repeat
from operator import ne
from typing import Final

from msgspec.structs import replace

from memqos.errors import CgroupGone
from memqos.linux.cgroupfs import FILES
from memqos.linux.notice import Notices
from memqos.linux.oserror import node_error
from memqos.model.snapshot import Cgroup

pread = os.pread
"""The one function that reads a control file; tests put faults here."""

CONTROL: Final = "cgroup.subtree_control"
"""Watched in cgroups with children: when it changes, the children have other files."""

SWITCH: Final = "cgroup.pressure"
"""Watched in cgroups without pressure files: when it is switched on, they come back (6.1)."""

OWN: Final = ("memory_current", "memory_stat", "memory_swap_current")
LIVE: Final = (*OWN, "memory_pressure", "io_stat", "io_pressure")
"""Fields of `Cgroup` that move without a word, and that policies decide by: of what is in a pod by `OWN`."""

EVERY: Final = 16

OBSERVED: Final = {
    field: field.replace("_", ".")
    for field in (*LIVE, *(field for field in Cgroup.__struct_fields__ if field not in LIVE))
    if field not in ("path", "inode")
}
"""Field of `Cgroup` to control file, those of every look first."""

_DECODE: Final = {field: FILES[name].codec.decode for field, name in OBSERVED.items()}

ABSENT: Final = (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP)
"""What a knob answers that this cgroup has not: no file, controller off, PSI off at boot."""


class Budget:
    """How many descriptors may stay open; `kept` are. Beyond it files are opened for every read."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = 0


class CgroupFiles:
    """The control files of one cgroup that make up its `Cgroup`.

    `parent` tells that it has children. `unread` is, by file, why it counts as not there.
    """

    __slots__ = (
        "_age",
        "_budget",
        "_cgroup",
        "_fds",
        "_fields",
        "_live",
        "_looked",
        "_notices",
        "_own",
        "_raws",
        "_refused",
        "_sizes",
        "_watch",
        "directory",
        "inode",
        "parent",
        "path",
        "unread",
    )

    def __init__(
        self, root: str, path: str, inode: int, budget: Budget, notices: Notices, *, parent: bool
    ) -> None:
        self.path = path
        self.inode = inode
        self.parent = parent
        self.directory = f"{root}/{path}" if path else root
        self._budget = budget
        self._notices = notices
        self._watch = 0
        self._age = inode % EVERY  # not all at one look
        self._own = self._live = 0
        self._fields: list[str] = []
        self._fds: list[int] = []
        self._sizes: list[int] = []
        self._raws: list[bytes] = []
        self._refused: list[str] = []
        self.unread: dict[str, str] = {}
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
            if error.errno in ABSENT or not self.path:
                raise node_error(error, cgroup=self.path, knob="", directory_exists=False) from None
            self.unread[""] = os.strerror(error.errno or 0)
            return
        try:
            if os.fstat(directory).st_ino != self.inode:
                raise CgroupGone("another cgroup was born under this path", cgroup=self.path)
            self._watch = self._notices.arm(self.directory)
            for field, name in wanted.items():
                self._open(directory, field, name)
            if "memory_pressure" not in self._fields:
                self._open(directory, SWITCH, SWITCH)
            if not self.alive():
                raise CgroupGone("the cgroup is gone", cgroup=self.path)
            self._cgroup = self._decoded(range(len(self._raws)))
        except BaseException:
            self.close()
            raise
        finally:
            os.close(directory)
        self._looked = True
        self._own = sum(field in OWN for field in self._fields)
        self._live = sum(field in LIVE for field in self._fields)
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
            if error.errno not in ABSENT:
                self._refused.append(name)
                self.unread[name] = os.strerror(error.errno or 0)
            return
        self._fds.append(fd)
        self._budget.kept += 1
        self._fields.append(field)
        self._sizes.append(size)
        self._raws.append(raw)

    @property
    def names(self) -> Iterable[str]:
        """The files found."""
        return [OBSERVED.get(field, field) for field in self._fields]

    def read(self, told: Container[int] | None, *, inside: bool = False) -> tuple[Cgroup, bool]:
        """Return the cgroup as it is now, and whether its children's controllers changed.

        `told` are the watches that were told of since the last look; `None`: that is not known. `inside`
        tells that it is in a pod. Raises `CgroupGone` when it vanished.
        """
        if not self._looked or (self._refused and self._mended()):
            return self._again()
        self._age = (self._age + 1) % EVERY
        known = self._raws
        try:
            if told is None or not self._age or not self._watch or self._watch in told:
                if told is None or self._watch in told:
                    self._watch = self._notices.arm(self.directory)  # before what it is armed for is read
                raws = self._read_all()
            else:
                live = self._own if inside else self._live
                raws = list(map(pread, self._fds, self._sizes, repeat(0, live)))
                known = known[:live]
            if raws == known:
                return self._cgroup, False
            changed = list(compress(count(), map(ne, raws, known)))
            for index in changed if self._fds else ():
                if len(raws[index]) >= self._sizes[index]:
                    raws[index], self._sizes[index] = read_whole(self._fds[index], self._sizes[index] * 2)
        except OSError:
            return self._again()
        self._raws[: len(raws)] = raws
        self._cgroup = self._decoded(changed)
        # what is watched stands last, see `_look`
        last = self._fields[changed[-1]]
        if last == SWITCH:
            return self._again()
        return self._cgroup, last == CONTROL

    def _read_all(self) -> list[bytes]:
        return list(map(pread, self._fds, self._sizes, repeat(0))) if self._fds else self._read_closed()

    def _decoded(self, changed: Iterable[int]) -> Cgroup:
        """Return the cgroup with the values that the texts at these places have now."""
        fields, raws, values = self._fields, self._raws, {}
        for index in changed:
            field = fields[index]
            if (decode := _DECODE.get(field)) is None:
                continue
            try:
                values[field] = decode(raws[index])
            except (ValueError, OverflowError) as error:
                values[field] = None
                self.unread[OBSERVED[field]] = str(error)
            else:
                if self.unread:
                    self.unread.pop(OBSERVED[field], None)
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

    def _mended(self) -> bool:
        """Tell whether a refused file has another answer by now."""
        for name in self._refused:
            try:
                fd = os.open(f"{self.directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    read_whole(fd, 512)
                finally:
                    os.close(fd)
            except OSError as error:
                if error.errno not in ABSENT:
                    continue
            return True
        return False

    def alive(self) -> bool:
        """Tell whether the very cgroup is still at its path."""
        try:
            return os.stat(self.directory).st_ino == self.inode
        except OSError:
            return False

    def _drop(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._budget.kept -= len(self._fds)
        self._fds = []
        self._notices.disarm(self._watch)
        self._watch = 0

    def close(self) -> None:
        """Close every descriptor."""
        self._drop()
        self._own = self._live = 0
        self._looked = False
        self._fields, self._sizes, self._raws, self._refused, self.unread = [], [], [], [], {}


def read_whole(fd: int, size: int) -> tuple[bytes, int]:
    """Read a control file in one piece; also return the buffer size that leaves it room to grow."""
    raw = pread(fd, size, 0)
    while len(raw) >= size:
        size *= 4
        raw = pread(fd, size, 0)
    return raw, max(64, -(-len(raw) * 3 // 2 // 64) * 64)
