"""One virtual machine: started, watched, and ended by its pid on every path.

Its disks answer before its processors run: the emulator's other threads get a real-time priority (SCHED_RR),
where the user may give one. Without it, guests whose processors are busy wait for it, by milliseconds a
request, as nobody waits for a real disk.

A machine that leaves no `status` in its share was lost: that says nothing about what ran in it.
The console is kept in a file beside the results. The machine never outlives the process that
started it: the context manager ends it, SIGTERM leaves through the context manager, and the kernel
ends it (PR_SET_PDEATHSIG) where even that is not possible.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from memqos.errors import VmLost
from memqos.lab import initramfs, qemu
from memqos.lab.cache import cache_dir
from memqos.lab.kernels import Kernel
from memqos.lab.qemu import Disk
from memqos.units import MIB

_QUIET_S = 90.0
"""A guest that has not said `memqos: start` by now hangs; 12 s is what a loaded host needs."""


@dataclass
class Vm:
    """A guest that runs `command` as root in the host's own root (read-only, under a tmpfs).

    `share` is the one place where the guest's files outlive it (`initramfs.SHARE` inside). Use as
    a context manager: leaving it ends the machine.
    """

    kernel: Kernel
    command: Sequence[str]
    share: Path
    memory_mib: int = 1024
    cpus: int = 2
    disks: Sequence[Disk] = ()
    environment: dict[str, str] = field(default_factory=dict)
    accel: str = "tcg"
    append: str = ""
    interactive: bool = False

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._work: tempfile.TemporaryDirectory[str] | None = None
        self._console: BinaryIO | None = None
        self._handles = False

    @property
    def console(self) -> Path:
        """Where the guest's console is kept."""
        return self.share / "console.log"

    def __enter__(self) -> Vm:
        """Start the machine. Raises `ToolMissing`."""
        self.share.mkdir(parents=True, exist_ok=True)
        self._status.unlink(missing_ok=True)
        home = cache_dir("vm")
        _sweep(home)
        self._work = tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=home)
        self._leave_on_sigterm()
        try:
            work = Path(self._work.name)
            (work / "initrd").write_bytes(initramfs.build(self.kernel, self.command, self.environment))
            disks = [(disk, work / f"{disk.serial}.raw") for disk in self.disks]
            for disk, path in disks:
                with path.open("wb") as handle:
                    handle.truncate(-(-disk.size // MIB) * MIB)
            argv = qemu.command_line(
                self.kernel,
                accel=self.accel,
                memory_mib=self.memory_mib,
                cpus=self.cpus,
                disks=disks,
                initrd=work / "initrd",
                share=self.share,
                append=self.append,
                interactive=self.interactive,
            )
            self._start(argv)
        except BaseException:
            self.close()
            raise
        return self

    def _leave_on_sigterm(self) -> None:
        """Let SIGTERM, where nobody else handles it, unwind this process instead of cutting it off."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
            self._handles = True

    def _start(self, argv: list[str]) -> None:
        if self.interactive:
            self._process = subprocess.Popen(argv, preexec_fn=_die_with_parent)
            return
        self._console = self.console.open("wb")
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait(self, timeout: float, tick: Callable[[], None] | None = None) -> int:
        """Return the command's exit status; raises `VmLost` when none comes within `timeout` seconds.

        `tick` is called again and again meanwhile.
        """
        assert self._process is not None
        started = time.monotonic()
        hurried = self.interactive
        while self._process.poll() is None:
            elapsed = time.monotonic() - started
            if elapsed > timeout:
                raise VmLost(
                    f"kernel {self.kernel.name}: no result within {timeout:.0f} s{self._last_words()}"
                )
            if not self.interactive and elapsed > _QUIET_S and b"memqos: start" not in self._said():
                raise VmLost(f"kernel {self.kernel.name}: the guest hangs on its way up{self._last_words()}")
            if not hurried and b"memqos: start" in self._said():
                hurried = True
                _hurry(self._process.pid)
            if tick is not None:
                tick()
            time.sleep(0.05)
        try:
            return int(self._status.read_text(encoding="ascii"))
        except (OSError, ValueError):
            raise VmLost(
                f"kernel {self.kernel.name}: the machine ended without a result{self._last_words()}"
            ) from None

    def close(self) -> None:
        """End the machine, whatever its state; harmless when it has ended."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._console is not None:
            self._console.close()
        if self._work is not None:
            self._work.cleanup()
        if self._handles:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._handles = False

    @property
    def pid(self) -> int | None:
        """The pid of QEMU while it runs."""
        return self._process.pid if self._process else None

    @property
    def _status(self) -> Path:
        return self.share / "status"

    def _said(self) -> bytes:
        try:
            return self.console.read_bytes()
        except OSError:
            return b""

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._said().decode(errors="replace").splitlines() if line.strip()]
        words = "".join(f"{os.linesep}    {line}" for line in lines[-8:])
        return f"; its console ({self.console}) ends in:{words}" if words else ""


def _hurry(pid: int) -> None:
    """Let the threads of a QEMU that serve its disks run before its processors, and those to come."""
    for task in Path("/proc").glob(f"{pid}/task/*"):
        with contextlib.suppress(OSError):  # it has ended, or the user may not
            if not (task / "comm").read_text().startswith(qemu.PROCESSOR_THREAD):
                os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(1))


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask the kernel, in the child, to kill it when its parent goes."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _sweep(home: Path) -> None:
    """Take away the disks of machines whose process was killed before it could."""
    for path in home.iterdir():
        owner = path.name.partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(path, ignore_errors=True)
