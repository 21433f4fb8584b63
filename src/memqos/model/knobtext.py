"""A knob's value in words, the same in reasons, in tables and in the journal."""

from __future__ import annotations

from memqos.model.plan import Bandwidth, Reclaim, Value
from memqos.model.snapshot import IoMax
from memqos.units import UNLIMITED, format_bytes

_NOTHING = "-"
"""A knob that is not there, does not read back, or has nothing set."""


def knob_text(knob: str, value: Value | None) -> str:
    """Write what a knob holds: sizes with their unit, limits by device, a switch as the kernel has it."""
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return format_bytes(value) if knob.startswith("memory.") else str(value)
    if isinstance(value, Bandwidth):
        return str(value)
    if isinstance(value, Reclaim):
        swappiness = "" if value.swappiness is None else f", swappiness {value.swappiness}"
        return f"{format_bytes(value.size)}{swappiness}"
    return "; ".join(f"{device} {_of_disk(each)}" for device, each in sorted(value.items())) or _NOTHING


def _of_disk(limits: IoMax | str) -> str:
    if isinstance(limits, str):
        return limits or "off"
    parts = []
    for name in ("rbps", "wbps", "riops", "wiops"):
        limit = getattr(limits, name)
        if limit < UNLIMITED:
            parts.append(f"{name}={format_bytes(limit)}/s" if name.endswith("bps") else f"{name}={limit}/s")
    return " ".join(parts) or "max"
