"""How ticks are written: in msgpack's own types, where `memqos.model` has types of its own.

Most of a tick is written as it is. The exceptions are a knob's value (a reclaim order is a pair), a
quantity's exact fraction (`"3/2"`), and what was in the turn before already (its position there).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import msgspec

from memqos.model.plan import (
    Advice,
    Bandwidth,
    Evicted,
    Eviction,
    Outcome,
    Reclaim,
    Stand,
    Status,
    Underway,
    Value,
    Write,
)
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import IoMax

WireValue: TypeAlias = bool | int | str | dict[str, IoMax | str] | tuple[int, int | None] | None


class WireWrite(msgspec.Struct, array_like=True):
    """A `Write`."""

    cgroup: str
    knob: str
    value: WireValue
    why: str
    policy: str
    inode: int


class WireOutcome(msgspec.Struct, array_like=True):
    """An `Outcome`."""

    write: int | WireWrite
    """The place of the write in the plan, or a write that no plan asked for."""
    status: Status
    before: WireValue
    after: WireValue
    error: str


class WireUnderway(msgspec.Struct, array_like=True):
    """An `Underway` that says something."""

    reclaiming: tuple[str, ...]
    ended: tuple[WireOutcome, ...]
    leaving: tuple[str, ...]
    refused: dict[str, str]


class Record(msgspec.Struct, array_like=True):
    """One turn; `None` where the last one's still holds."""

    whole: bool
    layouts: tuple[tuple[str, ...], ...]
    time_us: int
    boot_id: str
    features: frozenset[str] | None
    node: msgspec.Raw
    cgroups: msgspec.Raw
    """What changed of each, by its place among all (by its path in older journals)."""
    paths: tuple[str, ...] | None
    """All cgroups in order; `None` when they are the last turn's."""
    pods: tuple[PlacedPod, ...] | None
    writes: tuple[int | WireWrite, ...]
    """A number is how far on the same one stood in the last turn."""
    advice: tuple[Advice, ...] | None
    outcomes: tuple[int | WireOutcome, ...]
    woken_by: str
    decided_in_us: int
    notes: tuple[str, ...]
    unread: tuple[str, ...] | None = ()
    evictions: tuple[Eviction, ...] = ()
    stands: tuple[int | Stand, ...] | None = ()
    """As `writes`."""
    underway: WireUnderway | None = None
    look_in: float | None = None
    evicted: tuple[Evicted, ...] = ()


def plain(value: Any) -> Any:
    """Write what msgpack has no type for; raises `TypeError` for what was not foreseen."""
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be recorded")


def rich_fraction(kind: type, value: Any) -> Any:
    """Read it back."""
    if kind is Fraction:
        return Fraction(value)
    raise NotImplementedError(kind)


def wire_value(value: Value | None) -> WireValue:
    """Return a knob's value as it is sent."""
    if isinstance(value, Reclaim):
        return (value.size, value.swappiness)
    if isinstance(value, Bandwidth):
        return f"{value.quota} {value.period}"
    return dict(value) if isinstance(value, Mapping) else value


def rich_value(value: WireValue) -> Value | None:
    """Return a knob's value as it was."""
    if isinstance(value, str):
        return Bandwidth(*map(int, value.split()))
    return Reclaim(*value) if isinstance(value, tuple) else value


def wire_write(write: Write) -> WireWrite:
    """Return a write as it is sent."""
    return WireWrite(write.cgroup, write.knob, wire_value(write.value), write.why, write.policy, write.inode)


def rich_write(write: WireWrite) -> Write:
    """Return a write as it was. Raises `ValueError` when it has no value."""
    value = rich_value(write.value)
    if value is None:
        raise ValueError(f"{write.cgroup}: {write.knob}: a write without a value")
    return Write(write.cgroup, write.knob, value, write.why, write.policy, write.inode)


def wire_underway(underway: Underway) -> WireUnderway | None:
    """Return what is under way as it is sent; `None`: nothing."""
    if underway == Underway():
        return None
    ended = tuple(
        WireOutcome(
            wire_write(one.write), one.status, wire_value(one.before), wire_value(one.after), one.error
        )
        for one in underway.ended
    )
    reclaiming, leaving = sorted(underway.reclaiming), sorted(underway.leaving)
    return WireUnderway(tuple(reclaiming), ended, tuple(leaving), dict(underway.refused))


def rich_underway(wire: WireUnderway | None) -> Underway:
    """Return what is under way as it was. Raises `ValueError` for an order without its write."""
    if wire is None:
        return Underway()
    ended = []
    for one in wire.ended:
        if isinstance(one.write, int):
            raise ValueError("an ended order without its write")
        write = rich_write(one.write)
        ended.append(Outcome(write, one.status, rich_value(one.before), rich_value(one.after), one.error))
    return Underway(frozenset(wire.reclaiming), tuple(ended), frozenset(wire.leaving), wire.refused)
