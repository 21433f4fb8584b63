"""Waiting for memory pressure: PSI triggers of all pods and the node in one wait.

A trigger is `some STALL WINDOW` (µs) written to a kept descriptor of `memory.pressure`; the
kernel then signals POLLPRI when tasks stalled that long within the window, at most once per
window (Documentation/accounting/psi.rst). It dies with the descriptor; a cgroup that died signals
POLLERR. Where the kernel or our privilege refuses a trigger, `total` is sampled instead.
An unprivileged trigger must have a window of a multiple of 2 s (6.5; before that none is allowed
on /proc/pressure); 6.1 wants at least 500 ms.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from memqos.linux.files import read_whole
from memqos.linux.keyed import Pressures
from memqos.model.snapshot import Pressure
from memqos.node import Wake

_POD: Final = re.compile(r"(?:^|/)(?:kubepods[a-z-]*-)?pod[0-9a-f]{8}[0-9a-f_-]{8,55}(?:\.slice)?")
"""A pod's cgroup: `pod<uid>` below kubepods, or systemd's `kubepods-<qos>-pod<uid>.slice`."""

_SAMPLE_S: Final = 0.25
_CODEC = Pressures()


@dataclass(frozen=True, slots=True)
class Trigger:
    """What counts as pressure: `some` stalls of `stall_us` within `window_us`.

    The window stays within the kernel's bounds of 500 ms (6.1) and 10 s; a tenth of a second of
    stall in a second is felt by a service well before it thrashes.
    """

    stall_us: int = 100_000
    window_us: int = 1_000_000


def is_pod(path: str) -> bool:
    """Tell whether a cgroup is a pod's, by either cgroup driver's naming."""
    match = _POD.search(path)
    return match is not None and match.end() == len(path)


class Pressed:
    """Everything `wait` waits for: triggers, samples, and the stop."""

    def __init__(self, root: str, proc: str, trigger: Trigger, *, kernel: bool) -> None:
        self._root = root
        self._node = f"{proc}/pressure/memory"
        self._trigger = trigger
        self._kernel = kernel
        self._poll = select.epoll()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._stop, select.EPOLLIN)
        self._armed: dict[str, tuple[int, int]] = {}  # path -> (inode, descriptor)
        self._sampled: dict[str, Sample] = {}
        self._paths: dict[int, str] = {}
        self.features: frozenset[str] = frozenset()

    def watch(self, cgroups: Mapping[str, object]) -> None:
        """Watch the node and the pods among these cgroups; forget those that are gone or reborn."""
        wanted = {path: int(getattr(files, "inode", 0)) for path, files in cgroups.items() if is_pod(path)}
        wanted[""] = 0
        known = {path: inode for path, (inode, _) in self._armed.items()}
        known.update((path, sample.inode) for path, sample in self._sampled.items())
        for path, inode in known.items():
            if wanted.get(path) != inode:
                self._forget(path)
        for path, inode in wanted.items():
            if path not in self._armed and path not in self._sampled:
                self._arm(path, inode)

    def _arm(self, path: str, inode: int) -> None:
        file = f"{self._root}/{path}/memory.pressure" if path else self._node
        if self._kernel:
            with contextlib.suppress(OSError):
                self._armed[path] = (inode, self._set_trigger(file, path))
                self.features |= {"psi trigger"}
                return
        with contextlib.suppress(OSError):
            self._sampled[path] = Sample(file, inode)

    def _set_trigger(self, file: str, path: str) -> int:
        stall, window = self._trigger.stall_us, self._trigger.window_us
        unprivileged = -(-window // 2_000_000) * 2_000_000
        fd = os.open(file, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            try:
                os.write(fd, b"some %d %d\0" % (stall, window))
            except OSError:
                os.write(fd, b"some %d %d\0" % (stall * unprivileged // window, unprivileged))
            self._poll.register(fd, select.EPOLLPRI)
        except OSError:
            os.close(fd)
            raise
        self._paths[fd] = path
        return fd

    def _forget(self, path: str) -> None:
        if (sample := self._sampled.pop(path, None)) is not None:
            sample.close()
        if (armed := self._armed.pop(path, None)) is not None:
            del self._paths[armed[1]]
            self._poll.unregister(armed[1])
            os.close(armed[1])

    def wait(self, seconds: float, also: Collection[int] = ()) -> Wake:
        """Wait at most `seconds`; "ready" when one of the descriptors `also` is readable."""
        for fd in also:
            self._poll.register(fd, select.EPOLLIN)
        try:
            return self._wait(seconds, also)
        finally:
            for fd in also:
                self._poll.unregister(fd)

    def _wait(self, seconds: float, also: Collection[int]) -> Wake:
        end = time.monotonic() + max(0.0, seconds)
        while True:
            left = max(0.0, end - time.monotonic())
            events = self._poll.poll(min(left, _SAMPLE_S) if self._sampled else left)
            if any(fd == self._stop for fd, _ in events):
                return Wake("stop")
            pressed = self._signalled(events) + self._stalled()
            if pressed:
                return Wake("pressure", tuple(sorted(pressed)))
            if any(fd in also for fd, _ in events):
                return Wake("ready")
            if time.monotonic() >= end:
                return Wake("timeout")

    def _signalled(self, events: Iterable[tuple[int, int]]) -> list[str]:
        pressed = []
        for fd, mask in events:
            path = self._paths.get(fd)
            if path is None:
                continue
            if mask & (select.EPOLLERR | select.EPOLLHUP):
                self._forget(path)
            else:
                pressed.append(path)
        return pressed

    def _stalled(self) -> list[str]:
        pressed = []
        now_us = time.monotonic_ns() // 1000
        for path, sample in list(self._sampled.items()):
            try:
                if sample.pressed(self._trigger, now_us):
                    pressed.append(path)
            except OSError:
                self._forget(path)
        return pressed

    def stop(self) -> None:
        """End a `wait` under way and every later one."""
        if self._stop >= 0:
            os.eventfd_write(self._stop, 1)

    def close(self) -> None:
        """Close every descriptor."""
        for path in [*self._armed, *self._sampled]:
            self._forget(path)
        self._poll.close()
        if self._stop >= 0:
            stop, self._stop = self._stop, -1  # a signal may still come in between
            os.close(stop)


class Sample:
    """One `memory.pressure` watched by reading `total`: a trigger's own rule, where none can be set."""

    def __init__(self, file: str, inode: int) -> None:
        self.inode = inode
        self._fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._total = self._read()
        except OSError:
            self.close()
            raise
        self._since_us = time.monotonic_ns() // 1000
        self._fired = False

    def pressed(self, trigger: Trigger, now_us: int) -> bool:
        """Tell whether `stall_us` were stalled within a window, at most once per window.

        When nobody looked for longer than a window, what was stalled is taken as evenly spread.
        """
        total, elapsed = self._read(), now_us - self._since_us
        over = elapsed >= trigger.window_us
        stalled = total - self._total
        if over:
            stalled = stalled * trigger.window_us // elapsed
        fires = stalled >= trigger.stall_us and (over or not self._fired)
        if over or fires:
            self._total, self._since_us, self._fired = total, now_us, fires
        return fires

    def _read(self) -> int:
        """Return `some`'s total; a text that is no pressure is an `OSError`, as no text is."""
        try:
            found = _CODEC.decode(read_whole(self._fd, 512)[0])
        except ValueError as error:
            raise OSError(str(error)) from error
        assert isinstance(found, Pressure)
        return found.some.total

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)
