"""How the kernel queues each disk's requests: /sys/block/DISK/queue, shown as the root cgroup's `io.queue`.

No control file has this name. It is a knob of the node by disk, as io.cost is, so it is observed,
remembered, written and brought back as one (`memqos.model.queue`). `async_depth` is mq-deadline's own
(block/mq-deadline.c); newer kernels have it in the queue's directory. The disks shown are those that
mq-deadline can schedule: a device mapper's requests are queued on the disk below.

It changes only by a write, without an event, so it is read again after a write, when a disk came or went, and
at every `EVERY`th look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from memqos.errors import InvalidValue, KnobMissing
from memqos.linux.observed import EVERY
from memqos.linux.oserror import node_error
from memqos.model.plan import Write
from memqos.model.queue import DEADLINE, KNOB, NAMES, queue_of, queue_text
from memqos.model.snapshot import Disk

_PLACES: Final = {name: (name,) for name in NAMES} | {"async_depth": ("iosched/async_depth", "async_depth")}


class Queues:
    """The queues of the disks below `sys`."""

    def __init__(self, sys: str = "/sys") -> None:
        self._block = Path(sys, "block")
        self._names: dict[str, str] = {}
        self._known: dict[str, str] | None = None
        self._age = 0

    def read(self, disks: Mapping[str, Disk]) -> dict[str, str] | None:
        """Return the queues by "major:minor"; `None` where there is no such directory."""
        self._age = (self._age + 1) % EVERY
        if self._age and disks.keys() == self._names.keys():
            return self._known
        self._names = {device: disk.name for device, disk in disks.items()}
        self._known = self._look() if self._block.is_dir() else None
        return self._known

    def apply(self, write: Write) -> dict[str, str]:
        """Write what the value says about the disks that it names; return all as they are now.

        A text of "" leaves a disk as it is. Raises `InvalidValue`, `KnobMissing` for a disk that is not
        there, and what the kernel answers.
        """
        value: Any = write.value
        if not isinstance(value, Mapping):
            raise InvalidValue(f"takes key=value pairs by device, not {value!r}", cgroup="", knob=KNOB)
        wanted = {device: queue_of(text) for device, text in value.items() if text}
        known = self._look()
        for device, pairs in wanted.items():
            if device not in known:
                raise KnobMissing(f"there is no disk {device} with a queue", cgroup="", knob=KNOB)
            self._write(self._block / self._names[device] / "queue", pairs)
        self._known = self._look()
        return self._known

    def _look(self) -> dict[str, str]:
        found = ((device, _read(self._block / name / "queue")) for device, name in self._names.items())
        return {device: text for device, text in found if text}

    @staticmethod
    def _write(queue: Path, wanted: Mapping[str, str]) -> None:
        for name in (each for each in NAMES if each in wanted):
            if queue_of(_read(queue)).get(name) == wanted[name]:
                continue
            places = [queue / place for place in _PLACES[name]]
            place = next((each for each in places if each.exists()), places[0])
            try:
                place.write_text(wanted[name], encoding="ascii")
            except OSError as error:
                raise node_error(error, cgroup="", knob=str(place), directory_exists=True) from None


def _read(queue: Path) -> str:
    """Return a queue's text; "" of a disk without one, or one that mq-deadline cannot schedule."""
    found = {name: text for name in NAMES if (text := _first(queue, _PLACES[name]))}
    offered = found.get("scheduler", "")
    if DEADLINE not in re.split(r"[][\s]+", offered):
        return ""
    if (chosen := re.search(r"\[(\S+)\]", offered)) is not None:
        found["scheduler"] = chosen[1]
    return queue_text(found)


def _first(queue: Path, places: tuple[str, ...]) -> str:
    for place in places:
        try:
            return (queue / place).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""
