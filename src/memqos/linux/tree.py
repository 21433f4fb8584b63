"""The directory tree of the cgroups, walked again only when it changed.

`cgroup.stat` of the top says how many cgroups live below it (`nr_descendants`). A cgroup that died
is noticed by its kept descriptors (ENODEV). So when all known cgroups are alive and their number is
right, there are no others: cgroups cannot be renamed on cgroup v2. One read replaces the walk.
A tree without `cgroup.stat` (a test's) is walked every time. Where a directory is refused, what is below
it is not seen, and `unread` says so; only at the top (and above it) that is an error.
"""

from __future__ import annotations

import os

from memqos.linux.oserror import node_error
from memqos.linux.reading import pread


class Tree:
    """The cgroups below `top` (a path below `root`), and the ancestors of `top`."""

    def __init__(self, root: str, top: str = "") -> None:
        self._root = root
        self._top = top
        self._stat_fd = -1
        self._stat = b""
        self._known: int | None = None
        self.paths: dict[str, tuple[int, bool]] = {}
        """Path to (inode, has children), parents before children, names in order."""
        self.unread: list[tuple[str, dict[str, str]]] = []
        """Path and reason, in the form `unread.summary` takes."""

    def refresh(self, *, dirty: bool = False) -> bool:
        """Walk again if the tree changed, or if `dirty`; tell whether it did."""
        stat = self._read_stat()
        if stat and not dirty and (stat == self._stat or self._count(stat) == self._known):
            self._stat = stat
            return False
        paths: dict[str, tuple[int, bool]] = {}
        self.unread = []
        if self._top:
            parts = self._top.split("/")
            for depth in range(len(parts)):
                self._visit("/".join(parts[:depth]), paths, deep=False)
        ancestors = len(paths)
        self._visit(self._top, paths, deep=True)
        self._known = len(paths) - ancestors - 1
        self._stat = stat if self._count(stat) == self._known else b""
        changed = paths != self.paths
        self.paths = paths
        return changed

    def _visit(self, path: str, paths: dict[str, tuple[int, bool]], *, deep: bool) -> None:
        """Add a cgroup and what is below it; one that vanished meanwhile is left out."""
        directory = f"{self._root}/{path}" if path else self._root
        names: list[str] = []
        inode = 0
        try:
            inode = os.stat(directory).st_ino
            with os.scandir(directory) as entries:
                names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if not deep or path == self._top:
                raise node_error(error, cgroup=path, knob="", directory_exists=True) from None
            self.unread.append((path, {"": os.strerror(error.errno or 0)}))
            if not inode:
                return
        paths[path] = (inode, bool(names) or not deep)
        if deep:
            for name in names:
                self._visit(f"{path}/{name}" if path else name, paths, deep=True)

    @staticmethod
    def _count(stat: bytes) -> int:
        words = stat.split(None, 2)
        return (
            int(words[1]) if len(words) > 1 and words[0] == b"nr_descendants" and words[1].isdigit() else -1
        )

    def _read_stat(self) -> bytes:
        try:
            if self._stat_fd < 0:
                top = f"{self._root}/{self._top}" if self._top else self._root
                self._stat_fd = os.open(f"{top}/cgroup.stat", os.O_RDONLY | os.O_CLOEXEC)
            return pread(self._stat_fd, 4096, 0)
        except OSError:
            self.close()
            return b""

    def close(self) -> None:
        """Close the descriptor."""
        if self._stat_fd >= 0:
            os.close(self._stat_fd)
            self._stat_fd = -1
