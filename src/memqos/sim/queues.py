"""How the simulated disks queue: `io.queue` of the root cgroup (`memqos.model.queue`).

mq-deadline's depth bounds how many writes of reclaim a disk has at a time on each of its hardware queues, of
which there is one for every processor (`Profile.depth_counts`); `max_sectors_kb` bounds how large a request
may grow. `none` leaves both to the kernel's own bounds (`memqos.sim.kernels.disk`).
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

_POOL: Final = 256
"""Requests of a scheduler's pool: twice BLKDEV_DEFAULT_RQ (blk_mq_init_sched)."""
_PLAIN: Final = {"scheduler": "none", "nr_requests": str(_POOL), "max_sectors_kb": "1280"}
_WORD: Final = 64
"""Requests of one word of it (`sbitmap_calculate_shift`); a smaller pool keeps that (`sbitmap_resize`)."""

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
        if wanted.get("scheduler", queue["scheduler"]) != queue["scheduler"]:
            queue["nr_requests"] = str(_POOL)
        queue.update(wanted)
        pool = int(queue["nr_requests"])
        dev: Any = self._machine.m.dev
        row = dev[number]
        if queue["scheduler"] == DEADLINE:
            if "async_depth" not in wanted and ("async_depth" not in queue or "nr_requests" in wanted):
                queue["async_depth"] = str(self._begins_with(pool))
            depth = self._writes(int(queue["async_depth"]), pool)
            row[k.D_DEPTH] = max(_LEAST, depth * self._machine.spec.cpus)
        else:
            queue.pop("async_depth", None)
            row[k.D_DEPTH] = 0
        row[k.D_MOST] = max(1, min(MOST, int(queue["max_sectors_kb"]) * KIB // PAGE))

    def _begins_with(self, pool: int) -> int:
        """Return the depth that a pool brings: three quarters, since 6.10 all of it (dd_depth_updated)."""
        return 3 * pool // 4 if self._machine.profile.depth_counts == "in each word" else pool

    def _writes(self, depth: int, pool: int) -> int:
        """Return how many writes a pool of requests hands out at a depth."""
        words = -(-pool // _WORD)
        match self._machine.profile.depth_counts:
            case "in each word":
                return min(pool, words * depth)
            case "by parts":
                return min(pool, words * -(-depth * _WORD // pool))
            case "in all":
                return depth
