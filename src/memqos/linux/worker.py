"""Processes of the agent's own that make the writes on which the kernel keeps a writer waiting.

A process and not a thread: programs can be born in their cgroup only while the agent has one thread
(`memqos.linux.runner.spawn`), and a process can be killed in the middle of a write. Each write and its
answer are one packet over a socket pair. A worker has no descriptor of the agent's, stands in the agent's
cgroup, and is killed by the kernel when the agent dies (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import time
import warnings
from typing import Final, NoReturn

import msgspec

from memqos.errors import Busy, CgroupGone, NodeError
from memqos.linux.apply import apply_write
from memqos.linux.locked import is_locked, lock_what_is_there
from memqos.model.plan import Reclaim, Status, Write

_PR_SET_PDEATHSIG: Final = 1
_CANCEL: Final = b"cancel"
_LONGEST: Final = 1 << 16
_NOWHERE: Final = "memqos.slice/none"
"""A cgroup that nobody has: memqos.slice, where there is one, has no children."""
_DYING_S: Final = 1.0
"""Seconds that `close` gives a killed worker: one that the kernel holds in reclaim dies at the end of it."""


class _Asked(msgspec.Struct, array_like=True):
    cgroup: str
    inode: int
    knob: str
    size: int
    swappiness: int | None


class Answer(msgspec.Struct, array_like=True):
    """What became of a write: `taken` are the bytes an order surely took, `kind` is the error's class."""

    status: Status
    taken: int
    error: str
    kind: str = ""


class Worker:
    """One process that makes one write at a time. Raises `OSError` when it cannot be had."""

    def __init__(self, root: str, *, kernel: bool) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        agent = os.getpid()
        # no handler of ours may run in the child before it has got rid of them
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads: it needs none
                self._pid = os.fork()
            if self._pid == 0:
                _serve(theirs, root, agent, kernel=kernel)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self._socket = ours
        self._readable = select.poll()  # select(2) takes no descriptor beyond 1023: an agent has more
        self._readable.register(ours, select.POLLIN)
        self.alive = True
        self._gone = False

    def ask(self, write: Write) -> None:
        """Hand over an order to reclaim, or a write of bytes; closed, with `OSError`, when it died."""
        value = write.value if isinstance(write.value, Reclaim) else Reclaim(_bytes_of(write))
        asked = _Asked(write.cgroup, write.inode, write.knob, value.size, value.swappiness)
        try:
            self._socket.send(msgspec.msgpack.encode(asked))
        except OSError:
            self.close()
            raise

    def cancel(self) -> None:
        """Have an order to reclaim stop at its next piece."""
        with contextlib.suppress(OSError):  # it died: the next `answer` says so
            self._socket.send(_CANCEL, socket.MSG_DONTWAIT)

    def answer(self, seconds: float = 0.0) -> Answer | None:
        """Return what became of the write; `None` while it is still being made after so many seconds."""
        try:
            if seconds:
                self._readable.poll(seconds * 1000)
            packet = self._socket.recv(_LONGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            packet = b""
        if packet:
            return msgspec.msgpack.decode(packet, type=Answer)
        self.close()
        return Answer("failed", 0, "the process that carried it out was killed")

    def kill(self) -> None:
        """Have the kernel break off what the process waits for; `reaped` says when it has."""
        if self.alive:
            self.alive = False
            self._socket.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def reaped(self) -> bool:
        """Tell whether the killed process is gone."""
        if not self._gone:
            try:
                self._gone = os.waitpid(self._pid, os.WNOHANG)[0] == self._pid
            except ChildProcessError:
                self._gone = True
        return self._gone

    def close(self) -> None:
        """Kill the process, and wait for its end, but not for long: it may be deep in the kernel."""
        self.kill()
        end = time.monotonic() + _DYING_S
        while not self.reaped() and time.monotonic() < end:
            time.sleep(0.001)


def _bytes_of(write: Write) -> int:
    assert isinstance(write.value, int)
    return write.value


def _serve(agent: socket.socket, root: str, parent: int, *, kernel: bool) -> NoReturn:
    """The worker: make writes until the agent is gone."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            _become_small(agent.fileno())
            if is_locked(parent):
                with contextlib.suppress(OSError):
                    lock_what_is_there()
            _rehearse(agent, root, kernel=kernel)
            while packet := agent.recv(_LONGEST):
                if packet != _CANCEL:  # one that came too late
                    asked = msgspec.msgpack.decode(packet, type=_Asked)
                    agent.send(msgspec.msgpack.encode(_carried_out(agent, asked, root, kernel=kernel)))
    finally:
        os._exit(0)


def _rehearse(agent: socket.socket, root: str, *, kernel: bool) -> None:
    """Go through a write that comes to nothing: the pages it touches are copied while there is memory.

    A fork shares its parent's until it writes to them, and each copy waits for memory once that is short.
    """
    asked = msgspec.msgpack.encode(_Asked(_NOWHERE, 0, "memory.high", 0, None))
    found = _carried_out(agent, msgspec.msgpack.decode(asked, type=_Asked), root, kernel=kernel)
    msgspec.msgpack.encode(found)


def _become_small(keep: int) -> None:
    """Let go of what is the agent's: descriptors, handlers, and garbage collection, which writes to pages."""
    gc.disable()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.closerange(3, keep)
    os.closerange(keep + 1, 1 << 20)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)  # of a whole process group: it ends with the agent
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _word(agent: socket.socket) -> bool:
    """Tell whether the agent said something, or is gone."""
    with contextlib.suppress(BlockingIOError):
        agent.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        return True
    return False


def _carried_out(agent: socket.socket, asked: _Asked, root: str, *, kernel: bool) -> Answer:
    taken: list[int] = []
    cancelled = False

    def stopped() -> bool:
        nonlocal cancelled
        cancelled = cancelled or _word(agent)
        return cancelled

    value = Reclaim(asked.size, asked.swappiness) if asked.knob == "memory.reclaim" else asked.size
    write = Write(asked.cgroup, asked.knob, value, "", inode=asked.inode)
    status: Status = "written"
    error = kind = ""
    try:
        apply_write(root, write, kernel=kernel, stopped=stopped, taken=taken.append)
    except CgroupGone as gone:
        status, error, kind = "gone", gone.reason, "CgroupGone"
    except Busy as busy:
        status, error, kind = ("stopped", "", "") if cancelled else ("partial", busy.reason, "Busy")
    except NodeError as failed:
        status, error, kind = "failed", failed.reason, type(failed).__name__
    return Answer(status, sum(taken), error, kind)
