"""A `Tick` as bytes and back: msgpack with every counter file's keys once a record, then zlib level 1.

Everything that crosses is a frozen type of `memqos.model`; only what msgpack has no word for has
one here: a knob's value (a reclaim order is a pair), a quantity's exact fraction (`"3/2"`), and
`Counters` (the number of its layout, and its values).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import msgspec

from memqos.model.plan import Advice, Outcome, Plan, Reclaim, Status, Tick, Value, Write
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Counters, IoMax, Snapshot

_WireValue: TypeAlias = bool | int | dict[str, IoMax] | tuple[int, int | None] | None


class _Write(msgspec.Struct, array_like=True):
    cgroup: str
    knob: str
    value: _WireValue
    why: str
    policy: str
    inode: int


class _Outcome(msgspec.Struct, array_like=True):
    write: int | _Write
    """The place of the write in the plan, or a write that no plan asked for."""
    status: Status
    before: _WireValue
    after: _WireValue
    error: str


class _Body(msgspec.Struct, array_like=True):
    snapshot: Snapshot
    pods: tuple[PlacedPod, ...]
    writes: tuple[_Write, ...]
    advice: tuple[Advice, ...]
    outcomes: tuple[_Outcome, ...]
    woken_by: str
    decided_in_us: int
    notes: tuple[str, ...]


class _Record(msgspec.Struct, array_like=True):
    layouts: tuple[tuple[str, ...], ...]
    body: msgspec.Raw


def encode(tick: Tick) -> bytes:
    """Return one turn as bytes."""
    layouts: dict[tuple[str, ...], int] = {}
    known: dict[int, int] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, Counters):
            number = known.get(id(value.layout))
            if number is None:
                number = known[id(value.layout)] = layouts.setdefault(tuple(value.layout), len(layouts))
            return (number, value.values_)
        if isinstance(value, Fraction):
            return str(value)
        raise TypeError(f"{type(value).__name__} cannot be recorded")

    places = {id(write): place for place, write in enumerate(tick.plan.writes)}
    body = _Body(
        tick.snapshot,
        tick.pods,
        tuple(map(_wire_write, tick.plan.writes)),
        tick.plan.advice,
        tuple(
            _Outcome(
                places[id(one.write)] if id(one.write) in places else _wire_write(one.write),
                one.status,
                _wire(one.before),
                _wire(one.after),
                one.error,
            )
            for one in tick.outcomes
        ),
        tick.woken_by,
        tick.decided_in_us,
        tick.notes,
    )
    raw = msgspec.Raw(msgspec.msgpack.Encoder(enc_hook=plain).encode(body))
    return zlib.compress(msgspec.msgpack.encode(_Record(tuple(layouts), raw)), 1)


def decode(data: bytes) -> Tick:
    """Read one turn back; raises `ValueError` when the bytes are no record of this version."""
    try:
        record = msgspec.msgpack.decode(zlib.decompress(data), type=_Record)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error
    layouts = [{key: place for place, key in enumerate(keys)} for keys in record.layouts]

    def rich(kind: type, value: Any) -> Any:
        if kind is Counters:
            number, values = value
            return Counters(layouts[number], tuple(values))
        if kind is Fraction:
            return Fraction(value)
        raise NotImplementedError(kind)

    try:
        body = msgspec.msgpack.decode(record.body, type=_Body, dec_hook=rich)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    writes = tuple(map(_rich_write, body.writes))
    outcomes = tuple(
        Outcome(
            writes[one.write] if isinstance(one.write, int) else _rich_write(one.write),
            one.status,
            _rich(one.before),
            _rich(one.after),
            one.error,
        )
        for one in body.outcomes
    )
    return Tick(
        body.snapshot,
        body.pods,
        Plan(writes, body.advice),
        outcomes,
        body.woken_by,
        body.decided_in_us,
        body.notes,
    )


def _wire(value: Value | None) -> _WireValue:
    if isinstance(value, Reclaim):
        return (value.size, value.swappiness)
    return dict(value) if isinstance(value, Mapping) else value


def _rich(value: _WireValue) -> Value | None:
    return Reclaim(*value) if isinstance(value, tuple) else value


def _wire_write(write: Write) -> _Write:
    return _Write(write.cgroup, write.knob, _wire(write.value), write.why, write.policy, write.inode)


def _rich_write(write: _Write) -> Write:
    value = _rich(write.value)
    if value is None:
        raise ValueError(f"{write.cgroup}: {write.knob}: a write without a value")
    return Write(write.cgroup, write.knob, value, write.why, write.policy, write.inode)
