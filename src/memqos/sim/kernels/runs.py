"""Runs: consecutive pages in like states, about which one decision is made for all.

The loops here have no branches, so that they are compiled to vector instructions; each answers for all pages
of a run or for none.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined
from memqos.sim.kernels.layout import Mem, Row

LEAST = 8
"""Shorter runs are not worth looking for."""


@inlined
def consecutive(row: Row, at: int, pages: int) -> bool:
    """Whether `row[at : at + pages]` counts up by one."""
    first = row[at]
    wrong = 0
    for i in range(pages):
        wrong |= row[at + i] ^ (first + i)
    return wrong == 0


@inlined
def common(m: Mem, page: int, pages: int) -> tuple[int, int]:
    """The bits that all words of a run have, and those that some have."""
    every = -1
    some = 0
    for i in range(page, page + pages):
        word = m.w[i]
        every &= word
        some |= word
    return every, some


@inlined
def nearest(m: Mem, page: int, pages: int, age: int) -> int:
    """The least refault distance among the shadows of a run."""
    least = k.POS
    for i in range(page, page + pages):
        least = min(least, (age - m.w[i]) & k.POS)
    return least


@inlined
def enter(m: Mem, page: int, pages: int, at: int, word: int) -> None:
    """Give a run its places from `at` on in a list, and its words."""
    for i in range(pages):
        m.pool[at + i] = page + i
    for i in range(pages):
        m.w[page + i] = word | (at + i)


@inlined
def leave(m: Mem, page: int, pages: int, word: int, age: int) -> None:
    """Leave shadows of rising age in a run's place."""
    for i in range(pages):
        kept = m.w[page + i] & k.WS
        m.w[page + i] = word | kept | ((age + i) & k.POS)


@inlined
def fill(m: Mem, page: int, pages: int, word: int) -> None:
    """Give each page of a run the same word."""
    for i in range(page, page + pages):
        m.w[i] = word


@inlined
def change(m: Mem, page: int, pages: int, more: int) -> None:
    """Add the same to each word of a run."""
    for i in range(page, page + pages):
        m.w[i] = m.w[i] + more
