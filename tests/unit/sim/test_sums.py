"""Sums over a cgroup's subtree are the same whether those of a child are known or all of it is walked."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memqos.sim.kernels import counters, shadow_nodes
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import entry
from memqos.sim.kernels.mem import Mem
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import NodeSpec
from memqos.units import MIB

PATHS = ("a", "p", "p/b", "p/c", "p/c/d", "p/c/e", "p/f", "q")


@entry
def sums_with(m: Mem, c: int, known: int) -> bool:
    return counters.sums_with(m, c, known)


@entry
def spare(m: Mem, c: int, pages: int) -> int:
    return shadow_nodes.spare(m, c, pages)


@entry
def may_shrink(m: Mem, c: int, shadows: int, pages: int) -> bool:
    return shadow_nodes.may_shrink(m, c, shadows, pages)


def tree(sizes: list[int]) -> Machine:
    machine = Machine(PROFILES["6.1"], NodeSpec(memory=16 * MIB, swap=0))
    machine.m.g[k.RSTAT_LAG] = 0  # never late
    for path in PATHS:
        machine.mkdir(path)
    for i, size in enumerate(sizes):
        row = machine.cgroup(PATHS[i // 4]) * k.LISTS + i % 4
        machine.m.ls[row, k.SIZE] = size
    return machine


def sums_of(machine: Machine, path: str) -> list[int]:
    cg: Any = machine.m.cg
    c = machine.paths[path]
    return [int(value) for value in cg[c, k.SUM0 : k.SUM0 + 4]]


@given(st.lists(st.integers(0, 999), min_size=32, max_size=32), st.sampled_from(PATHS))
def test_sums_from_a_leaf_to_the_root_are_those_of_each_subtree(sizes: list[int], path: str) -> None:
    machine = tree(sizes)
    known, c = -1, machine.cgroup(path)
    while c >= 0:
        assert sums_with(machine.m, c, known)
        known, c = c, int(machine.m.cg[c, k.PARENT])
    while path:
        below = [i for i, other in enumerate(PATHS) if f"{other}/".startswith(f"{path}/")]
        assert sums_of(machine, path) == [sum(sizes[4 * i + n] for i in below) for n in range(4)]
        path = path.rpartition("/")[0]
    assert sums_of(machine, "") == [sum(sizes[n::4]) for n in range(4)]


def test_sums_that_are_late_are_not_taken_for_exact() -> None:
    machine = tree([1] * 32)
    machine.m.g[k.RSTAT_LAG] = 100
    p = machine.cgroup("p")
    assert sums_with(machine.m, p, -1)
    machine.m.ls[p * k.LISTS, k.SIZE] = 7
    assert not sums_with(machine.m, p, -1)
    assert sums_of(machine, "p")[0] == 6


def test_one_node_less_than_the_shrinker_begins_with_may_be_left_to_shadows() -> None:
    machine = tree([0] * 32)
    c = machine.cgroup("a")
    machine.m.ls[c * k.LISTS + k.INACTIVE_FILE, k.SIZE] = 80
    machine.m.cg[c, k.NODES] = 7
    assert spare(machine.m, c, 80) == 3
    assert not may_shrink(machine.m, c, 3, 80)
    assert may_shrink(machine.m, c, 4, 80)
