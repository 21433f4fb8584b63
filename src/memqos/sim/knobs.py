"""The knobs of the simulated node: what the kernel says to a write, and what it then does.

As kernfs and mm/memcontrol.c would: a value they do not take is refused, and so is a write to what is not
there (`memqos.errors`). What a knob holds afterwards is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from memqos.errors import Busy, CgroupGone, InvalidValue, KnobMissing
from memqos.model.plan import RECLAIM_PIECE, Bandwidth, Reclaim, Value, Write
from memqos.model.queue import KNOB as IO_QUEUE
from memqos.model.snapshot import IoMax
from memqos.sim.kernels import control
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, Machine
from memqos.sim.queues import Queues
from memqos.sim.stat import Look
from memqos.units import UNLIMITED

LIMITS = {
    "memory.min": k.MIN,
    "memory.low": k.LOW,
    "memory.high": k.HIGH,
    "memory.max": k.MAX,
    "memory.swap.high": k.SWAP_HIGH,
    "memory.swap.max": k.SWAP_MAX,
}


def size_of(pages: int) -> int:
    """Bytes, or `UNLIMITED`."""
    return UNLIMITED if pages >= k.UNLIMITED_PAGES else int(pages) * PAGE


class Knobs:
    """What can be written to the files of one machine's cgroups, and to the queues of its disks."""

    def __init__(self, machine: Machine, queues: Queues) -> None:
        self._machine = machine
        self._queues = queues

    def apply(self, write: Write) -> Value | None:
        """Write one knob; see `Node.apply`."""
        knob, path, value = write.knob, write.cgroup, write.value
        place = {"cgroup": path, "knob": knob}
        if knob == IO_QUEUE and not path and isinstance(value, Mapping):
            return self._queues.apply(value)
        known = knob in LIMITS or knob in ("memory.reclaim", "memory.oom.group", "io.max", "cpu.max")
        if not known:
            raise KnobMissing("no such knob", **place)
        _check(knob, value, place)
        self._find(write, place)
        c = self._machine.paths[path]
        row = self._machine.m.cg
        if isinstance(value, Reclaim):
            self._reclaim(path, value, place)
            return None
        if knob == "memory.oom.group":
            row[c, k.OOM_GROUP] = int(value is True)
            return bool(row[c, k.OOM_GROUP])
        if isinstance(value, Mapping):
            return self._io_max(c, cast("Mapping[str, IoMax]", value), place)
        if isinstance(value, Bandwidth):
            self._machine.set_bandwidth(path, value)
            return value
        self._machine.set_limit(path, LIMITS[knob], value)
        return size_of(self._machine.m.cg[c, LIMITS[knob]])

    def _find(self, write: Write, place: dict[str, str]) -> None:
        """Refuse a write to a cgroup that is not there, or is another one, or has no such file."""
        path = write.cgroup
        if path and any(part in ("", ".", "..") for part in path.split("/")):
            raise InvalidValue("is not a path below the cgroup root", **place)
        if path not in self._machine.paths:
            raise CgroupGone("no such cgroup", **place)
        if write.inode and write.inode != self._machine.inodes[path]:
            raise CgroupGone("another cgroup was born under this path", **place)
        if not path and write.knob != "memory.reclaim":
            raise KnobMissing("the root has no such file", **place)

    def _reclaim(self, path: str, order: Reclaim, place: dict[str, str]) -> None:
        swappiness = -1 if order.swappiness is None else order.swappiness
        if swappiness > self._machine.profile.reclaim_swappiness_max:
            raise InvalidValue(f"this kernel does not take swappiness={swappiness}", **place)
        for done in range(0, max(1, order.size), RECLAIM_PIECE):  # as on a real node, by as many writes
            if not self._machine.reclaim(path, min(RECLAIM_PIECE, order.size - done), swappiness):
                raise Busy("fewer bytes were reclaimed than asked for (EAGAIN)", **place)

    def _io_max(self, c: int, value: Mapping[str, IoMax], place: dict[str, str]) -> Value:
        numbers = {Look(self._machine).device(d): d for d in self._machine.disk_numbers.values()}
        for device in value:
            if device not in numbers:
                raise InvalidValue(f"there is no disk {device}", **place)
        row: Any = self._machine.m.cg
        row[c, k.IOMAX : k.IOMAX + 4 * k.MAX_DEVICES] = 0
        for device, limit in value.items():
            limits = (limit.rbps, limit.wbps, limit.riops, limit.wiops)
            first = k.IOMAX + 4 * numbers[device]
            row[c, first : first + 4] = [0 if n >= UNLIMITED else n for n in limits]
        self._machine.order(control.IO_MAX, c)
        return Look(self._machine).io_max(c)


def _check(knob: str, value: Any, place: dict[str, str]) -> None:
    if knob == "memory.reclaim":
        fits = isinstance(value, Reclaim) and value.size >= 0
    elif knob == "memory.oom.group":
        fits = isinstance(value, bool)
    elif knob == "cpu.max":
        fits = isinstance(value, Bandwidth) and value.quota >= 1000 <= value.period <= 1_000_000
    elif knob == "io.max":
        fits = isinstance(value, Mapping) and all(isinstance(limit, IoMax) for limit in value.values())
    else:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not fits:
        raise InvalidValue(f"{value!r} is not a value it takes", **place)
