"""Rows of the table: a median, its quartiles, and the goal it is held against."""

from __future__ import annotations

import statistics
from typing import Any


def row(name: str, unit: str, values: list[float], goal: float | None, note: str = "") -> dict[str, Any]:
    """A figure that should not exceed its goal."""
    low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    figures = {"median": median, "low": low, "high": high}
    return {"name": name, "unit": unit, **figures, "goal": goal, "note": note}


def ratio(name: str, ours: list[float], theirs: list[float], goal: float, note: str = "") -> dict[str, Any]:
    """How many times faster than a contender of the same rounds; it should reach its goal."""
    times = [their / our for our, their in zip(ours, theirs, strict=True)]
    return row(name, "x", times, goal, note) | {"least": True}
