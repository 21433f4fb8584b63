"""The worlds the contract is run in: plain files and simulated nodes here, a real kernel where asked.

MEMQOS_CONTRACT_ROOT=/sys/fs/cgroup runs it as root on a real cgroup2 mount: the cgroup `contract` is
made there with the memory and io controllers, and removed afterwards.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from memqos.linux.node import LinuxNode
from memqos.node import Node

KNOBS = {
    "cgroup.controllers": "cpu io memory pids\n",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "memory.current": "4096\n",
    "memory.min": "0\n",
    "memory.low": "0\n",
    "memory.high": "max\n",
    "memory.max": "max\n",
    "memory.oom.group": "0\n",
    "memory.reclaim": "",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    "memory.stat": "anon 4096\nfile 0\nkernel 0\n",
    "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "memory.swap.current": "0\n",
    "memory.swap.max": "max\n",
    "io.stat": "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n",
    "io.max": "",
}


class FileWorld:
    """A tree of plain files that looks like cgroup v2."""

    kernel = False

    def __init__(self, directory: Path) -> None:
        self.root = directory / "cgroup"
        self.proc = directory / "proc"
        self.sys = directory / "sys"
        self.base = "base"
        self.root.mkdir()
        (self.root / "cgroup.controllers").write_text("cpu io memory pids\n")
        (self.root / "memory.stat").write_text(KNOBS["memory.stat"])
        (self.proc / "pressure").mkdir(parents=True)
        (self.proc / "pressure/memory").write_text(KNOBS["memory.pressure"])
        (self.proc / "meminfo").write_text("MemTotal:        1024000 kB\nMemFree:          512000 kB\n")
        (self.proc / "vmstat").write_text("nr_free_pages 128000\npswpout 0\n")
        self.make(self.base)

    def node(self) -> LinuxNode:
        return LinuxNode(str(self.root), str(self.proc), str(self.sys))

    def make(self, path: str) -> None:
        (self.root / path).mkdir()
        for knob, text in KNOBS.items():
            (self.root / path / knob).write_text(text)

    def remove(self, path: str) -> None:
        """Remove a cgroup without children."""
        shutil.rmtree(self.root / path)


class KernelWorld:
    """The cgroups of a real kernel."""

    kernel = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = "contract"
        self.top = root / self.base
        self.top.mkdir(exist_ok=True)
        for parent in (root, self.top):
            (parent / "cgroup.subtree_control").write_text("+memory +io\n")

    def node(self) -> LinuxNode:
        return LinuxNode(str(self.root), subtree=self.base)

    def make(self, path: str) -> None:
        (self.root / path).mkdir()

    def remove(self, path: str) -> None:
        (self.root / path).rmdir()

    def clear(self) -> None:
        for directory, _, _ in os.walk(self.top, topdown=False):
            Path(directory).rmdir()


class SimWorld:
    """A simulated node."""

    kernel = False
    base = "base"

    def __init__(self, profile: str) -> None:
        # numba and numpy are an extra, and numpy does not load on a guest's emulated processor
        from memqos.sim.machine import Machine
        from memqos.sim.profiles import PROFILES

        self.machine = Machine(PROFILES[profile])
        self.machine.mkdir(self.base)

    def node(self) -> Node:
        from memqos.sim.node import SimNode

        return SimNode(self.machine)

    def make(self, path: str) -> None:
        self.machine.mkdir(path)

    def remove(self, path: str) -> None:
        below = [each for each in self.machine.paths if each.startswith(f"{path}/")]
        for each in [*sorted(below, reverse=True), path]:
            self.machine.rmdir(each)


SIMULATED = ("6.1", "6.12", "7.2")
REAL = os.environ.get("MEMQOS_CONTRACT_ROOT")


@pytest.fixture(params=["kernel"] if REAL else ["files", *SIMULATED])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileWorld | KernelWorld | SimWorld]:
    if request.param == "files":
        yield FileWorld(tmp_path)
    elif request.param in SIMULATED:
        yield SimWorld(request.param)
    else:
        kernel = KernelWorld(Path(REAL or ""))
        yield kernel
        kernel.clear()
