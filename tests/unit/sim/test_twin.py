"""The compiled kernels and the slow twins do the same, page for page, over random operations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import Costs, Disk, NodeSpec
from memqos.sim.twin.classic import Classic
from memqos.sim.twin.generations import Generations
from memqos.sim.twin.world import BIG
from memqos.units import MIB

PAGE = 4096
PAGES = {"6.1": 96, "6.12": 160, "7.2": 160}
"""Pages of the files together, and of each process; MGLRU works in batches of 64."""
SLOTS = {"6.1": 64, "6.12": 190, "7.2": 190}
GROUPS = ("p", "p/a", "p/b")
Names = dict[int, tuple[str, int]]
COLUMNS = {
    "max": k.E_MAX,
    "low": k.E_LOW,
    "scan": k.PGSCAN,
    "steal": k.PGSTEAL,
    "pgactivate": k.PGACTIVATE,
    "deactivate": k.PGDEACTIVATE,
    "refault_file": k.REFAULT_FILE,
    "refault_anon": k.REFAULT_ANON,
    "activate_file": k.ACTIVATE_FILE,
    "activate_anon": k.ACTIVATE_ANON,
    "restore_file": k.RESTORE_FILE,
    "restore_anon": k.RESTORE_ANON,
    "pswpin": k.PSWPIN,
    "pswpout": k.PSWPOUT,
}


class Pair:
    """A machine and its twin, given the same operations."""

    def __init__(self, kernel: str) -> None:
        self.pages, slots = PAGES[kernel], SLOTS[kernel]
        spec = NodeSpec(
            memory=64 * MIB,
            cpus=1,
            disks=(Disk(read_latency_us=0, write_latency_us=0),),
            swap=(slots + 1) * PAGE,
            read_ahead=0,
            page_cluster=0,
        )
        free_of_charge = Costs(fault=0, scan=0, steal=0, swap_out=0, read_miss=0, copy=0, syscall=0)
        self.machine = Machine(PROFILES[kernel], spec, free_of_charge)
        self.machine.m.g[k.RSTAT_LAG] = 0  # the twin's sums are never late
        self.twin: Classic | Generations = (
            Classic(slots) if kernel == "6.1" else Generations(slots, rework=kernel == "7.2", span=self.pages)
        )
        self.dead: set[str] = set()
        self.tasks: dict[str, int] = {}
        self.heaps: dict[str, int] = {}
        # one page each, so that no tree node is charged: the twin knows none
        self.files = [self.machine.file(PAGE) for _ in range(self.pages)]
        for path in GROUPS:
            parent = self.twin.groups[path.rpartition("/")[0]]
            self.twin.group(path, parent)
            self.machine.mkdir(path)
            self.tasks[path] = self.machine.task(path)
            self.heaps[path] = self.machine.region(self.tasks[path], self.pages * PAGE)
            # its page table is not the twin's either
            base = int(self.machine.m.obj[self.heaps[path], k.O_BASE])
            self.machine.m.blk[base >> 9, k.B_PT] = 1

    def limit(self, path: str, field: str, pages: int) -> None:
        group = self.twin.groups[path]
        value = BIG if pages > 200 else pages
        if field == "max":
            # only upwards or far enough: writing a limit below usage is another test's
            if group.usage > value:
                return
            group.maximum = value
            self.machine.set_limit(path, k.MAX, value * PAGE)
        elif field == "low":
            group.low = pages
            self.machine.set_limit(path, k.LOW, pages * PAGE)
        else:
            group.swap_max = value
            self.machine.set_limit(path, k.SWAP_MAX, value * PAGE)

    def read(self, path: str, index: int) -> None:
        if path not in self.dead:
            row = {k.P_OP: k.OP_READ, k.P_OBJ: self.files[index], k.P_COUNT: 1, k.P_CHUNK: 1}
            self.run(path, row, self.twin.read(self.twin.groups[path], ("f", index)))

    def touch(self, path: str, index: int, write: bool) -> None:
        if path not in self.dead:
            row = {
                k.P_OP: k.OP_TOUCH,
                k.P_OBJ: self.heaps[path],
                k.P_FIRST: index,
                k.P_COUNT: 1,
                k.P_CHUNK: 1,
            }
            lives = self.twin.touch(self.twin.groups[path], (path, index), write)
            self.run(path, row | {k.P_COUNT: 1, k.P_CHUNK: 1, k.P_WRITE: int(write)}, lives)

    def run(self, path: str, row: dict[int, int], lives: bool) -> None:
        if not lives:
            # out of memory: what is killed is another test's; here nobody goes on
            self.dead = set(GROUPS)
            return
        task = self.tasks[path]
        self.machine.program(task, [row, {k.P_OP: k.OP_HOLD}])
        while self.machine.m.task[task, k.T_STATE] != k.T_HOLD:
            assert self.machine.m.task[task, k.T_STATE] != k.T_DEAD
            self.machine.advance(self.machine.now + 1_000_000)

    def compare(self) -> None:
        if self.dead:
            return
        m: Any = self.machine.m
        names = {int(m.obj[o, k.O_BASE]): ("f", i) for i, o in enumerate(self.files)}
        for path, heap in self.heaps.items():
            base = int(m.obj[heap, k.O_BASE])
            names |= {base + i: (path, i) for i in range(self.pages)}
        for path in GROUPS:
            c, group = self.machine.cgroup(path), self.twin.groups[path]
            assert int(m.cg[c, k.USAGE]) == group.usage, path
            assert int(m.cg[c, k.SWAP]) == group.swap, path
            if isinstance(self.twin, Classic):
                same_lists(self.twin, m, path, c, names)
            else:
                same_generations(self.twin, m, path, c, names)
            found = {name: int(m.cg[c, column]) for name, column in COLUMNS.items()}
            assert found == {name: group.counts[name] for name in COLUMNS}, path


def same_lists(twin: Classic, m: Any, path: str, c: int, names: Names) -> None:
    lists = twin.lists[twin.groups[path]]
    assert int(m.cg[c, k.AGE]) == lists.age, path
    assert [int(m.cg[c, k.COST_ANON + i]) for i in range(2)] == [lists.cost[True], lists.cost[False]], path
    order = ((True, False), (True, True), (False, False), (False, True))
    assert listed(m, c, names)[:4] == [[page.key for page in lists.of[kind]] for kind in order], path


def same_generations(twin: Generations, m: Any, path: str, c: int, names: Names) -> None:
    gens = twin.gens[twin.groups[path]]
    seqs = [int(m.cg[c, column]) for column in (k.MAX_SEQ, k.MIN_SEQ_ANON, k.MIN_SEQ_FILE)]
    assert seqs == [gens.newest, gens.oldest[True], gens.oldest[False]], path
    lists, of = listed(m, c, names), {key: page for page, key in names.items()}
    for anon in (True, False):
        for gen in range(gens.newest - 3, gens.newest + 1):
            pages = gens.lists.get((anon, gen), [])
            here = f"{path} {'anon' if anon else 'file'} {gen}"
            assert lists[(0 if anon else 4) + gen % 4] == [page.key for page in pages], here
            for page in pages:
                word = int(m.w[of[page.key]])
                assert (word & k.LIST_MASK) >> k.LIST_SHIFT == (0 if anon else 4) + page.gen % 4, here
                flags = [word & k.REF != 0, word & k.WS != 0, (word & k.REFS_MASK) >> k.REFS_SHIFT]
                assert flags == [page.referenced, page.workingset, page.refs], f"{here} {page.key}"
        for i, tier in enumerate(gens.tiers[anon]):
            at = i + (0 if anon else 4)
            columns = (k.REFAULTED, k.EVICTED, k.SHELTERED, k.AVG_REFAULTED, k.AVG_TOTAL)
            mine = [tier.refaulted, tier.evicted, tier.protected, tier.avg_refaulted, tier.avg_total]
            assert [int(m.cg[c, column + at]) for column in columns] == mine, f"{path} {anon} tier {i}"


def listed(m: Any, c: int, names: Names) -> list[list[tuple[str, int]]]:
    """Pages of all lists, oldest first."""
    found = []
    for number in range(k.LISTS):
        chunk, pages = m.ls[c * k.LISTS + number, k.TAIL], []
        while chunk >= 0:
            entries = m.pool[chunk * k.CHUNK + m.ch[chunk, k.LO] : chunk * k.CHUNK + m.ch[chunk, k.HI]]
            pages += [names[int(page)] for page in entries if page >= 0]
            chunk = m.ch[chunk, k.NEWER]
        found.append(pages)
    return found


paths = st.sampled_from(GROUPS)
leaves = st.sampled_from(GROUPS[1:])
stretches = st.tuples(st.floats(0, 0.85), st.integers(1, 100))
"""Where to begin, as a part of all pages, and how many."""
operations = st.one_of(
    st.tuples(st.just("read"), leaves, stretches),
    st.tuples(st.just("write"), leaves, stretches),
    st.tuples(st.just("look"), leaves, stretches),
    st.tuples(st.just("max"), paths, st.integers(40, 210)),
    st.tuples(st.just("low"), leaves, st.integers(0, 60)),
    st.tuples(st.just("swap"), paths, st.integers(0, 210)),
    st.tuples(st.just("compact"), paths, st.just(0)),
)


PASSED_BY = [
    ("write", "p/b", (0.733189667024237, 72)),
    ("write", "p/a", (0.7156059746386292, 56)),
    ("write", "p/b", (0.30555617334677193, 63)),
    ("low", "p/a", 15),
    ("max", "p/a", 83),
    ("read", "p/a", (0.00935311227710366, 95)),
    ("swap", "p/b", 91),
    ("write", "p/a", (0.719442030549109, 36)),
]
"""Ends with pages promoted to a generation that was passed by before they were met."""
ACTIVATED = [
    ("write", "p/a", (0.0, 5)),
    ("write", "p/b", (0.5625, 42)),
    ("low", "p/a", 33),
    ("read", "p/a", (0.5, 12)),
    ("read", "p/b", (0.0, 1)),
    ("read", "p/b", (0.0, 25)),
    ("write", "p/a", (0.25, 51)),
    ("look", "p/b", (0.0, 92)),
    ("low", "p/b", 8),
    ("write", "p/b", (0.4375, 31)),
]
"""Pages are evicted in the same batch after others that are activated, and come back."""


@pytest.mark.parametrize("kernel", PAGES)
@settings(max_examples=settings().max_examples // 2)
@example(done=PASSED_BY)
@example(done=ACTIVATED)
@given(done=st.lists(operations, min_size=8, max_size=30))
def test_the_kernels_and_their_twins_agree(kernel: str, done: list[tuple[str, str, Any]]) -> None:
    pair = Pair(kernel)
    pair.limit("p", "max", 100)
    for what, path, argument in done:
        if what in ("max", "low", "swap"):
            pair.limit(path, what, argument)
        elif what == "compact":
            pair.machine.compact()
        else:
            first, count = int(argument[0] * pair.pages), argument[1]
            for index in range(first, min(pair.pages, first + count)):
                if what == "read":
                    pair.read(path, index)
                else:
                    pair.touch(path, index, what == "write")
        pair.compare()
