"""What holds on every simulated node whatever happens on it: limits, protection, charges, slots, shadows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import MIB

PAGE = 4096
PATHS = ("p", "p/a", "p/b", "q")
LEAVES = PATHS[1:]


class Node:
    """A small node with swap, files and processes that come, touch memory and go."""

    def __init__(self, kernel: str) -> None:
        disk = Disk("vda", 200 * MIB, 200 * MIB)
        self.machine = Machine(PROFILES[kernel], NodeSpec(memory=24 * MIB, swap=4 * MIB, disks=(disk,)))
        for path in PATHS:
            self.machine.mkdir(path)
        self.machine.set_limit("p", k.MAX, 6 * MIB)
        self.files = [self.machine.file(size * MIB) for size in (2, 4)]
        self.tasks: list[int] = []

    def do(self, what: str, path: str, number: int) -> None:
        machine = self.machine
        if what in ("MIN", "LOW", "HIGH", "MAX", "SWAP_MAX", "SWAP_HIGH"):
            machine.set_limit(path, getattr(k, what), number * PAGE)
        elif what == "reclaim":
            machine.reclaim(path, number * PAGE)
        elif what == "exit" and self.tasks:
            machine.kill(self.tasks.pop(number % len(self.tasks)))
        elif what == "drop":
            machine.drop_caches()
        elif what in ("read", "write"):
            task, file = machine.task(path), self.files[number % 2]
            op = k.OP_READ if what == "read" else k.OP_WRITE
            row = {k.P_OP: op, k.P_OBJ: file, k.P_COUNT: machine.pages_of(file)}
            row[k.P_CHUNK] = (1, 8, 70, 256)[number // 2 % 4]
            machine.program(task, [row | {k.P_NS: 1000}])
            self.tasks.append(task)
        elif what == "grow":
            task = machine.task(path)
            region = machine.region(task, (number + 1) * PAGE)
            row = {k.P_OP: k.OP_TOUCH, k.P_OBJ: region, k.P_COUNT: number + 1, k.P_CHUNK: number + 1}
            machine.program(task, [row | {k.P_NS: 1000, k.P_WRITE: 1}, {k.P_OP: k.OP_HOLD}])
            self.tasks.append(task)
        machine.run(machine.now + 20_000_000)


numbers = st.integers(0, 1200)
operations = st.one_of(
    st.tuples(st.sampled_from(["read", "write", "grow"]), st.sampled_from(LEAVES), numbers),
    st.tuples(st.sampled_from(["read", "grow"]), st.sampled_from(LEAVES), numbers),
    st.tuples(st.sampled_from(["MIN", "LOW", "HIGH", "SWAP_HIGH"]), st.sampled_from(PATHS), numbers),
    st.tuples(st.sampled_from(["MAX", "SWAP_MAX"]), st.sampled_from(PATHS), st.integers(200, 1600)),
    st.tuples(st.sampled_from(["reclaim", "exit", "drop"]), st.sampled_from(PATHS), numbers),
)


@pytest.mark.parametrize("kernel", PROFILES)
@settings(max_examples=settings().max_examples // 5)
@given(done=st.lists(operations, min_size=4, max_size=14))
@example(done=[("read", "p/a", 0), ("grow", "p/a", 528), ("grow", "p/a", 594), ("MAX", "p/a", 200)])
@example(done=[("read", "p/b", 0), ("MIN", "p/b", 258), ("MAX", "p", 200), ("read", "p/a", 1)])
@example(done=[("read", "p/a", 0), ("MIN", "p/a", 526), ("MAX", "p", 200), ("write", "p/a", 0)])
def test_the_books_of_a_node_balance_whatever_happens(
    check: Any, kernel: str, done: list[tuple[str, str, int]]
) -> None:
    node = Node(kernel)
    m: Any = node.machine.m
    used: dict[str, int] = {}
    for what, path, number in done:
        node.do(what, path, number)
        check(node.machine)
        m = node.machine.m
        for name in PATHS:
            c = node.machine.cgroup(name)
            # a limit may be written below what cannot be taken back (dirty pages); then nothing comes but
            # kernel memory that must not fail (page-cache nodes, a page at most for three; buffer heads), and
            # a page of it that is not needed after all, which a CPU's stock keeps
            usage, below = (
                int(m.cg[c, k.USAGE]),
                [node.machine.cgroup(at) for at in PATHS if at.startswith(name)],
            )
            own = usage - int(m.cg[below, k.KERNEL_PAGES].sum())
            assert usage <= m.cg[c, k.MAX] + 3 or own <= used.get(name, 0) + 1, name
            used[name] = own
            assert m.cg[c, k.SWAP_PEAK] >= m.cg[c, k.SWAP], name
            for low, high in ((k.L_MAX, k.E_MAX), (k.L_OOM, k.E_OOM), (k.L_OOM_KILL, k.E_OOM_KILL)):
                assert m.cg[c, low] <= m.cg[c, high], name
        for i in range(k.PGFAULT, k.SWPOUT_ZERO + 1):
            assert (m.cg[: m.g[k.NCG], i] >= 0).all()
        assert m.g[k.FREE] >= 0
    for task in node.tasks:
        node.machine.kill(task)
    node.machine.run(node.machine.now + 10_000_000_000)
    check(node.machine)
    m = node.machine.m
    # nobody lives: no swap slot is left, no anonymous page, no page table, nobody waits
    assert node.machine.m.g[k.SW_FREE] == node.machine.m.g[k.SW_TOTAL] - 1
    assert not m.cg[: m.g[k.NCG], [k.N_ANON, k.SWAP, k.N_PT, k.N_SWAPCACHED]].any()
    assert not m.ps[:, : k.S_LAST].any()
    for file in node.files:
        node.machine.free_object(file)
    check(node.machine)
    for column in (k.N_FILE, k.N_DIRTY, k.N_WB, k.N_SLAB_BYTES, k.NODES, k.KERNEL_PAGES):
        assert not m.cg[: m.g[k.NCG], column].any(), column
    assert not (node.machine.m.w & k.SHADOW).any()


@pytest.mark.parametrize("kernel", PROFILES)
@settings(max_examples=settings().max_examples // 5)
@given(
    protected=st.integers(100, 700),
    held=st.integers(50, 700),
    done=st.lists(
        st.tuples(
            st.sampled_from(["read", "grow", "reclaim", "write"]), st.sampled_from(["p/b", "p"]), numbers
        ),
        min_size=2,
        max_size=8,
    ),
)
@example(protected=409, held=661, done=[("reclaim", "p", 772), ("read", "p/b", 0)])
def test_nothing_below_its_memory_min_is_reclaimed(
    kernel: str, protected: int, held: int, done: list[tuple[str, str, int]]
) -> None:
    node = Node(kernel)
    node.machine.set_limit("p/a", k.MIN, protected * PAGE)
    node.do("grow", "p/a", held)
    a = node.machine.cgroup("p/a")
    for what, path, number in done:
        m: Any = node.machine.m
        before = [
            int(m.cg[a, column]) for column in (k.USAGE, k.PGSTEAL, k.PGSTEAL_KSWAPD, k.PGSTEAL_PROACTIVE)
        ]
        kills = int(m.g[k.G_OOM_KILL])
        node.do(what, path if what == "reclaim" else "p/b", number)
        m = node.machine.m
        after = [
            int(m.cg[a, column]) for column in (k.USAGE, k.PGSTEAL, k.PGSTEAL_KSWAPD, k.PGSTEAL_PROACTIVE)
        ]
        if before[0] <= protected and int(m.g[k.G_OOM_KILL]) == kills:
            assert after[1:] == before[1:]
            assert after[0] >= before[0] - 64  # but for what was charged ahead
        assert after[0] >= min(before[0], protected) - 128 or int(m.g[k.G_OOM_KILL]) > kills
