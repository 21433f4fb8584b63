"""What could not be read, in a few lines: a file that fails in every cgroup is reported once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

SHOWN: Final = 8
"""Files named at most."""


def summary(found: Iterable[tuple[str, Mapping[str, str]]]) -> tuple[str, ...]:
    """Return `path: knob: reason` per file, its first cgroup and how many more; at most `SHOWN` files.

    `found` is, by cgroup, the reason of each file; file "" is the directory itself.
    """
    first: dict[str, tuple[str, str]] = {}
    count: dict[str, int] = {}
    for path, reasons in found:
        for knob, reason in reasons.items():
            first.setdefault(knob, (path, reason))
            count[knob] = count.get(knob, 0) + 1
    lines = []
    for knob, (path, reason) in list(first.items())[:SHOWN]:
        place = knob if knob.startswith("/") else ": ".join(part for part in (path or "/", knob) if part)
        more = count[knob] - 1
        also = f" (and in {more} more cgroup{'s' * (more > 1)})" if more else ""
        lines.append(f"{place}: {reason}{also}")
    if len(first) > SHOWN:
        lines.append(f"and {len(first) - SHOWN} more files")
    return tuple(lines)
