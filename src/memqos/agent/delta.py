"""What changed of a frozen struct since the last turn, as a struct of its own.

`twin` makes, of a struct of `memqos.model.snapshot`, one with the same fields that may be unset: an
unset field is as it was. A file of counters is the number of its layout and the differences to
the counters before, which are small and mostly 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import compress, count
from operator import is_not, sub
from typing import Any, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from memqos.model.snapshot import Counters


class WireCounters(msgspec.Struct, array_like=True, gc=False):
    """Counters of the layout of this number: as they are, or, if `since`, what to add to the last."""

    layout: int
    since: bool
    values: tuple[int, ...]


class Layouts:
    """The layouts seen so far, numbered in order; `fresh` are those not yet told to the reader."""

    def __init__(self, known: tuple[Mapping[str, int], ...] = ()) -> None:
        self.known = list(known)
        self.fresh: list[tuple[str, ...]] = []
        self._numbers = {tuple(layout): number for number, layout in enumerate(self.known)}
        self._by_id: dict[int, tuple[Mapping[str, int], int]] = {}

    def number(self, layout: Mapping[str, int]) -> int:
        """Return a layout's number, a new one if it was never seen."""
        held = self._by_id.get(id(layout))
        if held is not None and held[0] is layout:
            return held[1]
        keys = tuple(layout)
        number = self._numbers.setdefault(keys, len(self._numbers))
        if number == len(self.known):
            self.add(keys)
            self.fresh.append(keys)
        self._by_id[id(layout)] = (layout, number)
        return number

    def add(self, keys: tuple[str, ...]) -> None:
        """Number the next layout."""
        self._numbers[keys] = len(self.known)
        self.known.append({key: place for place, key in enumerate(keys)})


@cache
def twin(struct: type[msgspec.Struct]) -> Any:
    """Return the struct type that says what changed of this one."""
    hints = get_type_hints(struct)
    fields = []
    for name in struct.__struct_fields__:
        hint = hints[name]
        if hint is Counters:
            hint = WireCounters
        elif Counters in getattr(hint, "__args__", ()):
            hint = WireCounters | None
        fields.append((name, hint | UnsetType, UNSET))
    return msgspec.defstruct(f"{struct.__name__}Change", fields, omit_defaults=True)


def change(now: msgspec.Struct, last: msgspec.Struct | None, layouts: Layouts) -> Any | None:
    """Return what changed of `last`, everything if there is none; `None` when nothing did."""
    if now is last:
        return None
    kind = type(now)
    names = kind.__struct_fields__
    news = astuple(now)
    olds = (UNSET,) * len(names) if last is None else astuple(last)
    changed: dict[str, Any] = {}
    for place in compress(count(), map(is_not, news, olds)):  # of most cgroups that changed a few fields did
        new, old = news[place], olds[place]
        if type(new) is Counters:
            if (counters := _counters(new, old, layouts)) is not None:
                changed[names[place]] = counters
        elif new != old:
            changed[names[place]] = new
    return twin(kind)(**changed) if changed or last is None else None


def _counters(new: Counters, old: Any, layouts: Layouts) -> WireCounters | None:
    number = layouts.number(new.layout)
    if not isinstance(old, Counters) or (
        old.layout is not new.layout and layouts.number(old.layout) != number
    ):
        return WireCounters(number, False, new.values_)
    if new.values_ == old.values_:
        return None
    return WireCounters(number, True, tuple(map(sub, new.values_, old.values_)))


def changed_to(struct: type[msgspec.Struct], wire: Any, last: Any | None, layouts: Layouts) -> Any:
    """Return the struct that `wire` says `last` became. Raises `ValueError` when it cannot be one."""
    fields: dict[str, Any] = {}
    for name in struct.__struct_fields__:
        value = getattr(wire, name)
        if value is UNSET:
            continue
        if isinstance(value, WireCounters):
            if value.layout >= len(layouts.known):
                raise ValueError("counters of an unknown layout")
            numbers = value.values
            if value.since:
                numbers = tuple(a + b for a, b in zip(getattr(last, name).values_, numbers, strict=True))
            value = Counters(layouts.known[value.layout], numbers)
        fields[name] = value
    return struct(**fields) if last is None else msgspec.structs.replace(last, **fields)
