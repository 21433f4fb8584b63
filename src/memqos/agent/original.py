"""What one knob held before memqos, what of ours it may hold since, and what brings it back.

The original is the last value that somebody else gave the knob: when the kubelet writes a new limit over
ours, that is what to go back to. A knob is known by path and inode: a cgroup reborn under the same name is
another cgroup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from memqos.agent.devices import Each, after_write, bring_back
from memqos.model.plan import Value, Write, unset
from memqos.model.queue import KNOB as QUEUE
from memqos.model.snapshot import IoMax

SIGNATURE: Final = "memqos"
"""The `policy` of writes that bring originals back."""

Kept: TypeAlias = bool | int | dict[str, IoMax | str]
Key: TypeAlias = tuple[str, int, str]
"""Cgroup, inode, knob."""


class Original(msgspec.Struct, frozen=True):
    """One knob: what it held before, and every value of ours it may hold since.

    Of a knob of several devices, those that were written: a device that is not in `value` was unset.
    """

    cgroup: str
    inode: int
    knob: str
    value: Kept
    ours: tuple[Kept, ...]

    @property
    def key(self) -> Key:
        """What identifies the knob within one boot."""
        return (self.cgroup, self.inode, self.knob)

    @property
    def by_device(self) -> Each:
        """The original of a knob of several devices; nothing of another knob."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def ours_by_device(self) -> tuple[Each, ...]:
        """Ours of a knob of several devices."""
        return tuple(one for one in self.ours if isinstance(one, dict))


@dataclass(frozen=True, slots=True)
class Intent:
    """A value about to be written, and what the knob holds before."""

    cgroup: str
    inode: int
    knob: str
    before: Value
    value: Value

    @property
    def key(self) -> Key:
        """What identifies the knob within one boot."""
        return (self.cgroup, self.inode, self.knob)


def written_over(known: Original | None, intent: Intent) -> Original | None:
    """Return what is to be remembered of a knob once it is written; `None` if that is known already.

    Raises `TypeError` for an order to reclaim, which no knob keeps.
    """
    key, before, value = intent.key, _plain(intent.before), _plain(intent.value)
    if isinstance(before, dict) and isinstance(value, dict):
        original = known.by_device if known is not None else {}
        devices = after_write(original, known.ours_by_device if known else (), before, value, unset(key[2]))
        return devices and Original(*key, *devices)
    if known is None or before not in (*known.ours, known.value):
        known = Original(*key, value=before, ours=())
    if value in known.ours:
        return None
    # what the knob holds now and what it will hold; older values are not there any more
    return Original(*key, known.value, (before, value) if before in known.ours else (value,))


def brings_back(original: Original, found: Value | None) -> Value | None:
    """Return what brings a knob back that holds `found`; `None` when somebody else has it by now."""
    if isinstance(original.value, dict) and isinstance(found, Mapping):
        none = unset(original.knob)
        back = bring_back(original.by_device, original.ours_by_device, found, none)
        if not back or original.knob == QUEUE:
            return back or None
        # such a file is written as a whole: a device that is left out would lose what others set
        return {**{device: each for device, each in found.items() if device not in back}, **back}
    ours = found is None or any(holds(found, value) for value in (original.value, *original.ours))
    return original.value if ours else None


def write_back(original: Original, value: Value, why: str) -> Write:
    """Return the write that brings `value` back, marked as such by its `policy`."""
    return Write(original.cgroup, original.knob, value, why, SIGNATURE, original.inode)


def holds(found: Value | None, value: Value) -> bool:
    """True when a knob that reads `found` holds `value`; a device that it leaves out is unset."""
    if isinstance(found, Mapping) and isinstance(value, Mapping):
        return all(found.get(device, type(each)()) == each for device, each in value.items())
    return found == value


def _plain(value: Value) -> Kept:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, int):
        return value
    raise TypeError(f"{value!r} is an order, not a value to remember")
