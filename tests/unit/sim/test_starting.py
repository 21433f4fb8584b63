"""How long a program takes from its start to its first phase."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from memqos.sim.commands import understand
from memqos.sim.files import Files
from memqos.sim.kernels import layout as k
from memqos.sim.process import Process
from memqos.sim.spec import Costs
from memqos.sim.starting import LOAD_NS, WORKLOAD_NS, drawn
from memqos.units import MIB
from memqos.workload.spec import Sleep, Workload

STEP = 1_000_000
WORKLOADS = {"w": Workload((Sleep(0.001),))}


def begins(node: Any, *commands: list[str]) -> list[int]:
    """When the first phase of each begins that is started now, side by side, in ns from now."""
    files = Files(node.machine, {"/data/a": MIB})
    node.group("a")
    since = node.machine.now
    members = [Process(node.machine, files, "a", understand(command, WORKLOADS)) for command in commands]
    found: dict[int, int] = {}
    while len(found) < len(members):
        for at, kind, task, _ in node.machine.advance(node.machine.now + STEP):
            if kind == k.EV_MARK:
                found.setdefault(task, at - since)
    return [found[each.task] for each in members]


WORKLOAD = ["memqos", "workload", "w"]
LOAD = ["python3", "-m", "memqos.lab.load", "mib=1"]


@pytest.mark.parametrize(("command", "ns"), [(WORKLOAD, WORKLOAD_NS), (LOAD, LOAD_NS)])
def test_an_interpreter_has_a_processor_for_a_while_before_its_first_phase(
    bench: Callable[..., Any], command: list[str], ns: int
) -> None:
    (took,) = begins(bench("6.12"), command)
    assert 0.9 * ns < took < 1.25 * ns  # with the kernel's work, up to a tenth by chance


def test_a_program_in_c_begins_at_once(bench: Callable[..., Any]) -> None:
    assert begins(bench("6.12"), ["cat", "/data/a"])[0] < STEP


def test_two_interpreters_share_the_processor_they_start_on(bench: Callable[..., Any]) -> None:
    alone = max(begins(bench("6.12", cpus=2), WORKLOAD, WORKLOAD))
    shared = max(begins(bench("6.12", cpus=1), WORKLOAD, WORKLOAD))
    assert 1.7 * alone < shared < 2.1 * alone


def test_on_a_slow_machine_it_takes_as_many_times_as_long(bench: Callable[..., Any]) -> None:
    (fast,), (slow,) = (begins(bench("6.12", costs=Costs(program=times)), WORKLOAD) for times in (1, 25))
    assert 20 * fast < slow < 25 * fast


def test_its_memory_grows_all_the_while(bench: Callable[..., Any]) -> None:
    node = bench("6.12")
    node.group("a")
    process = Process(node.machine, Files(node.machine, {}), "a", understand(WORKLOAD, WORKLOADS))
    held = []
    for _ in range(4):
        node.machine.run(node.machine.now + WORKLOAD_NS // 5)
        held.append(node.get("a", k.N_ANON))
    assert process.alive
    assert 3198 * 0.2 < held[0] < held[1] < held[2] < held[3] < 3198 * 0.95
    assert max(b - a for a, b in pairwise(held)) < 3198 * 0.25


def test_chance_is_the_scenarios_and_each_tasks_own() -> None:
    starts = [drawn(1000, seed, task) for seed in (1, 2) for task in range(50)]
    assert starts == [drawn(1000, seed, task) for seed in (1, 2) for task in range(50)]
    assert min(starts) >= 920
    assert max(starts) <= 1100
    assert starts[:50] != starts[50:]
    assert len(set(starts[:50])) > 10
