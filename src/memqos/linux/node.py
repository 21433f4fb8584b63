"""`LinuxNode`: the `Node` that is this machine.

One `observe()` reads every control file that `Cgroup` has, of every cgroup, from kept
descriptors. The identity of a cgroup is the inode of its directory. A cgroup that vanishes
meanwhile is left out; if that shows the tree to be out of date, the pass is run once more, so
that what was there before `observe()` began is in the snapshot.

The roots may point anywhere: on a tree of plain files everything works but what only a kernel
does (triggers, probing by writes).
"""

from __future__ import annotations

import os
import resource
import time

from memqos.errors import CgroupGone
from memqos.linux import features, procfs
from memqos.linux.apply import apply_write
from memqos.linux.facts import NodeFiles
from memqos.linux.files import Budget, CgroupFiles, ProcFile
from memqos.linux.pressure import Pressed, Trigger
from memqos.linux.tree import Tree
from memqos.model.plan import Value, Write
from memqos.model.snapshot import Cgroup, Snapshot
from memqos.node import Wake

_SPARE = 256
"""Descriptors left to the rest of the process: triggers, journal, sockets."""


class LinuxNode:
    """This machine, or the trees of files at `root`, `proc` and `sys`.

    `subtree` limits the view to one cgroup, what is below it, and its ancestors. `trigger` says
    what pressure wakes `wait`, `descriptors` how many may stay open (default: the process's
    limit, raised as far as it goes without privilege).
    """

    def __init__(
        self,
        root: str = "/sys/fs/cgroup",
        proc: str = "/proc",
        sys: str = "/sys",
        *,
        subtree: str = "",
        trigger: Trigger | None = None,
        descriptors: int | None = None,
    ) -> None:
        """Raise `Unsupported` where there is no cgroup v2 memory controller."""
        self._root = root.rstrip("/") or "/"
        self._sys = sys
        features.check_supported(self._root, proc)
        self._options = _mount_options(self._root, proc)
        self._tree = Tree(self._root, subtree.strip("/"))
        self._budget = Budget(descriptor_budget() if descriptors is None else descriptors)
        self._files: dict[str, CgroupFiles] = {}
        self._facts = NodeFiles(proc)
        boot_id = ProcFile(f"{proc}/sys/kernel/random/boot_id")
        self._boot_id = (boot_id.read() or b"").decode("ascii", "replace").strip()
        boot_id.close()
        self._features: frozenset[str] = frozenset()
        self._dirty = False
        self._pressed = Pressed(self._root, proc, trigger or Trigger(), kernel=self._options is not None)

    @property
    def root(self) -> str:
        """The cgroup root."""
        return self._root

    def observe(self) -> Snapshot:
        """Return everything the policies may look at; see `Node.observe`."""
        now = time.monotonic_ns() // 1000
        self._refresh()
        cgroups = self._read()
        if self._dirty:
            self._refresh()
            cgroups = self._read()
        facts = self._facts.read()
        found = self._features | self._pressed.features | ({"psi"} if facts.memory_pressure else set())
        if facts.swaps:
            found |= {"swap"}
        return Snapshot(time_us=now, boot_id=self._boot_id, node=facts, cgroups=cgroups, features=found)

    def apply(self, write: Write) -> Value | None:
        """Write one knob and return what it reads as now; see `Node.apply`."""
        return apply_write(self._root, write, kernel=self._options is not None)

    def wait(self, seconds: float) -> Wake:
        """Wait for memory pressure in a pod or the node, for `stop`, or for the time to pass."""
        self._pressed.watch(self._files)
        return self._pressed.wait(seconds)

    def stop(self) -> None:
        """End a `wait` under way and every later one at once; safe in a signal handler."""
        self._pressed.stop()

    def close(self) -> None:
        """Close every descriptor."""
        for files in self._files.values():
            files.close()
        self._files.clear()
        self._facts.close()
        self._tree.close()
        self._pressed.close()

    def __enter__(self) -> LinuxNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refresh(self) -> None:
        """Bring the descriptors in line with the tree."""
        if not self._tree.refresh(dirty=self._dirty):
            self._dirty = False
            return
        self._dirty = False
        files: dict[str, CgroupFiles] = {}
        for path, (inode, parent) in self._tree.paths.items():
            old = self._files.pop(path, None)
            if old is not None and old.inode == inode and old.parent == parent:
                files[path] = old
                continue
            if old is not None:
                old.close()
            try:
                files[path] = CgroupFiles(self._root, path, inode, self._budget, parent=parent)
            except CgroupGone:
                self._dirty = True
        for gone in self._files.values():
            gone.close()
        self._files = files
        self._features = features.probe(self._root, files, self._sys, self._options)

    def _read(self) -> dict[str, Cgroup]:
        """Read every cgroup; the ones that are gone mark the tree dirty."""
        cgroups: dict[str, Cgroup] = {}
        renew: set[str] = set()
        for path, files in list(self._files.items()):
            try:
                if renew and path.rpartition("/")[0] in renew and path:
                    files.renew()
                cgroups[path], control_changed = files.read()
            except CgroupGone:
                self._dirty = True
                del self._files[path]
                files.close()
                continue
            if control_changed:
                renew.add(path)
        return cgroups


def _mount_options(root: str, proc: str) -> frozenset[str] | None:
    """Return the mount options if `root` is on a real cgroup2 mount."""
    raw = ProcFile(f"{proc}/self/mountinfo")
    mounts = procfs.cgroup2_mounts(raw.read() or b"")
    raw.close()
    real = os.path.realpath(root)
    holding = [point for point in mounts if real == point or real.startswith(point.rstrip("/") + "/")]
    return mounts[max(holding, key=len)] if holding else None


def descriptor_budget() -> int:
    """Raise the soft limit of open files to the hard one; return how many cgroup files may stay open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(0, soft - _SPARE)
