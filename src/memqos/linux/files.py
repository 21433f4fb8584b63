"""Control files kept open and re-read in place.

Opening a control file costs several times what reading it does, so a cgroup's descriptors stay open and one
`pread` at offset 0 returns the current text. A text that equals the last one byte for byte has the same
value, so most files of a quiet node are not decoded again. `memqos.linux.observed` says which files are read
when.

A file that may not be read, or whose text cannot be decoded, counts as not there for as long as that lasts;
`CgroupFiles.unread` says which and why. If a new kernel changes the form of one file, only that file is lost.
"""

from __future__ import annotations

import os
from collections.abc import Container
from itertools import compress, count
from operator import ne

from memqos.errors import CgroupGone
from memqos.linux.notice import Notices
from memqos.linux.observed import CONTROL, EVERY, LIVE, OBSERVED, OWN, SELDOM, SWITCH, decoded
from memqos.linux.oserror import node_error
from memqos.linux.reading import ABSENT, Budget, answers, read_closed, read_each, read_whole
from memqos.model.snapshot import Cgroup


class CgroupFiles:
    """The control files of one cgroup that make up its `Cgroup`.

    `above` is its parent's path, `parent` whether it has children itself, `moved` whether the memory counters
    had changed at the last `read`. `unread` gives, by file, why it counts as not there.
    """

    __slots__ = (
        "_age",
        "_budget",
        "_cgroup",
        "_control",
        "_fds",
        "_fields",
        "_live",
        "_looked",
        "_notices",
        "_own",
        "_raws",
        "_refused",
        "_sizes",
        "_switch",
        "_told",
        "_watch",
        "above",
        "directory",
        "inode",
        "moved",
        "parent",
        "path",
        "unread",
    )

    def __init__(
        self, root: str, path: str, inode: int, budget: Budget, notices: Notices, *, parent: bool
    ) -> None:
        self.path = path
        self.above = path.rpartition("/")[0]
        self.inode = inode
        self.parent = parent
        self.directory = f"{root}/{path}" if path else root
        self._budget = budget
        self._notices = notices
        self._watch = 0
        self._age = inode % EVERY  # not all at one look
        self._own = self._live = self._told = 0
        self._control = self._switch = -1
        self._fields: list[str] = []
        self._fds: list[int] = []
        self._sizes: list[int] = []
        self._raws: list[bytes] = []
        self._refused: list[str] = []
        self.unread: dict[str, str] = {}
        self.moved = True
        self._cgroup = Cgroup(path=path, inode=inode)
        self._looked = False
        self._look()

    def _look(self) -> None:
        """Open and read every file for the first time; remember which there are."""
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
            for field, name in OBSERVED.items():
                if field not in SELDOM:
                    self._open(directory, field, name)
            if self.parent:
                self._control = self._open(directory, CONTROL, CONTROL)
            if "memory_pressure" not in self._fields:
                self._switch = self._open(directory, SWITCH, SWITCH)
            self._told = len(self._fields)
            for field in SELDOM:
                self._open(directory, field, OBSERVED[field])
            if not self.alive():
                raise CgroupGone("the cgroup is gone", cgroup=self.path)
            self._cgroup = decoded(self._cgroup, zip(self._fields, self._raws, strict=True), self.unread)
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

    def _open(self, directory: int, field: str, name: str) -> int:
        """Open a file and read it for the first time; return its place, -1 where it cannot be had."""
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
            return -1
        self._fds.append(fd)
        self._budget.kept += 1
        self._fields.append(field)
        self._sizes.append(size)
        self._raws.append(raw)
        return len(self._raws) - 1

    @property
    def names(self) -> list[str]:
        """The files found."""
        return [OBSERVED.get(field, field) for field in self._fields]

    def read(
        self, told: Container[int] | None, *, inside: bool = False, still: bool = False
    ) -> tuple[Cgroup, bool]:
        """Return the cgroup as it is now, and whether its children's controllers changed.

        `told` are the watches with an event since the last look, `None` if that is not known. `inside`: the
        cgroup is in a pod. `still`: that pod's own counters did not change. Raises `CgroupGone` when the
        cgroup vanished.
        """
        if not self._looked or (self._refused and self._mended()):
            return self._again()
        self._age = (self._age + 1) % EVERY
        self.moved = False
        news = bool(self._fds) and (told is None or self._watch in told)
        try:
            if news:
                self._watch = self._notices.arm(self.directory)  # before what it is armed for is read
            if not (self._age and self._watch):
                raws = self._read_all()
            elif news:
                raws = self._read_told(self._own if inside else self._live)
            elif still:
                return self._cgroup, False
            else:
                raws = read_each(self._fds, self._sizes, self._own if inside else self._live)
            known = self._raws[: len(raws)]
            if raws == known:
                return self._cgroup, False
            changed = list(compress(count(), map(ne, raws, known)))
            for index in changed if self._fds else ():
                if len(raws[index]) >= self._sizes[index]:
                    raws[index], self._sizes[index] = read_whole(self._fds[index], self._sizes[index] * 2)
        except OSError:
            return self._again()
        self._raws[: len(raws)] = raws
        texts = [(self._fields[index], raws[index]) for index in changed]
        self._cgroup = decoded(self._cgroup, texts, self.unread)
        self.moved = changed[0] < self._own
        if self._switch in changed:
            return self._again()
        return self._cgroup, self._control in changed

    def _read_told(self, moving: int) -> list[bytes]:
        """Read the first files, which move by themselves, and those that are written or announced."""
        begin, end = self._live, self._told
        raws = read_each(self._fds, self._sizes, moving)
        raws += self._raws[moving:begin]
        raws += read_each(self._fds[begin:end], self._sizes[begin:end], end - begin)
        return raws

    def _read_all(self) -> list[bytes]:
        if self._fds:
            return read_each(self._fds, self._sizes, len(self._fds))
        return read_closed(self.directory, self.inode, self.names)

    def renew(self) -> None:
        """Look anew which files there are: the parent switched a controller on or off."""
        self.close()
        self.moved = True
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
        return any(answers(f"{self.directory}/{name}") for name in self._refused)

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
        self._own = self._live = self._told = 0
        self._control = self._switch = -1
        self._looked = False
        self._fields, self._sizes, self._raws, self._refused, self.unread = [], [], [], [], {}
