"""What the kernel's own tests of the memory controller ask, asked of the simulated kernels.

The scenarios, sizes and tolerances of tools/testing/selftests/cgroup/test_memcontrol.c, restated.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from memqos.errors import Busy
from memqos.model.plan import Reclaim, Write
from memqos.sim.kernels import layout as k
from memqos.sim.node import SimNode
from memqos.sim.stat import Look
from memqos.units import GIB, MIB

_SPEC = importlib.util.spec_from_file_location(
    "sim_bench", Path(__file__).parents[1] / "unit/sim/conftest.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules["sim_bench"] = _MODULE
_SPEC.loader.exec_module(_MODULE)
Bench: Any = _MODULE.Bench

PAGE = 4096
every_kernel = pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])


def close(a: float, b: float, percent: int) -> bool:
    """values_close: within so many percent of the sum of both."""
    return abs(a - b) <= (a + b) * percent / 100


def held(b: Any, path: str) -> int:
    """memory.current"""
    return int(b.get(path, k.USAGE)) * PAGE


def runs(b: Any, path: str, size: int) -> bool:
    """Whether a process that writes so much memory once and exits is not killed."""
    task = b.machine.task(path)
    region = b.machine.region(task, size)
    row = {k.P_OP: k.OP_TOUCH, k.P_OBJ: region, k.P_COUNT: size // PAGE, k.P_CHUNK: size // PAGE}
    b.machine.program(task, [row | {k.P_NS: 500, k.P_WRITE: 1}])
    b.machine.run_until_exit(task)
    return bool(b.machine.m.task[task, k.T_EXIT] == 0)


def dead(b: Any, *tasks: int) -> list[bool]:
    return [bool(b.machine.m.task[task, k.T_STATE] == k.T_DEAD) for task in tasks]


def family(kernel: str, field: str) -> Any:
    """A (200 MiB) above B (protected 50 MiB) above C, D, E and F; C, D and E have read 50 MiB each."""
    b = Bench(kernel, memory=GIB)
    b.group("A", MAX=200 * MIB, SWAP_MAX=0)
    b.group("A/B", **{field: 50 * MIB})
    for name, protected, read in (("C", 75, 50), ("D", 25, 50), ("E", 0, 50), ("F", 500, 0)):
        b.group(f"A/B/{name}", **{field: protected * MIB})
        if read:
            b.read(f"A/B/{name}", b.machine.file(read * MIB))
    b.group("A/G")
    assert close(held(b, "A/B"), 150 * MIB, 3)
    return b


def shared_out(b: Any) -> None:
    """What is left of B's 50 MiB to whom: by protection, as far as it is used."""
    left = {path: held(b, f"A/B/{path}") for path in "CDEF"}
    assert close(held(b, "A/B"), 50 * MIB, 3), left
    assert close(left["C"], 29 * MIB, 10), left
    assert close(left["D"], 21 * MIB, 10), left
    assert left["E"] <= 3 * MIB, left
    assert left["F"] == 0


@every_kernel
def test_memory_min_is_shared_out_among_children_that_claim_more(kernel: str) -> None:
    b = family(kernel, "MIN")
    assert runs(b, "A/G", 148 * MIB)
    shared_out(b)
    assert not runs(b, "A/G", 170 * MIB)
    assert close(held(b, "A/B"), 50 * MIB, 3)
    b.check()


@every_kernel
def test_memory_low_is_shared_out_and_gives_way_before_anyone_is_killed(kernel: str) -> None:
    b = family(kernel, "LOW")
    assert runs(b, "A/G", 148 * MIB)
    shared_out(b)
    assert runs(b, "A/G", 166 * MIB)
    events = {name: b.get(f"A/B/{name}", k.E_LOW) for name in "CDEF"}
    assert events["C"] > 0
    assert events["D"] > 0
    assert events["F"] == 0
    assert b.get("A", k.E_OOM) == 0
    b.check()


@every_kernel
def test_memory_high_lets_memory_grow_and_holds_page_cache(kernel: str) -> None:
    b = Bench(kernel, memory=GIB)
    b.group("a", HIGH=30 * MIB, SWAP_MAX=0)
    assert runs(b, "a", 31 * MIB)
    b.read("a", b.machine.file(50 * MIB))
    assert close(held(b, "a"), 30 * MIB, 5)
    assert b.get("a", k.E_HIGH) > 0
    assert b.get("a", k.E_OOM) == 0


@every_kernel
def test_memory_high_throttles_a_single_large_allocation_before_it_reaches_max(kernel: str) -> None:
    b = Bench(kernel, memory=GIB)
    b.group("a", HIGH=30 * MIB, MAX=140 * MIB, SWAP_MAX=0)
    b.hog("a", 200 * MIB)
    b.machine.run(b.machine.now + 1_000_000_000)
    assert b.get("a", k.E_HIGH) > 0
    assert b.get("a", k.E_MAX) == 0
    assert held(b, "a") < 60 * MIB


@every_kernel
def test_memory_max_kills_memory_and_holds_page_cache(kernel: str) -> None:
    b = Bench(kernel, memory=GIB)
    b.group("a", MAX=30 * MIB, SWAP_MAX=0)
    assert not runs(b, "a", 100 * MIB)
    b.read("a", b.machine.file(50 * MIB))
    assert 0 < held(b, "a") <= 30 * MIB
    assert close(held(b, "a"), 30 * MIB, 5)
    assert b.get("a", k.E_MAX) > 0


@every_kernel
@pytest.mark.parametrize("swap", [0, 256 * MIB])
def test_memory_reclaim_reaches_its_goal_or_says_that_it_did_not(kernel: str, swap: int) -> None:
    b = Bench(kernel, memory=GIB, swap=swap)
    b.group("a")
    b.read("a", b.machine.file(50 * MIB))
    if swap:
        b.settle(b.hog("a", 50 * MIB))
    node, goal, reclaimed = SimNode(b.machine), 30 * MIB, False
    for _ in range(5):
        if held(b, "a") < goal or close(held(b, "a"), goal, 3):
            return
        assert not reclaimed, "memory.reclaim said it took what it did not"
        try:
            node.apply(Write("a", "memory.reclaim", Reclaim(held(b, "a") - goal), "a test"))
            reclaimed = True
        except Busy:
            reclaimed = False
        b.machine.run(b.machine.now + 100_000_000)
    raise AssertionError(f"{held(b, 'a')} left")


@every_kernel
def test_swap_max_and_memory_max_bound_a_process_together(kernel: str) -> None:
    b = Bench(kernel, memory=GIB, swap=256 * MIB)
    b.group("a", MAX=30 * MIB, SWAP_MAX=30 * MIB)
    assert not runs(b, "a", 100 * MIB)
    assert (b.get("a", k.E_OOM), b.get("a", k.E_OOM_KILL)) == (1, 1)
    b.machine.set_limit("a", k.SWAP_MAX, 30 * MIB)
    b.settle(b.hog("a", 50 * MIB))
    assert close(held(b, "a"), 30 * MIB, 3)
    assert close(held(b, "a") + b.get("a", k.SWAP) * PAGE, 50 * MIB, 3)
    assert b.get("a", k.E_MAX) > 0


@every_kernel
def test_one_process_beyond_the_limit_is_one_oom_event_and_one_kill(kernel: str) -> None:
    b = Bench(kernel, memory=GIB)
    c = b.group("a", MAX=30 * MIB, SWAP_MAX=0)
    assert not runs(b, "a", 100 * MIB)
    assert not Look(b.machine).populated(c)
    assert (b.get("a", k.E_OOM), b.get("a", k.E_OOM_KILL)) == (1, 1)


def grouped(kernel: str, limits: dict[str, dict[str, int]], group: str) -> Any:
    b = Bench(kernel, memory=GIB)
    for path, each in limits.items():
        b.group(path, SWAP_MAX=0, **each)
    b.machine.m.cg[b.machine.cgroup(group), k.OOM_GROUP] = 1
    return b


def resting(b: Any, path: str, size: int, adj: int = 0) -> int:
    task = int(b.hog(path, size, adj=adj))
    b.settle(task)
    return task


@every_kernel
def test_an_oom_group_leaf_dies_whole_and_its_parent_lives_and_counts(kernel: str) -> None:
    b = grouped(kernel, {"parent": {}, "parent/child": {"MAX": 50 * MIB}}, "parent/child")
    above = resting(b, "parent", 60 * MIB)
    below = [resting(b, "parent/child", MIB) for _ in range(2)]
    assert not runs(b, "parent/child", 100 * MIB)
    assert dead(b, above, *below) == [False, True, True]
    assert b.get("parent/child", k.E_OOM_KILL) > 0
    assert b.get("parent", k.E_OOM_KILL) == b.get("parent/child", k.E_OOM_KILL)
    assert b.get("parent", k.L_OOM_KILL) == 0


@every_kernel
def test_an_oom_group_parent_dies_with_all_below(kernel: str) -> None:
    b = grouped(kernel, {"parent": {"MAX": 80 * MIB}, "parent/child": {}}, "parent")
    above = resting(b, "parent", 60 * MIB)
    below = [resting(b, "parent/child", MIB) for _ in range(2)]
    assert not runs(b, "parent/child", 100 * MIB)
    assert dead(b, above, *below) == [True, True, True]
    assert b.get("parent", k.E_OOM_GROUP_KILL) == 1


@every_kernel
def test_an_oom_group_spares_who_may_not_be_killed(kernel: str) -> None:
    b = grouped(kernel, {"a": {"MAX": 50 * MIB}}, "a")
    safe = resting(b, "a", MIB, adj=-1000)
    other = resting(b, "a", MIB)
    assert not runs(b, "a", 100 * MIB)
    assert dead(b, safe, other) == [False, True]
    assert b.get("a", k.E_OOM_KILL) == 3
