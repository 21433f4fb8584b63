"""The runner's part of the cgroup tree: made as a kubelet makes it, and taken away again.

The top cgroup carries an extended attribute with the process that made it (cgroup2 has had user.*
attributes since 5.7). So a tree left behind by a runner that crashed is told from a kubelet's, and the
tree of a runner that lives from one that does not; both go away with the cgroup, and nothing is kept
in files that could outlive it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from memqos.errors import Busy, LockHeld, Unsupported
from memqos.linux.features import check_supported
from memqos.linux.oserror import node_error
from memqos.model.events import oom_kills

OWNER: Final = "user.memqos.runner"
CONTROLLERS: Final = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
"""What a kubelet wants at each of its cgroups, and io, which memqos needs."""


class Tree:
    """The cgroups below `top`, a path below the cgroup root `root`."""

    def __init__(self, root: Path, top: str) -> None:
        self.root = root
        self.top = top

    def directory(self, cgroup: str) -> Path:
        """The directory of a cgroup, given by its path below the root."""
        return self.root / cgroup

    def claim(self) -> None:
        """Make the top cgroup ours, cleaning away what a dead runner left.

        Raises `Unsupported` where there is no cgroup v2 memory controller or a kubelet's tree is
        there, `LockHeld` when another runner lives.
        """
        self._check()
        top = self.directory(self.top)
        if top.exists():
            owner = _owner(top)
            if owner is None and any(each.is_dir() for each in top.iterdir()):
                remedy = "stop the kubelet, or choose another cgroup root"
                raise Unsupported(f"{top} is there and not ours: a kubelet manages this node", remedy=remedy)
            pid = int(owner.split()[0]) if owner else 0
            if owner and owner == _identity(pid):
                raise LockHeld(f"{top} belongs to the pod runner of process {pid}; stop it first")
            if not self.remove(self.top):
                raise Busy("what a former pod runner left cannot be removed", cgroup=self.top)
        self.make(self.top)
        os.setxattr(top, OWNER, _identity(os.getpid()).encode())

    def _check(self) -> None:
        check_supported(str(self.root))
        for name in ("kubepods.slice", "kubepods"):
            other = self.directory(self.top).parent / name
            if name != self.top.rpartition("/")[2] and other.exists():
                raise Unsupported(f"{other} is there: a kubelet manages this node", remedy="stop it first")

    def make(self, cgroup: str) -> None:
        """Make a cgroup, and those above it, with the controllers on at each level above."""
        parent = self.root
        for part in cgroup.split("/"):
            try:
                _enable(parent)
                parent = parent / part
                parent.mkdir(exist_ok=True)
            except OSError as error:
                path = str(parent.relative_to(self.root)) if parent != self.root else ""
                raise node_error(
                    error, cgroup=path, knob="cgroup.subtree_control", directory_exists=parent.exists()
                ) from None

    def kill(self, cgroup: str) -> None:
        """SIGKILL all that runs in a cgroup and below."""
        kill(self.directory(cgroup))

    def remove(self, cgroup: str, seconds: float = 10.0) -> bool:
        """Kill all that runs in a cgroup and remove it; false if that was not over in `seconds`."""
        directory = self.directory(cgroup)
        deadline = time.monotonic() + seconds
        while directory.exists():
            kill(directory)
            for each in _bottom_up(directory):
                with contextlib.suppress(OSError):
                    each.rmdir()
            if time.monotonic() > deadline:
                return False
            if directory.exists():
                time.sleep(0.01)
        return True

    def oom_kills(self, cgroup: str) -> int:
        """How often the OOM killer came for a cgroup; 0 when `memory.events` cannot be read."""
        try:
            lines = (self.directory(cgroup) / "memory.events").read_text().splitlines()
        except OSError:
            return 0
        return oom_kills({name: int(count) for name, _, count in (line.partition(" ") for line in lines)})


def kill(directory: Path) -> None:
    """SIGKILL every process of a cgroup and below: `cgroup.kill` (5.14), or one by one."""
    try:
        descriptor = os.open(directory / "cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        for each in _bottom_up(directory):
            _kill_one_by_one(each)
        return
    with contextlib.suppress(OSError):
        os.write(descriptor, b"1")
    os.close(descriptor)


def _kill_one_by_one(directory: Path) -> None:
    with contextlib.suppress(OSError):
        for pid in (directory / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _enable(directory: Path) -> None:
    try:
        available = (directory / "cgroup.controllers").read_text().split()
        enabled = (directory / "cgroup.subtree_control").read_text().split()
    except FileNotFoundError:
        return
    for name in CONTROLLERS:
        if name not in available or name in enabled:
            continue
        try:
            (directory / "cgroup.subtree_control").write_text(f"+{name}")
        except OSError:
            # cpu cannot be turned on beside real-time tasks, for one; memory is what this is about
            if name == "memory":
                raise


def _bottom_up(directory: Path) -> Iterator[Path]:
    for path, _, _ in os.walk(directory, topdown=False):
        yield Path(path)


def _owner(directory: Path) -> str | None:
    try:
        return os.getxattr(directory, OWNER).decode()
    except OSError:
        return None


def _identity(pid: int) -> str:
    """A process that is not taken for a later one of the same pid: its start time in clock ticks."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return f"{pid} gone"
    return f"{pid} {stat.rpartition(')')[2].split()[19]}"
