"""Which page tables MGLRU's aging walks, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from numba.core import config

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import tables
from memqos.units import MIB

pytestmark = pytest.mark.skipif(not config.DISABLE_JIT, reason="kernels called one by one")
TABLES, PAGES = 3, 512


@pytest.fixture
def filled(bench: Callable[..., Any]) -> Any:
    """A process with three page tables' memory, which runs no more."""
    node = bench("6.12")
    node.group("a")
    node.task = node.hog("a", TABLES * 2 * MIB)
    node.settle(node.task)
    node.m, node.row = node.machine.m, node.machine.cgroup("a")
    return node


def harvested(node: Any, table: int = 0) -> bool:
    """Have a generation closed while one page in eight of a table is young; whether the walk found them."""
    (region,) = [o for o in range(node.m.g[k.NOBJ]) if node.m.obj[o, k.O_TASK] == node.task]
    first = int(node.m.obj[region, k.O_BASE]) + table * PAGES
    for page in range(first, first + PAGES, 8):
        node.m.w[page] |= k.YOUNG
    tables.walk(node.m, node.row, 60)
    node.m.cg[node.row, k.MAX_SEQ] += 1
    found = not node.m.w[first] & k.YOUNG
    for page in range(first, first + PAGES, 8):
        node.m.w[page] &= ~k.YOUNG
    return found


def ran(node: Any) -> None:
    node.m.task[node.task, k.T_RAN] = 1


def test_who_was_not_switched_to_since_is_not_walked_again(filled: Any) -> None:
    assert harvested(filled)
    assert not harvested(filled)
    ran(filled)
    assert harvested(filled)


def test_who_woke_was_switched_to(filled: Any) -> None:
    tables.walk(filled.m, filled.row, 60)
    assert not filled.m.task[filled.task, k.T_RAN]
    filled.machine.program(filled.task, [{k.P_OP: k.OP_SLEEP, k.P_NS: 1000}, {k.P_OP: k.OP_HOLD}])
    filled.settle(filled.task)
    assert filled.m.task[filled.task, k.T_RAN]


def test_a_walk_looks_at_tables_that_the_last_one_found_young(filled: Any) -> None:
    assert harvested(filled, 0)
    ran(filled)
    assert harvested(filled, 1)  # the first walk looked at all, and found all young
    ran(filled)
    assert not harvested(filled, 2)
    ran(filled)
    assert not harvested(filled, 1)  # the last walk looked at it, and found nothing


def test_a_filter_that_no_walk_has_made_lets_every_table_pass(filled: Any) -> None:
    assert harvested(filled, 0)
    assert not harvested(filled, 1)  # nobody ran, so no filter is made for the next generation
    ran(filled)
    assert harvested(filled, 2)


@pytest.mark.parametrize(("slow", "again"), [(1, False), (1_000_000, True)])
def test_who_walks_for_longer_than_a_tick_is_switched_to_meanwhile(
    filled: Any, slow: int, again: bool
) -> None:
    """64 young pages, a millisecond each."""
    filled.m.g[k.CUR], filled.m.g[k.NS_SCAN] = filled.task, slow
    assert harvested(filled)
    assert harvested(filled, 1) == again


@pytest.mark.parametrize(("slow", "switched"), [(30_000, False), (60_000, True)])
def test_entries_that_were_not_accessed_take_their_time_too(filled: Any, slow: int, switched: bool) -> None:
    """64 young pages among 1,536, whose entries take as long as 48 more: 3.4 and 6.7 ms, of a tick of 4."""
    filled.m.g[k.CUR] = filled.task
    assert harvested(filled)
    ran(filled)
    filled.m.g[k.NS_SCAN] = slow
    assert harvested(filled, 1)
    assert filled.m.task[filled.task, k.T_RAN] == switched
