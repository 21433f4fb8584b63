"""Waiting for memory pressure: all that signals it, of the node and of the pods that matter, in one wait.

======================  ===================================================  =======================
file                    signals                                              watched
======================  ===================================================  =======================
memory.pressure         a PSI trigger, `some` (`memqos.linux.trigger`)       the node; `PODS` pods
io.pressure             a PSI trigger, `full`                                the node; `IO_PODS` pods
memory.events           POLLPRI when it changed (`cgroup_file_notify`,       `PODS` pods
                        at most every 10 ms); heard when `high`, `max`,
                        `oom`, `oom_kill` or `oom_group_kill` grew
======================  ===================================================  =======================

The pods are those the agent names, the most important first, or all that there are. Where the kernel or
our privilege refuses a trigger on memory.pressure, its `total` is sampled instead; without one on
io.pressure or without notifications the wait does without.

A source that signals on and on is heard less and less (`memqos.hearing`), and nothing ends a wait in
its first `quiet` seconds, so that a storm of pressure does not spin the loop.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from memqos.hearing import Hearing, Source
from memqos.linux.reading import read_whole
from memqos.linux.trigger import Sample, Trigger
from memqos.node import Wake

_POD: Final = re.compile(r"(?:^|/)(?:kubepods[a-z-]*-)?pod[0-9a-f]{8}[0-9a-f_-]{8,55}(?:\.slice)?")
"""A pod's cgroup: `pod<uid>` below kubepods, or systemd's `kubepods-<qos>-pod<uid>.slice`."""

PODS: Final = 128
"""Pods watched at most: each takes two descriptors, and the kernel a thread for its triggers."""

IO_PODS: Final = 16
"""Pods whose io.pressure is watched as well."""

_SAMPLE_S: Final = 0.25
_HEARD: Final = (b"high", b"max", b"oom", b"oom_kill", b"oom_group_kill")


def is_pod(path: str) -> bool:
    """Tell whether a cgroup is a pod's, by either cgroup driver's naming."""
    match = _POD.search(path)
    return match is not None and match.end() == len(path)


class Pressed:
    """Everything `wait` waits for: triggers, samples, events and the stop."""

    def __init__(self, root: str, proc: str, trigger: Trigger, *, kernel: bool) -> None:
        self._root = root
        self._proc = proc
        self._trigger = trigger
        self._io = Trigger(trigger.stall_us, trigger.window_us, "full")
        self._kernel = kernel
        self._poll = select.epoll()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._stop, select.EPOLLIN)
        self._watched: dict[str, tuple[int, bool]] = {}  # path -> (inode, io too)
        self._armed: dict[Source, int] = {}
        self._sampled: dict[str, Sample] = {}
        self._sources: dict[int, Source] = {}
        self._events: dict[int, tuple[int, ...]] = {}
        self._hearing = Hearing()
        self._heard: set[str] = set()
        self.features: frozenset[str] = frozenset()

    def watch(self, cgroups: Mapping[str, object], first: Sequence[str] | None = None) -> None:
        """Watch the node and the pods among these cgroups; forget those that are gone or reborn.

        `first` names the pods that matter, the most important first; without it all are taken.
        """
        pods = [path for path in cgroups if is_pod(path)] if first is None else first
        wanted = {"": (0, True)}
        for place, path in enumerate(pods[:PODS]):
            if path in cgroups:
                wanted[path] = (int(getattr(cgroups[path], "inode", 0)), place < IO_PODS)
        for path in [path for path, how in self._watched.items() if wanted.get(path) != how]:
            self._forget(path)
        for path, how in wanted.items():
            if path not in self._watched:
                self._watched[path] = how
                self._arm(path, io=how[1])

    def _arm(self, path: str, *, io: bool) -> None:
        files = {name: f"{self._root}/{path}/{name}.pressure" for name in ("memory", "io")}
        if not path:
            files = {name: f"{self._proc}/pressure/{name}" for name in ("memory", "io")}
        if self._kernel:
            if io:
                with contextlib.suppress(OSError):
                    self._register((path, "io.pressure"), self._io.arm(files["io"]))
            if path:
                with contextlib.suppress(OSError):
                    self._listen(path)
            with contextlib.suppress(OSError):
                self._register((path, "memory.pressure"), self._trigger.arm(files["memory"]))
                self.features |= {"psi trigger"}
                return
        with contextlib.suppress(OSError):
            self._sampled[path] = Sample(files["memory"], self._trigger)

    def _register(self, source: Source, fd: int) -> None:
        self._poll.register(fd, select.EPOLLPRI)
        self._armed[source], self._sources[fd] = fd, source

    def _listen(self, path: str) -> None:
        fd = os.open(f"{self._root}/{path}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._events[fd] = _counts(fd)  # reading it also arms the notification
        except OSError:
            os.close(fd)
            raise
        self._register((path, "memory.events"), fd)

    def _forget(self, path: str) -> None:
        if (sample := self._sampled.pop(path, None)) is not None:
            sample.close()
        for source in [each for each in self._armed if each[0] == path]:
            fd = self._armed.pop(source)
            del self._sources[fd]
            self._events.pop(fd, None)
            self._poll.unregister(fd)
            os.close(fd)
        self._watched.pop(path, None)
        self._hearing.forget(path)
        self._heard.discard(path)

    def wait(self, seconds: float, also: Collection[int] = (), quiet: float = 0.0) -> Wake:
        """Wait at most `seconds`; "ready" when one of the descriptors `also` is readable.

        Pressure ends it after `quiet` seconds at the earliest; what was heard until then is not lost.
        """
        for fd in also:
            self._poll.register(fd, select.EPOLLIN)
        try:
            return self._wait(seconds, also, quiet)
        finally:
            for fd in also:
                self._poll.unregister(fd)

    def _wait(self, seconds: float, also: Collection[int], quiet: float) -> Wake:
        begun = time.monotonic()
        end, loud = begun + max(0.0, seconds), begun + min(quiet, seconds)
        while True:
            now = time.monotonic()
            left = max(0.0, (loud if self._heard and now < loud else end) - now)
            events = self._poll.poll(min(left, _SAMPLE_S) if self._sampled else left)
            if any(fd == self._stop for fd, _ in events):
                return Wake("stop")
            now = time.monotonic()
            self._heard.update(self._signalled(events, now), self._stalled(now))
            if self._heard and now >= loud:
                heard, self._heard = self._heard, set()
                return Wake("pressure", tuple(sorted(heard)))
            if any(fd in also for fd, _ in events):
                return Wake("ready")
            if now >= end:
                return Wake("timeout")

    def _signalled(self, events: Iterable[tuple[int, int]], now: float) -> list[str]:
        pressed = []
        for fd, mask in events:
            source = self._sources.get(fd)
            if source is None:
                continue
            path = source[0]
            if fd in self._events:
                # kernfs signals POLLERR with every change; whether it lives, reading tells
                try:
                    grown = self._grown(fd)
                except OSError:
                    self._forget(path)
                    continue
            elif mask & (select.EPOLLERR | select.EPOLLHUP):
                self._forget(path)
                continue
            else:
                grown = True
            if grown and self._hearing.hears(source, now):
                pressed.append(path)
        return pressed

    def _grown(self, fd: int) -> bool:
        before, self._events[fd] = self._events[fd], _counts(fd)
        return self._events[fd] != before

    def _stalled(self, now: float) -> list[str]:
        pressed = []
        for path, sample in list(self._sampled.items()):
            try:
                fires = sample.pressed(int(now * 1e6))
            except OSError:
                self._forget(path)
                continue
            if fires and self._hearing.hears((path, "memory.pressure"), now):
                pressed.append(path)
        return pressed

    def stop(self) -> None:
        """End a `wait` under way and every later one."""
        if self._stop >= 0:
            os.eventfd_write(self._stop, 1)

    def close(self) -> None:
        """Close every descriptor."""
        for path in list(self._watched):
            self._forget(path)
        self._poll.close()
        if self._stop >= 0:
            stop, self._stop = self._stop, -1  # a signal may still come in between
            os.close(stop)


def _counts(fd: int) -> tuple[int, ...]:
    """Read the events that are heard; raises `OSError` when the cgroup is gone."""
    lines = dict(line.split(b" ", 1) for line in read_whole(fd, 256)[0].splitlines() if b" " in line)
    return tuple(int(lines.get(name, b"0")) for name in _HEARD)
