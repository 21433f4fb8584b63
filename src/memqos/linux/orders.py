"""Orders to `memory.reclaim`, carried out beside the loop by worker processes.

A write to `memory.reclaim` blocks until the kernel took what was asked for, or found no more: seconds on a
slow swap device. So the agent hands an order to a worker, a fork of its own, and asks later what
became of it. A process and not a thread: programs can be born in their cgroup only while the agent has one
thread (`memqos.linux.runner.spawn`), and a process can be killed in the middle of a write.

Workers are forked when first needed, at most `most`, and kept: a fork needs memory, and a later order
comes when there is little. What comes beyond them waits its turn. Each order and its answer are one packet
over a socket pair. A worker gives the order in pieces (`memqos.linux.apply`) and looks for a word from the
agent before each, so a cancelled order ends within one piece. It has no descriptor of the agent's, stands in
the agent's cgroup, and is killed by the kernel when the agent dies (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import socket
import warnings
from dataclasses import replace
from typing import Final, NoReturn

import msgspec

from memqos.errors import Busy, CgroupGone, InvalidValue, NodeError
from memqos.linux.apply import apply_write
from memqos.model.plan import Outcome, Reclaim, Status, Write

MOST: Final = 2
"""Orders that run at once: one that waits for a slow disk leaves another that drops page cache its way."""

_PR_SET_PDEATHSIG: Final = 1
_CANCEL: Final = b"cancel"
_LONGEST: Final = 1 << 16


class _Asked(msgspec.Struct, array_like=True):
    cgroup: str
    inode: int
    size: int
    swappiness: int | None


class _Answer(msgspec.Struct, array_like=True):
    status: Status
    taken: int
    error: str


class Orders:
    """The orders of one node. `kernel` as in `apply_write`."""

    def __init__(self, root: str, *, kernel: bool, most: int = MOST) -> None:
        self._root = root
        self._kernel = kernel
        self._most = most
        self._idle: list[_Worker] = []
        self._busy: dict[str, tuple[Write, _Worker]] = {}
        self._queue: dict[str, Write] = {}
        self._ended: list[Outcome] = []

    def begin(self, order: Write) -> None:
        """See `Node.begin`."""
        place = {"cgroup": order.cgroup, "knob": order.knob}
        if not isinstance(order.value, Reclaim) or order.knob != "memory.reclaim":
            raise InvalidValue(f"{order.value!r} is no order to reclaim", **place)
        if order.cgroup in self.underway():
            raise Busy("an order is under way here", **place)
        # what is wrong is found at once, by an order of nothing: it reclaims nothing, and does not block
        apply_write(self._root, replace(order, value=replace(order.value, size=0)), kernel=self._kernel)
        self._queue[order.cgroup] = order
        self._feed()

    def cancel(self, cgroup: str) -> None:
        """See `Node.cancel`."""
        if (waiting := self._queue.pop(cgroup, None)) is not None:
            self._ended.append(_outcome(waiting, _Answer("stopped", 0, "")))
        elif cgroup in self._busy:
            self._busy[cgroup][1].cancel()

    def underway(self) -> frozenset[str]:
        """See `Node.underway`."""
        return frozenset((*self._busy, *self._queue))

    def ended(self) -> tuple[Outcome, ...]:
        """See `Node.ended`."""
        for cgroup, (order, worker) in list(self._busy.items()):
            answer = worker.answer()
            if answer is None:
                continue
            del self._busy[cgroup]
            self._ended.append(_outcome(order, answer))
            if worker.alive:
                self._idle.append(worker)
        self._feed()
        found, self._ended = tuple(self._ended), []
        return found

    def _feed(self) -> None:
        while self._queue and (self._idle or len(self._busy) < self._most):
            cgroup = next(iter(self._queue))
            order = self._queue.pop(cgroup)
            try:
                worker = self._idle.pop() if self._idle else _Worker(self._root, kernel=self._kernel)
                worker.ask(order)
            except OSError as error:
                problem = f"no process can be had to carry it out: {error.strerror}"
                self._ended.append(_outcome(order, _Answer("failed", 0, problem)))
                continue
            self._busy[cgroup] = (order, worker)

    def close(self) -> None:
        """Kill the workers: the kernel breaks off what they wait for."""
        for worker in [*self._idle, *(worker for _, worker in self._busy.values())]:
            worker.close()
        self._idle, self._busy, self._queue = [], {}, {}


class _Worker:
    """One process that carries out one order at a time. Raises `OSError` when it cannot be had."""

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
        self.alive = True

    def ask(self, order: Write) -> None:
        value = order.value
        assert isinstance(value, Reclaim)
        asked = _Asked(order.cgroup, order.inode, value.size, value.swappiness)
        self._socket.send(msgspec.msgpack.encode(asked))

    def cancel(self) -> None:
        with contextlib.suppress(OSError):  # it died: the next `answer` says so
            self._socket.send(_CANCEL, socket.MSG_DONTWAIT)

    def answer(self) -> _Answer | None:
        """Return what became of the order; `None` while it runs."""
        try:
            packet = self._socket.recv(_LONGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            packet = b""
        if packet:
            return msgspec.msgpack.decode(packet, type=_Answer)
        self.close()
        return _Answer("failed", 0, "the process that carried it out was killed")

    def close(self) -> None:
        if self.alive:
            self.alive = False
            self._socket.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)


def _outcome(order: Write, answer: _Answer) -> Outcome:
    value = order.value
    assert isinstance(value, Reclaim)
    return Outcome(order, answer.status, None, replace(value, size=answer.taken), answer.error)


def _serve(agent: socket.socket, root: str, parent: int, *, kernel: bool) -> NoReturn:
    """The worker: carry out orders until the agent is gone."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            _become_small(agent.fileno())
            while packet := agent.recv(_LONGEST):
                if packet != _CANCEL:  # one that came too late
                    asked = msgspec.msgpack.decode(packet, type=_Asked)
                    agent.send(msgspec.msgpack.encode(_carried_out(agent, asked, root, kernel=kernel)))
    finally:
        os._exit(0)


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


def _carried_out(agent: socket.socket, asked: _Asked, root: str, *, kernel: bool) -> _Answer:
    taken: list[int] = []
    cancelled = False

    def stopped() -> bool:
        nonlocal cancelled
        cancelled = cancelled or _word(agent)
        return cancelled

    order = Write(
        asked.cgroup, "memory.reclaim", Reclaim(asked.size, asked.swappiness), "", inode=asked.inode
    )
    status: Status = "written"
    error = ""
    try:
        apply_write(root, order, kernel=kernel, stopped=stopped, taken=taken.append)
    except CgroupGone as gone:
        status, error = "gone", gone.reason
    except Busy as busy:
        status, error = ("stopped", "") if cancelled else ("partial", busy.reason)
    except NodeError as failed:
        status, error = "failed", failed.reason
    return _Answer(status, sum(taken), error)
