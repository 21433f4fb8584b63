"""Pages that wait to be activated, and reclaim that comes to them first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from numba.core import config

from memqos.sim.kernels import activating, lists, lru_batch, shrink
from memqos.sim.kernels import layout as k
from memqos.units import MIB

ONE_BY_ONE = pytest.mark.skipif(not config.DISABLE_JIT, reason="kernels called one by one")


@pytest.fixture(params=["6.12", "7.2"])
def filled(request: Any, bench: Callable[..., Any]) -> Any:
    """A process with 64 pages of memory that were not accessed of late, in the second youngest generation."""
    node = bench(request.param, swap=4 * MIB)
    node.group("a")
    node.task = node.hog("a", 64 * 4096)
    node.settle(node.task)
    node.m, node.row = node.machine.m, node.machine.cgroup("a")
    (region,) = [o for o in range(node.m.g[k.NOBJ]) if node.m.obj[o, k.O_TASK] == node.task]
    node.first = int(node.m.obj[region, k.O_BASE])
    for page in range(node.first, node.first + 64):
        node.m.w[page] &= ~k.YOUNG
    node.m.cg[node.row, k.MAX_SEQ] += 1
    return node


def isolate(node: Any, page: int) -> None:
    lists.remove(node.m, page)
    node.m.w[page] |= k.PLACE


def generation(node: Any, page: int) -> int:
    return int(node.m.w[page] & k.LIST_MASK) >> k.LIST_SHIFT


@ONE_BY_ONE
def test_a_page_that_waits_is_unmapped_but_neither_written_nor_freed(filled: Any) -> None:
    m, page = filled.m, filled.first
    activating.add(m, page)
    isolate(filled, page)
    assert shrink.shrink_page(m, page, filled.row) == shrink.KEEP
    assert not m.w[page] & (k.MAPPED | k.WB)
    assert m.w[page] & k.SWAPCACHE
    assert m.w[page] & k.DIRTY
    assert (filled.get("a", k.SWAP), filled.get("a", k.PSWPOUT)) == (1, 0)


@ONE_BY_ONE
def test_it_is_written_once_nobody_holds_it_any_more(filled: Any) -> None:
    m, page = filled.m, filled.first
    activating.add(m, page)
    isolate(filled, page)
    shrink.shrink_page(m, page, filled.row)
    lru_batch.drain(m)
    assert m.w[page] & k.PLACE == k.PLACE, "who is with reclaim is not activated"
    assert shrink.shrink_page(m, page, filled.row) == shrink.KEEP
    assert m.w[page] & k.WB
    assert (filled.get("a", k.SWAP), filled.get("a", k.PSWPOUT)) == (1, 1)


@ONE_BY_ONE
def test_pages_move_when_their_batch_is_full(filled: Any) -> None:
    pages = range(filled.first, filled.first + activating.PAGEVEC)
    before = generation(filled, filled.first)
    for page in pages[:-1]:
        activating.add(filled.m, page)
    assert {generation(filled, page) for page in pages} == {before}
    activating.add(filled.m, pages[-1])
    assert before not in {generation(filled, page) for page in pages}
    assert filled.get("a", k.PGACTIVATE) == activating.PAGEVEC
    assert filled.m.g[k.ACTIVATING] == 0
    filled.check()


@ONE_BY_ONE
def test_a_page_that_is_gone_is_not_activated(filled: Any) -> None:
    activating.add(filled.m, filled.first)
    filled.machine.program(filled.task, [])
    filled.machine.run_until_exit(filled.task)
    lru_batch.drain(filled.m)
    assert filled.m.g[k.ACTIVATING] == 0
    filled.check()
