"""The values of a workload's fields: each read, or refused with `ManifestError` naming field and remedy."""

from __future__ import annotations

import math
from typing import Final

from memqos.cluster.fields import At, shown
from memqos.workload.draws import MAX_PLACES
from memqos.workload.spec import PAGE, Order

MAX: Final = 2**53
"""Bound of counts, exact as a double too."""
_MAX_SECONDS = 10 * 365 * 86400


def only(at: At, *known: str) -> None:
    """Refuse a mapping with other fields than these."""
    if not isinstance(at.value, dict):
        raise at.wrong_type("a mapping") if at.value is not None else at.error("is empty", _fields(known))
    for key in at.value:
        if key not in known:
            raise at.error(f"the field {shown(key)} is not known", _fields(known))


def _fields(known: tuple[str, ...]) -> str:
    return f"write {', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else f"write {known[0]}"


def exactly(at: At, wanted: str) -> None:
    """Refuse any other word than this one."""
    if at.string() != wanted:
        raise at.error(f"{shown(at.value)} is not a workload's", f"write {wanted}")


def required(at: At) -> At:
    """Return a value that is there."""
    if at.value is None:
        raise at.error("is missing", "give it a value")
    return at


def not_both(at: At, one: str, other: str) -> None:
    """Refuse two fields that exclude each other."""
    if at.get(one).value is not None and at.get(other).value is not None:
        raise at.get(other).error(f"stands beside {one}", "write one of the two")


def passes_of(at: At, other: str) -> int:
    """Return how often, where it may also be said by `other`."""
    not_both(at, other, "passes")
    return at.get("passes").integer(1, MAX) or 1


def bytes_of(at: At, low: int = 1) -> int:
    """Return a size in bytes, of `low` at least."""
    size = at.quantity().value
    if not low <= size <= MAX_PLACES * PAGE:
        raise at.error(f"{size} bytes is out of range", f"write {low} to {MAX_PLACES * PAGE} bytes")
    return size


def pages_of(at: At) -> int:
    """Return a size in bytes, rounded up to whole pages."""
    return -(-bytes_of(required(at)) // PAGE) * PAGE


def block_of(at: At, default: int) -> int:
    """Return the bytes of one call, a multiple of a sector."""
    if at.value is None:
        return default
    block = bytes_of(at)
    if block % 512 or block > 64 << 20:
        raise at.error(f"{block} bytes is not a block", "write a multiple of 512 of at most 64Mi")
    return block


def rate_of(at: At) -> int | None:
    """Return the field `bytesPerSecond`."""
    rate = at.get("bytesPerSecond")
    return None if rate.value is None else bytes_of(rate)


def seconds_of(at: At) -> float | None:
    """Return a positive time."""
    return None if at.value is None else number_of(at, 0, _MAX_SECONDS, exclusive=True)


def number_of(at: At, low: float, high: float, *, exclusive: bool = False) -> float:
    """Return a number of `low` to `high`."""
    value = at.value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise at.wrong_type("a number")
    if not math.isfinite(value) or not low <= value <= high or (exclusive and value == low):
        bounds = f"above {low:g}, up to {high:g}" if exclusive else f"of {low:g} to {high:g}"
        raise at.error(f"{shown(value)} is out of range", f"write a number {bounds}")
    return float(value)


def path_of(at: At) -> str:
    """Return the path of a file."""
    path = required(at).string()
    if not path or "\0" in path:
        raise at.error("is not a path", "write the file's path")
    return path


def order_of(at: At, default: Order) -> Order:
    """Return the order that pages or blocks are accessed in."""
    if at.value is None:
        return default
    if not isinstance(at.value, dict):
        kind = at.one_of(("sequential", "uniform"))
        return Order("uniform") if kind == "uniform" else Order()
    only(at, "zipf", "hotCold", "scatter")
    scatter = at.get("scatter").boolean()
    zipf, hot = at.get("zipf"), at.get("hotCold")
    if (zipf.value is None) == (hot.value is None):
        raise at.error("needs one distribution", "write zipf: EXPONENT, or hotCold: {fraction, probability}")
    if zipf.value is not None:
        return Order("zipf", exponent=number_of(zipf, 0, 10), scatter=scatter)
    only(hot, "fraction", "probability")
    return Order(
        "hotCold",
        fraction=number_of(required(hot.get("fraction")), 0, 1),
        probability=number_of(required(hot.get("probability")), 0, 1),
        scatter=scatter,
    )
