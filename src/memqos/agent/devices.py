"""A knob of several devices (io.max, io.cost, a disk's queue): whose each device is, and what brings it back.

A write changes the devices it names, and reading shows everybody's. So each device is remembered for itself:
what it held before memqos, and what of ours it may hold. One that somebody else wrote meanwhile stays theirs,
and their write to one device makes nothing of another one that is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from memqos.model.snapshot import IoMax

Each: TypeAlias = dict[str, IoMax | str]
"""By device. One that was unset, as `none` says, need not be there."""


def after_write(
    original: Each, ours: Sequence[Each], before: Each, value: Each, none: IoMax | str
) -> tuple[Each, tuple[Each, ...]] | None:
    """Return the original and ours once `value` is written over `before`; `None` where nothing is new.

    The last of ours names every device that was ever written, with what it was written last.
    """
    kept, held = dict(original), {}
    for device in {*value, *(each for one in ours for each in one)}:
        now = before.get(device, none)
        if any(one.get(device) == now for one in ours):
            held[device] = now
        elif device in value and now != original.get(device, none):
            kept[device] = now  # before memqos, or written by somebody since
    if kept == original and any(value.items() <= one.items() for one in ours):
        return None
    last = {**(ours[-1] if ours else {}), **value}
    return kept, ((held, last) if held else (last,))


def bring_back(
    original: Each, ours: Sequence[Each], found: Mapping[str, IoMax | str], none: IoMax | str
) -> Each:
    """Return what brings back the devices that were written and hold ours; the others are left out."""
    value = {}
    for device in sorted({device for one in ours for device in one}):
        now, before = found.get(device, none), original.get(device, none)
        if now == before or any(one.get(device) == now for one in ours):
            value[device] = before
    return value
