"""Eights: as many consecutive pages in like states, about which one decision is made for all.

Always eight are looked at, however long a run of pages is and wherever it is cut, so that this has no
branches and no remainder; each answers for all eight pages or for none. Where only some of them may come or
go, the words of the others are written as they were.
"""

from __future__ import annotations

from memqos.sim.kernels import eights
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined
from memqos.sim.kernels.mem import Mem, Row

PAGES = eights.PAGES


@inlined
def in_order(row: Row, at: int, first: int) -> bool:
    """Whether `row[at : at + 8]` counts up by one from `first`; all eight must be there."""
    if row[at + PAGES - 1] != first + PAGES - 1:
        return False
    return bool(eights.in_order(row, at, first))


@inlined
def in_node(page: int, some: int) -> int:
    """How many of at most eight pages from this one on are in its tree node; the others are in the next."""
    return min(some, 64 - (page & 63))


@inlined
def alike(m: Mem, page: int, word: int, mask: int) -> bool:
    """Whether the words of eight pages agree with `word` in the bits of `mask`."""
    return bool(eights.alike(m.w, page, word, mask))


@inlined
def all_farther(m: Mem, page: int, age: int, than: int) -> bool:
    """Whether the refault distances of eight shadows all exceed `than`."""
    return bool(eights.all_farther(m.w, page, age, k.POS, than))


@inlined
def enter(m: Mem, page: int, at: int, word: int, some: int) -> None:
    """Give the first of eight pages their places from `at` on in a list, and their words."""
    eights.write(m.pool, at, 0, 0, page, -1, some)
    eights.write(m.w, page, 0, word, at, -1, some)


@inlined
def leave(m: Mem, page: int, word: int, age: int, some: int) -> None:
    """Leave shadows of rising age in place of the first of eight pages."""
    eights.write(m.w, page, k.WS, word, age, k.POS, some)


@inlined
def fill(m: Mem, page: int, word: int, some: int) -> None:
    """Give the first of eight pages the same word."""
    eights.write(m.w, page, 0, word, 0, 0, some)


@inlined
def change(m: Mem, page: int, more: int) -> None:
    """Add the same to each of eight words."""
    eights.change(m.w, page, more)
