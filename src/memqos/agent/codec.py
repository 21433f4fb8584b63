"""Ticks as bytes and back: what changed since the last one, as msgpack, through zlib level 1.

A node's turns are much alike, so a record holds only what is new: the counters that moved, the
cgroups that came, the writes that are not the last turn's. The first record after `Encoder()` is
whole. Records are therefore read from the first on, by one `Decoder`.

What crosses is a frozen type of `memqos.model`, or its wire form (`memqos.agent.wire`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

from memqos.agent.delta import Layouts, change, changed_to, twin
from memqos.agent.wire import (
    Record,
    WireOutcome,
    plain,
    rich_fraction,
    rich_underway,
    rich_value,
    rich_write,
    wire_underway,
    wire_value,
    wire_write,
)
from memqos.model.plan import Outcome, Plan, Stand, Tick, Write
from memqos.model.snapshot import Cgroup, NodeFacts, Snapshot

_T = TypeVar("_T")
_W = TypeVar("_W")


class Encoder:
    """Turns ticks into records, each after the last that was `accept`ed."""

    def __init__(self) -> None:
        self._layouts = Layouts()
        self._last: Tick | None = None
        self._pending: Tick | None = None
        self._encode = msgspec.msgpack.Encoder(enc_hook=plain).encode

    def encode(self, tick: Tick) -> bytes:
        """Return one turn as bytes; call `accept` once they are where the reader will find them."""
        last, now = self._last, tick.snapshot
        before = last.snapshot if last else None
        cgroups: dict[int, Any] = {}
        known = before.cgroups if before else {}
        for place, (path, cgroup) in enumerate(now.cgroups.items()):
            if (was := known.get(path)) is cgroup:
                continue
            wire = change(cgroup, was, self._layouts)
            if wire is not None:
                cgroups[place] = wire
        node = change(now.node, before.node if before else None, self._layouts)
        places = {id(write): place for place, write in enumerate(tick.plan.writes)}

        def outcome(one: Outcome) -> WireOutcome:
            place = places.get(id(one.write))
            write = wire_write(one.write) if place is None else place
            return WireOutcome(write, one.status, wire_value(one.before), wire_value(one.after), one.error)

        paths = tuple(now.cgroups)
        record = Record(
            whole=last is None,
            layouts=tuple(self._layouts.fresh),
            time_us=now.time_us,
            boot_id=now.boot_id,
            features=None if before and before.features == now.features else now.features,
            node=msgspec.Raw(self._encode(node)),
            cgroups=msgspec.Raw(self._encode(cgroups)),
            paths=None if before and tuple(before.cgroups) == paths else paths,
            pods=None if last and last.pods == tick.pods else tick.pods,
            writes=_since(tick.plan.writes, last.plan.writes if last else (), _write_key, wire_write),
            advice=None if last and last.plan.advice == tick.plan.advice else tick.plan.advice,
            outcomes=_since(tick.outcomes, last.outcomes if last else (), _outcome_key, outcome),
            woken_by=tick.woken_by,
            decided_in_us=tick.decided_in_us,
            notes=tick.notes,
            unread=None if before and before.unread == now.unread else now.unread,
            evictions=tick.plan.evictions,
            stands=_since(tick.plan.stands, last.plan.stands if last else (), _stand_key, _as_it_is),
            underway=wire_underway(tick.underway),
            look_in=tick.plan.look_in,
            evicted=tick.evicted,
        )
        self._pending = tick
        return zlib.compress(self._encode(record), 1)

    def accept(self) -> None:
        """Take the last record for written: the next builds on it."""
        self._last, self._pending = self._pending, None
        self._layouts.fresh.clear()


class Decoder:
    """Turns records back into ticks, in the order they were written."""

    def __init__(self) -> None:
        self._layouts = Layouts()
        self._last: Tick | None = None

    def decode(self, data: bytes) -> Tick:
        """Read one turn; raises `ValueError` when the bytes are no record that follows the last."""
        try:
            self._last = self._tick(_decoder(Record).decode(zlib.decompress(data)))
        except (zlib.error, msgspec.MsgspecError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise ValueError(f"no record that follows: {error}") from error
        return self._last

    def _tick(self, record: Record) -> Tick:
        if record.whole:
            self._last, self._layouts = None, Layouts()
        elif self._last is None:
            raise ValueError("no record to build on")
        for keys in record.layouts:
            self._layouts.add(keys)
        last = self._last
        before = last.snapshot if last else None
        paths = tuple(before.cgroups) if record.paths is None and before else record.paths or ()
        known = dict(before.cgroups) if before else {}
        decoder = _decoder(dict[int | str, twin(Cgroup)])  # type: ignore[misc]
        for place, wire in decoder.decode(record.cgroups).items():
            path = paths[place] if isinstance(place, int) else place
            known[path] = changed_to(Cgroup, wire, known.get(path), self._layouts)
        wire_node = _decoder(twin(NodeFacts) | None).decode(record.node)
        node = before.node if before else None
        if wire_node is not None:
            node = changed_to(NodeFacts, wire_node, node, self._layouts)
        assert node is not None
        features = before.features if record.features is None and before else record.features
        snapshot = Snapshot(
            time_us=record.time_us,
            boot_id=record.boot_id,
            node=node,
            cgroups={path: known[path] for path in paths},
            features=features or frozenset(),
            unread=before.unread if record.unread is None and before else record.unread or (),
        )
        writes = _resolved(record.writes, last.plan.writes if last else (), rich_write)

        def outcome(one: WireOutcome) -> Outcome:
            write = writes[one.write] if isinstance(one.write, int) else rich_write(one.write)
            return Outcome(write, one.status, rich_value(one.before), rich_value(one.after), one.error)

        outcomes = _resolved(record.outcomes, last.outcomes if last else (), outcome)
        advice = last.plan.advice if record.advice is None and last else record.advice or ()
        pods = last.pods if record.pods is None and last else record.pods or ()
        stood = last.plan.stands if last else ()
        stands = stood if record.stands is None else _resolved(record.stands, stood, _as_it_is)
        plan = Plan(writes, advice, record.evictions, stands, record.look_in)
        return Tick(
            snapshot=snapshot,
            pods=pods,
            plan=plan,
            outcomes=outcomes,
            woken_by=record.woken_by,
            decided_in_us=record.decided_in_us,
            notes=record.notes,
            underway=rich_underway(record.underway),
            evicted=record.evicted,
        )


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind, dec_hook=rich_fraction)


def _since(
    now: Sequence[_T], last: Sequence[_T], key: Callable[[_T], Hashable], wire: Callable[[_T], _W]
) -> tuple[int | _W, ...]:
    """Name what equals one of the last turn by how far on it stood then; write out the rest.

    Mostly it stands as far on as the one before it, so that is looked at first.
    """
    places: dict[Hashable, int] | None = None
    said: list[int | _W] = []
    on = 0
    for place, one in enumerate(now):
        then = place + on
        if not 0 <= then < len(last) or (last[then] is not one and key(last[then]) != key(one)):
            if places is None:
                places = {key(each): number for number, each in enumerate(last)}
            found = places.get(key(one))
            if found is None:
                said.append(wire(one))
                continue
            then = found
        on = then - place
        said.append(on if last[then] is one or last[then] == one else wire(one))
    return tuple(said)


def _resolved(said: Sequence[int | _W], last: Sequence[_T], rich: Callable[[_W], _T]) -> tuple[_T, ...]:
    return tuple(last[place + one] if isinstance(one, int) else rich(one) for place, one in enumerate(said))


def _as_it_is(stand: Stand) -> Stand:
    return stand


def _stand_key(stand: Stand) -> Hashable:
    return (stand.rung, stand.subject)


def _write_key(write: Write) -> Hashable:
    return write.target


def _outcome_key(outcome: Outcome) -> Hashable:
    return outcome.write.target
