"""The kept descriptors of every cgroup, in line with the tree, and one pass of reading over them."""

from __future__ import annotations

from memqos.errors import CgroupGone
from memqos.linux.files import CgroupFiles
from memqos.linux.notice import Notices
from memqos.linux.reading import Budget
from memqos.linux.tree import Tree
from memqos.model.snapshot import Cgroup


class TreeFiles:
    """The control files of the cgroups below `root`, by path, parents before children.

    `pods` are the cgroups whose inner ones are read sparingly (`memqos.linux.observed`).
    """

    def __init__(self, root: str, subtree: str, budget: Budget) -> None:
        self.files: dict[str, CgroupFiles] = {}
        self.pods: frozenset[str] = frozenset()
        self._root = root
        self._budget = budget
        self._tree = Tree(root, subtree)
        self._notices = Notices()
        self._dirty = False

    def read(self) -> dict[str, Cgroup]:
        """Read every cgroup; once more if one vanished meanwhile, so that none that was there is missed."""
        self._refresh()
        cgroups = self._pass()
        if self._dirty:
            self._refresh()
            cgroups = self._pass()
        return cgroups

    def sample(self) -> str:
        """Return a cgroup that has the memory controller, other than the root; "" when there is none yet."""
        return next((path for path, files in self.files.items() if path and "memory.max" in files.names), "")

    @property
    def unread(self) -> list[tuple[str, dict[str, str]]]:
        """What was there and could not be read, by cgroup."""
        return [*self._tree.unread, *((path, one.unread) for path, one in self.files.items() if one.unread)]

    def close(self) -> None:
        """Close every descriptor."""
        for files in self.files.values():
            files.close()
        self.files.clear()
        self._notices.close()
        self._tree.close()

    def _refresh(self) -> None:
        """Bring the descriptors in line with the tree."""
        changed = self._tree.refresh(dirty=self._dirty)
        if not changed and not self._dirty:
            return
        old, files = self.files, {}
        self._dirty = True  # until every cgroup is open
        missed = False
        try:
            for path, (inode, parent) in self._tree.paths.items():
                kept = old.get(path)
                if kept is not None and kept.inode == inode and kept.parent == parent:
                    files[path] = kept
                    continue
                try:
                    files[path] = CgroupFiles(
                        self._root, path, inode, self._budget, self._notices, parent=parent
                    )
                except CgroupGone:
                    missed = True
        finally:
            self.files = files
            for path, kept in old.items():
                if files.get(path) is not kept:
                    kept.close()
        self._dirty = missed

    def _pass(self) -> dict[str, Cgroup]:
        """Read every cgroup; the ones that are gone mark the tree dirty."""
        cgroups: dict[str, Cgroup] = {}
        renew: set[str] = set()
        told = self._notices.told()
        pods, moved = self.pods, set[str]()
        for path, files in list(self.files.items()):
            parent = files.above
            try:
                if renew and path and parent in renew:
                    files.renew()
                inside = parent in pods
                cgroups[path], control_changed = files.read(
                    told, inside=inside, still=inside and parent not in moved
                )
            except CgroupGone:
                self._dirty = True
                del self.files[path]
                files.close()
                continue
            if files.moved:
                moved.add(path)
            if control_changed:
                renew.add(path)
        return cgroups
