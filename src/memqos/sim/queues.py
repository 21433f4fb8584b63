"""How the simulated disks queue: `io.queue` of the root cgroup (`memqos.model.queue`).

mq-deadline's depth bounds how many writes of reclaim a disk has at a time on each of its hardware queues, of
which there is one for every processor; `max_sectors_kb` bounds how large a request may grow. `none` leaves
both to the kernel's own bounds (`memqos.sim.kernels.disk`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from memqos.errors import InvalidValue, KnobMissing
from memqos.model.queue import DEADLINE, KNOB, queue_of, queue_text
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.disk import MOST
from memqos.sim.machine import PAGE, Machine
from memqos.units import KIB

_PLAIN: Final = {"scheduler": "none", "max_sectors_kb": "1280"}
_DEPTH: Final = 48
"""What mq-deadline begins with: three quarters of its pool (dd_depth_updated), here of 64 requests."""

_LEAST: Final = 2
"""One request is served while the next one gathers pages: guests had 10 to 20 in each at a depth of 1."""


class Queues:
    """The queues of a machine's disks. `devices` are their numbers, in order."""

    def __init__(self, machine: Machine, devices: list[str]) -> None:
        self._machine = machine
        self._queues = {device: dict(_PLAIN) for device in devices}

    def read(self) -> dict[str, str]:
        """Return every disk's queue."""
        return {device: queue_text(queue) for device, queue in self._queues.items()}

    def apply(self, value: Mapping[str, Any]) -> dict[str, str]:
        """Write the disks named; "" leaves one as it is. Raises `InvalidValue` and `KnobMissing`."""
        wanted = {device: queue_of(text) for device, text in value.items() if text}
        for device, queue in wanted.items():
            if device not in self._queues:
                raise KnobMissing(f"there is no disk {device} with a queue", cgroup="", knob=KNOB)
            if queue.get("scheduler", DEADLINE) not in (DEADLINE, "none"):
                problem = f"there is no scheduler {queue['scheduler']}, but {DEADLINE} and none"
                raise InvalidValue(problem, cgroup="", knob=KNOB)
        for number, device in enumerate(self._queues):
            if device in wanted:
                self._write(number, self._queues[device], wanted[device])
        return self.read()

    def _write(self, number: int, queue: dict[str, str], wanted: Mapping[str, str]) -> None:
        queue.update(wanted)
        dev: Any = self._machine.m.dev
        row = dev[number]
        if queue["scheduler"] == DEADLINE:
            queue.setdefault("async_depth", str(_DEPTH))
            parts = self._machine.profile.depth_parts * self._machine.spec.cpus
            row[k.D_DEPTH] = max(_LEAST, int(queue["async_depth"]) * parts)
        else:
            queue.pop("async_depth", None)
            row[k.D_DEPTH] = 0
        row[k.D_MOST] = max(1, min(MOST, int(queue["max_sectors_kb"]) * KIB // PAGE))
