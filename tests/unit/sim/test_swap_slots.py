"""Which slots pages get, and what is gathered in a plug before it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import plug, slots
from memqos.sim.kernels.jit import config
from memqos.units import MIB

pytestmark = pytest.mark.skipif(not config.DISABLE_JIT, reason="compiled kernels cannot be called one by one")


def bench_of(bench: Any, kernel: str) -> tuple[Any, Any, int]:
    """A bench, its arrays and the first of many pages of one region."""
    b = bench(kernel, swap=64 * MIB)
    c = b.group("a")
    region = b.machine.region(b.machine.task("a"), 32 * MIB)
    return b.machine.m, c, int(b.machine.m.obj[region, k.O_BASE])


def take(m: Any, c: int, pages: range) -> list[int]:
    assert all(slots.take(m, c, page) for page in pages)
    return [int(m.aux[page]) - 1 for page in pages]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_slots_are_handed_out_in_order(bench: Any, kernel: str) -> None:
    m, c, base = bench_of(bench, kernel)
    assert take(m, c, range(base, base + 600)) == list(range(1, 601))


@pytest.mark.parametrize(("kernel", "holes"), [("6.12", False), ("7.2", True)])
def test_the_next_cluster_is_a_partly_free_one_where_the_kernel_fills_holes(
    bench: Any, kernel: str, holes: bool
) -> None:
    m, c, base = bench_of(bench, kernel)
    take(m, c, range(base, base + 1023))  # slots 1 to 1023: two clusters
    for page in (base + 99, base + 199):
        slots.free(m, page)
    found = take(m, c, range(base + 2000, base + 2003))
    assert found == ([100, 200, 1024] if holes else [1024, 1025, 1026])


def test_a_cluster_that_is_free_again_is_no_hole(bench: Any) -> None:
    m, c, base = bench_of(bench, "7.2")
    take(m, c, range(base, base + 1023))
    for page in range(base, base + 511):  # all of the first cluster's
        slots.free(m, page)
    assert take(m, c, range(base + 2000, base + 2001)) == [1024]


def test_a_request_ends_with_its_cluster() -> None:
    assert slots.follows(511, 500, 11)
    assert not slots.follows(512, 500, 12)
    assert not slots.follows(499, 500, 1)


def gathered(m: Any, c: int, requests: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Add (first slot, pages) of writes that do not follow on each other; what is left in the plug."""
    for first, pages in requests:
        for slot in range(first, first + pages):
            plug.add(m, c, slot, k.Q_SWAPOUT)
    rows = [k.PLUG_ROWS + 4 * i for i in range(int(m.g[k.PLUGGED]))]
    return [(int(m.g[row + plug.FIRST]), int(m.g[row + plug.PAGES])) for row in rows]


@pytest.mark.parametrize(("kernel", "left"), [("6.1", [(900, 1)]), ("6.12", [(1, 8), (600, 40), (900, 1)])])
def test_a_plug_is_sent_when_the_request_it_looks_at_is_large(
    bench: Any, kernel: str, left: list[tuple[int, int]]
) -> None:
    """6.1 looks at the newest, later ones at the oldest: a read-ahead's few pages keep all in the plug."""
    m, c, _ = bench_of(bench, kernel)
    assert plug.start(m)
    assert not plug.start(m)  # the reclaim within has none of its own
    assert gathered(m, c, [(1, 8), (600, 40), (900, 1)]) == left


def test_a_plug_holds_32_requests_and_is_empty_at_its_end(bench: Any) -> None:
    m, c, _ = bench_of(bench, "6.12")
    plug.start(m)
    assert len(gathered(m, c, [(2 * i + 1, 1) for i in range(32)])) == 32
    assert gathered(m, c, [(101, 1)]) == [(101, 1)]
    plug.finish(m, True)
    assert (m.g[k.PLUG], m.g[k.PLUGGED]) == (0, 0)
