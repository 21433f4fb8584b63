"""The interpreter's own costs: what the collector of cycles takes of every turn.

A turn makes some ten thousand objects. They would start CPython's cycle collector a dozen times, which now
and then walks through all objects: an eighth of a turn's processor time. The agent makes hardly any cycles.
So the objects that are there at the start are excluded for good (`gc.freeze`), and the collector runs only
when `EVERY` new ones are alive.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

EVERY: Final = 100_000
"""Objects made and not freed between two runs: some MiB at most, if all of them were garbage."""


@contextmanager
def thrifty() -> Iterator[None]:
    """Collect cycles rarely while this lasts."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
