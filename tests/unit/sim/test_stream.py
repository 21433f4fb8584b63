"""Pages read and evicted many at a time leave the machine as pages read and evicted one by one do."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memqos.errors import ExperimentError
from memqos.sim.kernels import access, buffered, cycles, evict, passing, rounds, stream, strides
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import config
from memqos.sim.kernels.mem import Mem
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import Costs, NodeSpec
from memqos.units import MIB

pytestmark = pytest.mark.skipif(
    not config.DISABLE_JIT, reason="compiled kernels cannot be replaced one by one"
)

KINDS = {
    "6.1": PROFILES["6.1"],
    "6.12": PROFILES["6.12"],
    "7.2": PROFILES["7.2"],
    "6.12, two lists": PROFILES["6.12"].classic(),
}
GROUPS = ("a", "p/b", "p/c/d")
FILES = (1, 300, 900, 2600)

orders = st.one_of(
    st.tuples(
        st.just("run"), st.sampled_from(GROUPS), st.integers(0, 2), st.integers(0, 899), st.integers(1, 300)
    ),
    st.tuples(
        st.just("skew"), st.sampled_from(GROUPS), st.integers(0, 2), st.integers(0, 99), st.integers(1, 300)
    ),
    st.tuples(
        st.sampled_from(["MAX", "HIGH", "LOW"]), st.sampled_from(("p", "p/c", *GROUPS)), st.integers(40, 500)
    ),
    st.tuples(
        st.just("dirty"), st.sampled_from(GROUPS), st.integers(0, 2), st.integers(0, 899), st.integers(1, 9)
    ),
    st.tuples(st.just("rmdir"), st.just("p/c/d")),
    st.tuples(st.just("reclaim"), st.sampled_from(("p", *GROUPS)), st.integers(1, 200)),
)


def carried_out(kernel: str, lag: int, turn: int, done: list[tuple[Any, ...]]) -> dict[str, Any]:
    machine = Machine(KINDS[kernel], NodeSpec(memory=16 * MIB, read_ahead=0), Costs(round=77))
    machine.m.g[k.RSTAT_LAG] = lag
    for path in GROUPS:
        machine.mkdir(path)
    machine.set_limit("a", k.MAX, 120 * 4096)
    machine.set_limit("p", k.MAX, 160 * 4096)
    files = [machine.file(pages * 4096) for pages in FILES]
    misses: list[int | str] = []
    for what, path, *rest in done:
        if path not in machine.paths:
            continue
        if what in ("run", "skew"):
            number, first, count = rest
            places = np.arange(first, first + count)
            if what == "skew":
                places = (np.random.default_rng(first).random(count) ** 3 * 900).astype(int)
            try:
                misses += machine.traces([(path, files[number], places % FILES[number])], turn)
            except ExperimentError as error:
                misses.append(str(error))
        elif what == "dirty":
            number, first, count = rest
            dirty(
                machine, path, files[number], [place % FILES[number] for place in range(first, first + count)]
            )
        elif what == "rmdir":
            machine.rmdir(path)
        elif what == "reclaim":
            machine.reclaim(path, rest[0] * 4096)
        else:
            machine.set_limit(path, getattr(k, what), rest[0] * 4096)
    return state(machine) | {"misses": misses}


def dirty(machine: Machine, path: str, file: int, places: list[int]) -> None:
    """Some pages of a file, where they are in memory, are no longer like those beside them."""
    for place in places:
        page = machine.m.obj[file, k.O_BASE] + place
        if machine.m.w[page] & k.RES:
            buffered.set_dirty(machine.m, machine.cgroup(path), file, page)


def state(machine: Machine) -> dict[str, Any]:
    """All that matters: every counter, word and node, and the pages of every list in order."""
    m: Any = machine.m
    groups = int(m.g[k.NCG])
    cg, g, words = m.cg[:groups].copy(), m.g.copy(), m.w[: machine.pages].copy()
    cg[:, k.SUM0 : k.SUM0 + 4] = 0  # scratch: brought up to date before each use
    g[[k.R0, k.R1, k.R2, k.R3, k.CHUNK_FREE, *range(k.SC_DEACTIVATE_ANON, k.SC_FULL_WALK)]] = 0
    g[[k.SC_PAGEOUT, k.SC_UNQUEUED, k.LAST_FILE]] = 0
    g[k.ISOLATED :] = 0
    words[words & k.RES != 0] &= ~k.PLACE
    lists = []
    for lid in range(groups * k.LISTS):
        chunk = m.ls[lid, k.TAIL]
        while chunk >= 0:
            first = chunk * k.CHUNK
            entries = m.pool[first + m.ch[chunk, k.LO] : first + m.ch[chunk, k.HI]]
            lists += [(lid, int(page)) for page in entries if page >= 0]
            chunk = m.ch[chunk, k.NEWER]
    nodes = m.xn.nonzero()[0]
    return {
        "cg": cg,
        "g": g,
        "words": words,
        "sizes": m.ls[: groups * k.LISTS, k.SIZE],
        "lists": lists,
        "nodes": nodes,
        "counts": m.xn[nodes],
        "owners": m.xa[nodes],
    }


def compared(kernel: str, lag: int, turn: int, done: list[tuple[Any, ...]]) -> None:
    def one_by_one(m: Mem, c: int, o: int, i: int, end: int, hits: bool) -> int:
        m.g[k.R0] = 0
        return i

    together = carried_out(kernel, lag, turn, done)
    with (
        mock.patch.object(stream, "reads", one_by_one),
        mock.patch.object(evict, "batch", return_value=0),
        mock.patch.object(rounds, "shrink", return_value=False),
    ):
        apart = carried_out(kernel, lag, turn, done)
    for name, part in apart.items():
        assert np.array_equal(together[name], part), name


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([0, 7, 128]),
    st.sampled_from([16, 1024]),
    st.lists(orders, min_size=4, max_size=12),
)
def test_many_at_once_is_the_same_as_one_by_one(
    kernel: str, lag: int, turn: int, done: list[tuple[Any, ...]]
) -> None:
    compared(kernel, lag, turn, done)


reads = st.tuples(st.just("skew"), st.just("a"), st.integers(1, 2), st.integers(0, 99), st.integers(200, 400))
spoils = st.tuples(st.just("dirty"), st.just("a"), st.integers(1, 2), st.integers(0, 899), st.integers(1, 9))


@settings(max_examples=20)
@given(st.integers(60, 400), st.lists(st.one_of(reads, reads, spoils), min_size=3, max_size=8))
def test_all_rounds_of_a_reclaim_at_once_are_the_same_as_one_after_the_other(
    limit: int, done: list[tuple[Any, ...]]
) -> None:
    compared("6.1", 0, 64, [("MAX", "a", limit), *done])


@settings(max_examples=24)
@example("6.12", -1, 100, [("a", 0), ("a", 1), ("p/b", 0), ("a", 0), ("a", 6)])  # a generation closes
@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([-1, passing.LONG]),
    st.integers(100, 300),
    st.lists(st.tuples(st.sampled_from(("a", "p/b")), st.integers(0, 99)), min_size=3, max_size=6),
)
def test_pages_read_in_passing_are_read_in_their_order(
    kernel: str, long: int, limit: int, turns: list[tuple[str, int]]
) -> None:
    done = [("skew", group, 2, first, 800) for group, first in turns]
    with mock.patch.object(passing, "LONG", long):
        compared(kernel, 0, 256, [("MAX", "a", limit), ("MAX", "p", 500), *done])


whole = st.tuples(
    st.just("run"), st.just("a"), st.integers(1, 2), st.integers(0, 899), st.integers(200, 1500)
)


@settings(max_examples=20)
@given(
    st.integers(200, 800),
    st.sampled_from([64, 200]),
    st.lists(st.one_of(whole, whole, spoils, reads), min_size=3, max_size=6),
)
def test_a_reclaim_for_every_part_of_a_run_is_the_same_as_all_of_them_at_once(
    limit: int, turn: int, done: list[tuple[Any, ...]]
) -> None:
    compared("6.1", 0, turn, [("MAX", "a", limit), *done])


@pytest.mark.parametrize("limit", [600, 606, 613, 631])
def test_cycles_may_begin_and_end_anywhere_in_chunks_and_tree_nodes(limit: int) -> None:
    compared("6.1", 0, 100, [("MAX", "a", limit), ("run", "a", 3, 0, 2600), ("run", "a", 3, 7, 2600)])


# up to 2362 pages of 2600: those that come, and those that go, share tree nodes
@pytest.mark.parametrize("limit", [900, 1413, 2331, 2349, 2362])
@pytest.mark.parametrize("turn", [100, 1024])
def test_many_cycles_at_once_are_the_same_as_one_page_after_another(limit: int, turn: int) -> None:
    compared("6.1", 0, turn, [("MAX", "a", limit), *[("run", "a", 3, first, 2600) for first in (0, 7, 30)]])


def test_cycles_go_by_many_at_once_where_pages_are_alike() -> None:
    taken = []

    def run(*args: Any) -> int:
        taken.append(strides_run(*args))
        return taken[-1]

    strides_run = strides.run
    with mock.patch.object(strides, "run", run):
        carried_out("6.1", 0, 1024, [("MAX", "a", 1413), ("run", "a", 3, 0, 2600), ("run", "a", 3, 0, 2600)])
    assert sum(taken) > 1000
    assert max(taken) > 200  # pages; a cycle has 39


@pytest.mark.parametrize(
    ("distance", "may"), [(1000, True), (11, True), (10, False), (k.POS - 16, True), (k.POS - 15, False)]
)
def test_a_distance_counts_as_of_the_first_cycle_and_of_the_last(distance: int, may: bool) -> None:
    """The last one is at most fifteen later: the distances begin anew at 2^32."""
    machine = Machine(KINDS["6.1"], NodeSpec(memory=16 * MIB, read_ahead=0))
    c = machine.mkdir("a")
    machine.trace("a", machine.file(64 * 4096), np.arange(16))
    for page in range(16):
        machine.m.w[page] = k.SHADOW | c << k.CG_SHIFT | (500 - distance) & k.POS
    m = machine.m._replace(tab=np.arange(16))
    assert strides._may_come(m, c, 0, 0, 16, 500, 10) == may


def test_a_run_of_pages_at_a_limit_goes_by_in_cycles() -> None:
    taken = []

    def run(*args: Any) -> int:
        taken.append(cycles_run(*args))
        return taken[-1]

    cycles_run = cycles.run
    with mock.patch.object(cycles, "run", run):
        carried_out("6.1", 0, 100, [("MAX", "a", 700), ("run", "a", 2, 0, 900), ("run", "a", 2, 0, 900)])
    assert sum(taken) > 400


def test_a_page_read_in_passing_is_not_read_twice_when_one_before_it_needs_a_tree_node() -> None:
    machine = Machine(KINDS["6.1"], NodeSpec(memory=16 * MIB, read_ahead=0))
    machine.mkdir("a")
    file = machine.file(900 * 4096)
    page = machine.m.obj[file, k.O_BASE] + 3
    machine.trace("a", file, [3])
    machine.m.w[page] &= ~k.REF  # as one that was active long ago
    machine.trace("a", file, [500, 3])
    assert machine.m.w[page] & k.REF
    assert (machine.m.w[page] & k.LIST_MASK) >> k.LIST_SHIFT == k.INACTIVE_FILE


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_mglru_counts_a_read_in_passing_once_when_one_before_it_needs_a_tree_node(kernel: str) -> None:
    machine = Machine(KINDS[kernel], NodeSpec(memory=16 * MIB, read_ahead=0))
    machine.mkdir("a")
    file = machine.file(900 * 4096)
    page = machine.m.obj[file, k.O_BASE] + 3
    machine.trace("a", file, [3])
    once = access.marked(machine.m, machine.m.w[page])
    machine.trace("a", file, [500, 3])
    counts = k.REF | k.REFS_MASK | k.WS
    assert machine.m.w[page] & counts == once & counts
