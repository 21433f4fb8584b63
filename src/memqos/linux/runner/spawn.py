"""Start a program inside a cgroup, never a moment outside it.

First choice is clone3(2) with CLONE_INTO_CGROUP (Linux 5.7): the child is *born* in the cgroup, so
there is no instant at which it could run, fork or be charged anywhere else, and the kernel needs no
migration. Python has no clone3, so it is called through ctypes, holding the GIL. The child is a copy of
this process with one thread; it may only do what is safe then, and goes straight to execve. That is
why this way is taken only while the process has a single thread: another thread could hold the
allocator's lock, which `os.fork` would take first and the bare system call does not.

Otherwise (threads, or a kernel or seccomp filter that refuses clone3) the child comes from `os.fork`
and writes itself into `cgroup.procs`, through a descriptor opened before, as its first act. A few
pages of the copied interpreter are then charged to the parent until execve frees them, but never one of
the program: execve, which loads it, happens inside the cgroup either way.

`oom_score_adj` is written before execve too: it would be inherited, and the kernel may choose a victim
at any time. The program gets a session of its own, default signal dispositions, /dev/null as its
input, no descriptor of ours, and the limit of open files that this process was started with.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Protocol

from memqos.linux.limits import restore_in_child
from memqos.linux.runner.command import Command
from memqos.runner import world
from memqos.runner.world import NotStarted

_THREADS: Final = Path("/proc/self/task")
_CLONE3: Final = 435
_CLONE_PIDFD: Final = 0x1000
_CLONE_INTO_CGROUP: Final = 0x2_0000_0000
_NO_CLONE3: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EACCES, errno.E2BIG, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True)
class Launch:
    """A program and where it shall run: its cgroup's directory, its log file (appended to)."""

    command: Command
    cgroup: Path
    oom_score_adj: int
    log: Path


class Process(world.Process, Protocol):
    """A started program, held by a descriptor."""

    def fileno(self) -> int:
        """Return a descriptor that is readable once it has ended."""


class Child:
    """A child of this process, held by its pidfd: no other process can be taken for it."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.exit_code: int | None = None

    def fileno(self) -> int:
        """Return the pidfd."""
        return self.pidfd

    def poll(self) -> int | None:
        """Return its exit code, 128 + the signal that ended it, or `None` while it runs."""
        if self.exit_code is None:
            try:
                ended = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
            except ChildProcessError:  # someone else reaped it, and its status is lost
                self.exit_code = 255
                return self.exit_code
            if ended is not None:
                killed = ended.si_code != os.CLD_EXITED
                self.exit_code = ended.si_status + (128 if killed else 0)
        return self.exit_code

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        """Close the pidfd."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def spawn(launch: Launch) -> Child | NotStarted:
    """Start a program in its cgroup; what goes wrong before or in execve is returned, not raised."""
    with contextlib.ExitStack() as stack:
        try:
            launch.log.parent.mkdir(parents=True, exist_ok=True)
            log = _opened(stack, launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            cgroup = _opened(stack, launch.cgroup, os.O_RDONLY | os.O_DIRECTORY)
            procs = _opened(stack, launch.cgroup / "cgroup.procs", os.O_WRONLY)
        except OSError as error:
            return NotStarted(f"{error.filename}: {error.strerror}")
        try:
            # the failure comes back through a pipe that a successful execve closes
            read, write = os.pipe()
            stack.callback(os.close, read)
            try:
                child = _start(launch, cgroup, procs, log, write)
            finally:
                os.close(write)
        except OSError as error:
            return NotStarted(f"cannot start a process in {launch.cgroup}: {error.strerror}")
        failure = os.read(read, 4096)
    if not failure:
        return child
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED)
    child.close()
    number, _, what = failure.decode("utf-8", "replace").partition(" ")
    code = {errno.ENOENT: 127, errno.EACCES: 126, errno.ENOEXEC: 126}.get(int(number), 128)
    return NotStarted(f"{what}: {os.strerror(int(number))}", code)


def _opened(stack: contextlib.ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
    stack.callback(os.close, descriptor)
    return descriptor


def _start(launch: Launch, cgroup: int, procs: int, log: int, failure: int) -> Child:
    # a signal's handler must not run in the child: it would be ours, and write to our wakeup pipe
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        born_inside = _clone_into(cgroup)
        if born_inside is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads: see above
                pid = os.fork()
            if pid == 0:
                _become(launch, procs, log, failure)
            return _held(pid)
        pid, pidfd = born_inside
        if pid == 0:
            _become(launch, None, log, failure)
        return Child(pid, pidfd)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _held(pid: int) -> Child:
    try:
        return Child(pid, os.pidfd_open(pid))
    except OSError:
        # one that cannot be held must not go on
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _clone_into(cgroup: int) -> tuple[int, int] | None:
    """Fork by clone3 into a cgroup: (pid, pidfd), pid 0 in the child; `None` where it cannot be had."""
    alone = threading.current_thread() is threading.main_thread() and len(list(_THREADS.iterdir())) == 1
    if not alone:
        return None
    pidfd = ctypes.c_int(-1)
    # struct clone_args (include/uapi/linux/sched.h): flags, pidfd, child_tid, parent_tid, exit_signal,
    # stack, stack_size, tls, set_tid, set_tid_size, cgroup
    flags = _CLONE_PIDFD | _CLONE_INTO_CGROUP
    fields = (flags, ctypes.addressof(pidfd), 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup)
    args = (ctypes.c_uint64 * len(fields))(*fields)
    libc = ctypes.PyDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    pid = libc.syscall(ctypes.c_long(_CLONE3), ctypes.byref(args), ctypes.c_size_t(ctypes.sizeof(args)))
    if pid >= 0:
        return int(pid), pidfd.value
    number = ctypes.get_errno()
    if number in _NO_CLONE3:
        return None
    raise OSError(number, os.strerror(number))


def _become(launch: Launch, procs: int | None, log: int, failure: int) -> NoReturn:
    """The child: become the program, or report why not and end."""
    what = "joining the cgroup"
    command = launch.command
    try:
        if procs is not None:
            os.write(procs, b"0")
        what = "setting oom_score_adj"
        adjust = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(adjust, str(launch.oom_score_adj).encode())
        what = "preparing its input and output"
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, failure)
        os.closerange(failure + 1, 1 << 20)
        what = "giving back the limit of open files"
        restore_in_child()
        for number in signal.valid_signals():
            if signal.getsignal(number) is not signal.SIG_DFL and number not in (
                signal.SIGKILL,
                signal.SIGSTOP,
            ):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        what = f"workingDir {command.working_dir}"
        os.chdir(command.working_dir)
        what = f'exec: "{command.argv[0]}"'
        os.execve(command.executable, command.argv, _encoded(command.env))  # noqa: S606  not a shell: that is the point
    except OSError as error:
        os.write(failure, f"{error.errno} {what}".encode())
    except BaseException as error:  # noqa: BLE001  the child must never return into the parent's code
        os.write(failure, f"{errno.EINVAL} {what} ({type(error).__name__})".encode())
    finally:
        os._exit(128)


def _encoded(env: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
