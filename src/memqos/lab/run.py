"""Run a command on a real kernel: `run_in_guest`, and an interactive `shell`.

A lost machine, or one whose clock went wrong, is tried once more, without KVM; lost again it is `VmLost`,
never a failed command.
"""

from __future__ import annotations

import compileall
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

import memqos
from memqos.errors import VmLost
from memqos.lab import clock
from memqos.lab.accel import accelerator
from memqos.lab.initramfs import SHARE
from memqos.lab.kernels import Kernel, fetch
from memqos.lab.qemu import Disk
from memqos.lab.spec import Setup, Spec
from memqos.lab.vm import Vm
from memqos.units import MIB


@dataclass(frozen=True)
class GuestResult:
    """What came out of a guest: the command's exit status and output, its files, the console."""

    status: int
    stdout: str
    files: Mapping[str, Path]
    console: Path
    kernel: Kernel
    accel: str
    attempts: int


@dataclass(frozen=True)
class Machine:
    """The guest's hardware and how it is made ready. `swap_mib` adds a disk `swap` and uses it."""

    memory_mib: int = 1024
    cpus: int = 2
    disks: Sequence[Disk] = ()
    swap_mib: int = 0
    setup: Setup = field(default_factory=Setup)

    def fitted(self) -> tuple[tuple[Disk, ...], Setup]:
        """Return all disks, the swap disk included, and the setup that uses them."""
        disks, setup = tuple(self.disks), self.setup
        if self.swap_mib:
            disks += (Disk("swap", self.swap_mib * MIB),)
            setup = msgspec.structs.replace(setup, swaps=(*setup.swaps, "swap"))
        told = {disk.serial: disk.rotational for disk in disks if disk.rotational is not None}
        return disks, msgspec.structs.replace(setup, rotational={**told, **setup.rotational})


def run_in_guest(
    argv: Sequence[str],
    *,
    kernel: str | Kernel,
    out_dir: Path,
    machine: Machine | None = None,
    timeout: float = 300,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[str], None] | None = None,
    keep: bool = False,
) -> GuestResult:
    """Run a command as root in a guest made of the host's own root, and return what came out.

    `timeout` is in seconds, boot included. `out_dir` receives `console.log`, `stdout`, `spec.json`
    and, below `out`, the files the command left in `$MEMQOS_OUT`. `watch` gets each line that the
    command prints, while it runs; with `keep` the files of an earlier run, and of a machine that was lost,
    stay there. Raises `ToolMissing`, `VmLost`, `LabError`.
    """
    booted = kernel if isinstance(kernel, Kernel) else fetch(kernel)
    disks, setup = (machine or Machine()).fitted()
    spec = Spec(argv=tuple(argv), setup=setup, cwd=str(cwd or "/"), environment=dict(environment or {}))
    out_dir = out_dir.resolve()
    accel = accelerator(booted)
    for attempt in (1, 2):
        _clear(out_dir, keep=keep)
        (out_dir / "spec.json").write_bytes(msgspec.json.encode(spec))
        vm = _vm(booted, out_dir, machine or Machine(), disks, accel)
        try:
            with vm:
                status = vm.wait(timeout, _follow(out_dir / "stdout", watch) if watch else None)
            clock.check(out_dir)
        except VmLost:
            if attempt == 2:
                raise
            (out_dir / "console.log").rename(out_dir / "console-lost.log")
            accel = "tcg"
            continue
        return GuestResult(
            status, _text(out_dir / "stdout"), _files(out_dir), vm.console, booted, accel, attempt
        )
    raise AssertionError("unreachable")


def shell(kernel: str, *, machine: Machine | None = None) -> int:
    """Open a shell on a real kernel, on this terminal; return its exit status. `exit` ends the machine."""
    booted = fetch(kernel)
    chosen = machine or Machine(swap_mib=512, disks=(Disk("data", 512 * MIB),), setup=Setup(data="data"))
    disks, setup = chosen.fitted()
    with tempfile.TemporaryDirectory(prefix="memqos-shell-") as share:
        spec = Spec(argv=("/bin/sh", "-i"), setup=setup, cwd=str(Path.cwd()))
        (Path(share) / "spec.json").write_bytes(msgspec.json.encode(spec))
        vm = _vm(booted, Path(share), chosen, disks, accelerator(booted), interactive=True)
        with vm:
            return vm.wait(float("inf"))


def _vm(
    kernel: Kernel,
    share: Path,
    machine: Machine,
    disks: tuple[Disk, ...],
    accel: str,
    *,
    interactive: bool = False,
) -> Vm:
    source = Path(memqos.__file__).resolve().parents[1]
    compileall.compile_dir(source / "memqos", quiet=2)  # compiling is slow under emulation
    path = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
    environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "MEMQOS_IN_GUEST": "1"}
    return Vm(
        kernel,
        [sys.executable, "-m", "memqos.lab.guest", f"{SHARE}/spec.json"],
        share,
        memory_mib=machine.memory_mib,
        cpus=machine.cpus,
        disks=disks,
        environment=environment | ({"MEMQOS_INTERACTIVE": "1"} if interactive else {}),
        accel=accel,
        interactive=interactive,
    )


def _follow(path: Path, watch: Callable[[str], None]) -> Callable[[], None]:
    """Return a function that passes on each whole line that a file has grown by."""
    done = 0

    def look() -> None:
        nonlocal done
        if not path.exists() or path.stat().st_size == done:
            return
        lines = path.read_bytes()[done:].split(b"\n")
        done += sum(len(line) + 1 for line in lines[:-1])
        for line in lines[:-1]:
            watch(line.decode(errors="replace"))

    return look


def _clear(out_dir: Path, *, keep: bool) -> None:
    """Take away what an earlier run left, so that no old file is read as a new one."""
    (out_dir / "out").mkdir(parents=True, exist_ok=True)
    left = [] if keep else out_dir.glob("out/**/*")
    for path in [*left, *(out_dir / name for name in ("stdout", "status", clock.NAME))]:
        if path.is_file():
            path.unlink()


def _files(out_dir: Path) -> dict[str, Path]:
    root = out_dir / "out"
    return {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
