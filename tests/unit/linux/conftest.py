"""A tree of plain files that looks like a node with cgroup v2, and `faulty`, which breaks one file of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memqos.linux import reading
from memqos.linux.node import LinuxNode

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


class Machine:
    """Plain files with the texts of a real kernel; `cgroup(path)` makes one more."""

    def __init__(self, directory: Path, kernel: str) -> None:
        self._kernel = GOLDEN / f"kernel-{kernel}"
        self.root, self.proc, self.sys = directory / "cgroup", directory / "proc", directory / "sys"
        self._copy(self._kernel / "root", self.root)
        (self.root / "cgroup.stat").unlink()  # it would have to be kept right
        self._copy(self._kernel / "proc", self.proc)
        (self.proc / "sys/kernel/random").mkdir(parents=True)
        (self.proc / "sys/kernel/random/boot_id").write_text("7e3c\n")
        (self.sys / "kernel/mm/lru_gen").mkdir(parents=True)
        (self.sys / "kernel/mm/lru_gen/enabled").write_text("0x0007\n")

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        for path in source.rglob("*"):
            if path.is_file() and path.name not in ("names", "mountinfo"):
                (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
                (target / path.relative_to(source)).write_bytes(path.read_bytes())

    def cgroup(self, path: str) -> Path:
        directory = self.root / path
        self._copy(self._kernel / "busy", directory)
        for write_only in ("memory.reclaim", "cgroup.kill"):
            (directory / write_only).touch()
        (directory / "cgroup.stat").unlink()
        return directory

    def node(self, **options: Any) -> LinuxNode:
        return LinuxNode(str(self.root), str(self.proc), str(self.sys), **options)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "6.12")


Faulty = Callable[[str, int], None]


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """Return `fail(ending, errno)`: from now on every read of a file so named fails; errno 0 mends it."""
    faults: dict[str, int] = {}
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        name = str(Path(f"/proc/self/fd/{fd}").readlink()) if faults else ""
        for ending, number in faults.items():
            if number and name.removesuffix(" (deleted)").endswith(ending):
                raise OSError(number, os.strerror(number), name)
        return real(fd, size, offset)

    monkeypatch.setattr(reading, "pread", pread)
    return faults.__setitem__
