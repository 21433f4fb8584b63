"""What ends a wait on the simulated node: the same signals, watched alike, as `memqos.linux.pressure` has.

A trigger is looked at ten times a window (kernel/sched/psi.c), and so is memory.events, whose notifications
are at most ten milliseconds late on a real kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from memqos.hearing import Hearing, Source
from memqos.sim.kernels import control, psi
from memqos.sim.kernels import layout as k
from memqos.sim.machine import SECOND, Machine

WINDOW: Final = SECOND // 2
LOOK_NS: Final = WINDOW // 10
PODS: Final = 128
"""Pods watched at most, and of them the first whose io.pressure is, too: as on a real node."""
IO_PODS: Final = 16

_MEMORY_SOME, _IO_FULL = 0, 3
_HEARD: Final = (k.E_HIGH, k.E_MAX, k.E_OOM, k.E_OOM_KILL, k.E_OOM_GROUP_KILL)


@dataclass(slots=True)
class Trigger:
    """`some 50000 500000` on a pressure file: 50 ms of stall within 0.5 s, at most once in 0.5 s.

    The stall of the window before counts for the part of it that still overlaps (`window_update`).
    """

    start: int
    value: int = 0
    before: int = 0
    fired: int = -WINDOW

    def fires(self, now: int, total: int) -> bool:
        """Look at the stall total; both in nanoseconds."""
        passed, growth = now - self.start, total - self.value
        if passed > WINDOW:
            self.start, self.value, self.before = now, total, growth
        else:
            growth += self.before * (WINDOW - passed) // WINDOW
        if growth < WINDOW // 10 or now < self.fired + WINDOW:
            return False
        self.fired = now
        return True


@dataclass(slots=True)
class _Watched:
    inode: int
    memory: Trigger
    io: Trigger | None
    events: int | None


class Pressed:
    """The triggers on one machine's node and pods."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._watched: dict[str, _Watched] = {}
        self._hearing = Hearing()

    def look(self, first: Sequence[str] | None) -> set[str]:
        """Return the node ("") and the pods that signal now and are heard.

        `first` names the pods that matter, the most important first; without it all are watched.
        """
        self._machine.order(control.LOOK, psi.POLL)
        now = self._machine.now
        self._watch(first)
        return {
            path
            for path, watched in self._watched.items()
            for source in self._signals(path, watched, now)
            if self._hearing.hears(source, now / SECOND)
        }

    def _watch(self, first: Sequence[str] | None) -> None:
        machine = self._machine
        pods = [path for path in machine.paths if _is_pod(path)] if first is None else first
        wanted = {"": True}
        wanted |= {path: i < IO_PODS for i, path in enumerate(pods[:PODS]) if path in machine.paths}
        for path, watched in list(self._watched.items()):
            if path not in wanted or watched.inode != machine.inodes[path]:
                del self._watched[path]
                self._hearing.forget(path)
        for path, io in wanted.items():
            if path not in self._watched:
                memory = Trigger(machine.now, self._total(path, _MEMORY_SOME))
                events = self._events(path) if path else None
                self._watched[path] = _Watched(machine.inodes[path], memory, None, events)
            watched = self._watched[path]
            if not io:
                watched.io = None
            elif watched.io is None:
                watched.io = Trigger(machine.now, self._total(path, _IO_FULL))

    def _signals(self, path: str, watched: _Watched, now: int) -> Iterator[Source]:
        if watched.memory.fires(now, self._total(path, _MEMORY_SOME)):
            yield path, "memory.pressure"
        if watched.io is not None and watched.io.fires(now, self._total(path, _IO_FULL)):
            yield path, "io.pressure"
        if watched.events is not None and (events := self._events(path)) != watched.events:
            watched.events = events
            yield path, "memory.events"

    def _total(self, path: str, what: int) -> int:
        return int(self._machine.m.cg[self._machine.paths[path], k.PSI_POLL + what])

    def _events(self, path: str) -> int:
        row: Any = self._machine.m.cg
        c = self._machine.paths[path]
        return sum(int(row[c, event]) for event in _HEARD)


def _is_pod(path: str) -> bool:
    return path.rpartition("/")[2].startswith("pod")
