"""Pressure stall information per cgroup (kernel/sched/psi.c)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.sim.kernels import control, psi
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import entry
from memqos.sim.kernels.mem import Mem
from memqos.sim.machine import Machine
from memqos.sim.node import SimNode
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import MIB

MEM, MEM_FULL, IO, IO_FULL, CPU, CPU_FULL = range(6)
MS = 1_000_000


@entry
def move(m: Mem, t: int, old: int, new: int, time: int) -> None:
    """`psi.move` for a test: compiled kernels can only be called through an entry."""
    psi.move(m, t, old, new, time)


def test_a_cgroup_of_one_task_is_in_full_pressure_whenever_it_is_in_some(bench: Any) -> None:
    b = bench("6.12", swap=64 * MIB)
    b.group("p")
    b.group("p/a", MAX=4 * MIB)
    b.settle(b.hog("p/a", 8 * MIB, "ww"))
    for path in ("p/a", "p", ""):
        assert b.stalled(path) > 0.01
        assert b.stalled(path, IO) > 0.01
    assert b.stalled("p/a") == b.stalled("p/a", MEM_FULL) == b.stalled("p", MEM_FULL)
    assert b.stalled("p/a", IO) == b.stalled("p/a", IO_FULL)
    assert b.stalled("p/a", CPU) == 0


def test_a_busy_neighbour_ends_full_pressure_and_not_some(bench: Any) -> None:
    b = bench("6.12", cpus=1)
    b.group("p")
    b.group("p/reader")
    b.group("p/busy")
    file = b.machine.file(8 * MIB)
    busy = b.machine.task("p/busy")
    region = b.machine.region(busy, MIB)
    spin = {k.P_OP: k.OP_TOUCH, k.P_OBJ: region, k.P_COUNT: 1 << 40, k.P_CHUNK: 1, k.P_NS: 1000}
    b.machine.program(busy, [spin])
    b.read("p/reader", file)
    assert b.stalled("p/reader", IO) == pytest.approx(b.stalled("p/reader", IO_FULL), rel=0.01)
    assert b.stalled("p", IO) == pytest.approx(b.stalled("p/reader", IO), rel=0.05)
    assert b.stalled("p", IO_FULL) < 0.01 * b.stalled("p", IO)
    assert b.stalled("p", CPU) > 0


def test_two_tasks_on_one_processor_wait_for_it_in_turn(bench: Any) -> None:
    b = bench("6.12", cpus=1)
    b.group("p")
    b.group("p/a")
    b.group("p/b")
    tasks = []
    for path in ("p/a", "p/b"):
        task = b.machine.task(path)
        row = {k.P_OP: k.OP_TOUCH, k.P_OBJ: b.machine.region(task, MIB), k.P_COUNT: 100_000, k.P_CHUNK: 256}
        b.machine.program(task, [row | {k.P_NS: 10_000, k.P_WRITE: 1}])
        tasks.append(task)
    b.machine.run_until_exit(*tasks)
    assert b.stalled("p", CPU) == pytest.approx(2.0, rel=0.02)
    assert b.stalled("p/a", CPU) == b.stalled("p/a", CPU_FULL) == pytest.approx(1.0, rel=0.02)
    assert b.stalled("p", CPU_FULL) < 0.01


def test_a_stream_read_once_presses_on_the_disk_and_hot_pages_read_again_on_memory(bench: Any) -> None:
    """Only the wait for a page that was hot before counts as a stall for memory."""
    b = bench("6.12", swap=64 * MIB)
    b.group("stream", MAX=MIB)
    b.read("stream", b.machine.file(4 * MIB), passes=2)
    assert b.stalled("stream", IO) > 0.01
    assert b.stalled("stream") < 0.2 * b.stalled("stream", IO)
    b.group("hot", MAX=2 * MIB)
    b.settle(b.hog("hot", 5 * MIB // 2, "w" * 12))
    share = b.get("hot", k.RESTORE_ANON) / b.get("hot", k.REFAULT_ANON)
    assert share > 0.2
    assert b.stalled("hot") / b.stalled("hot", IO) == pytest.approx(share, rel=0.5)


def test_what_memory_high_makes_a_task_sleep_is_pressure_up_the_tree(bench: Any) -> None:
    b = bench("6.12")
    b.group("p")
    b.group("p/a", HIGH=4 * MIB)
    b.settle(b.hog("p/a", 5 * MIB))
    task = b.machine.m.task
    slept = int(task[b.machine.m.g[k.NTASK] - 1, k.T_STALL]) / 1e9
    assert slept > 1
    for path in ("p/a", "p", ""):
        assert b.stalled(path) == pytest.approx(slept, rel=0.01)
        assert b.stalled(path, IO) == 0


def test_a_killed_process_presses_on_nothing_any_more(bench: Any) -> None:
    b = bench("6.12", memory=64 * MIB, swap=64 * MIB)
    b.group("p", MAX=8 * MIB)
    b.group("p/a")
    waiting = b.hog("p/a", 20 * MIB, "w" * 50)
    while b.machine.m.task[waiting, k.T_STATE] != k.T_IO:
        b.machine.run(b.machine.now + MS)
    b.machine.set_limit("p", k.SWAP_MAX, 0)
    b.machine.set_limit("p", k.MAX, 4 * MIB)
    assert b.machine.m.task[waiting, k.T_STATE] == k.T_DEAD
    before = [b.stalled(path, i) for path in ("p/a", "p", "") for i in range(4)]
    b.machine.run(b.machine.now + 10_000 * MS)
    assert [b.stalled(path, i) for path in ("p/a", "p", "") for i in range(4)] == before
    m: Any = b.machine.m
    assert not m.ps[:, : k.S_LAST].any()


def test_the_averages_are_the_kernels(bench: Any) -> None:
    """kernel/sched/psi.c, calc_avgs: whole percents, 2048ths, exponents for two seconds."""
    b = bench("6.12")
    b.group("a")
    task = b.machine.task("a")
    b.machine.program(task, [{k.P_OP: k.OP_HOLD}])
    machine = b.machine
    expected = [0, 0, 0]
    move(machine.m, task, k.T_HOLD, k.T_IO, machine.now)
    machine.m.task[task, k.T_STATE] = k.T_IO
    machine.m.task[task, k.T_WAKE] = 7 * psi.PERIOD
    machine.run(6 * psi.PERIOD + 1)
    for _ in range(6):
        for i, keep in enumerate((1677, 1981, 2034)):
            expected[i] = (expected[i] * keep + 100 * 2048 * (2048 - keep) + 2047) // 2048
    pressure = SimNode(machine).observe().cgroups["a"].io_pressure
    assert pressure is not None
    assert [pressure.some.avg10, pressure.some.avg60, pressure.some.avg300] == [
        n * 100 // 2048 / 100 for n in expected
    ]
    assert pressure.some.total == (6 * psi.PERIOD + 1) // 1000


changes = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 40), st.integers(0, 1), st.sampled_from([0, 1, 2, 3, 4, 7, 8])
    ),
    max_size=60,
)
PARTS = {0: "r", 1: "i", 2: "m", 3: "im", 4: "", 7: "rc", 8: "rcms"}
"""What a state counts as: runnable, on the CPU, in io wait, in memory stall, stalled while it runs."""


def slowly(done: list[tuple[int, int, int, int]], groups: set[int], end: int) -> list[int]:
    """The totals of the tasks of `groups`, looked at millisecond by millisecond."""
    sums = [[0] * 7, [0] * 7]
    for now in range(end):
        for cpu in range(2):
            tasks = [""] * 4
            for time, t, place, state in done:
                if time <= now and t in groups:
                    tasks[t] = PARTS[state] if place == cpu else ""
            n = {part: sum(part in task for task in tasks) for part in "rcims"}
            pressed = [n["m"], n["m"] and (n["s"] or not n["r"]), n["i"], n["i"] and not n["r"]]
            pressed += [n["r"] > n["c"], n["r"] and not n["c"], n["r"] or n["i"] or n["m"]]
            for i, holds in enumerate(pressed):
                sums[cpu][i] += MS if holds else 0
    weights = [each[6] // (4 * MS) for each in sums]
    return [
        sum(each[i] * w for each, w in zip(sums, weights, strict=True)) // max(1, sum(weights))
        for i in range(6)
    ]


@given(changes)
def test_totals_are_what_a_look_at_every_millisecond_finds(steps: list[tuple[int, int, int, int]]) -> None:
    machine = Machine(PROFILES["6.12"], NodeSpec(memory=16 * MIB, cpus=2, disks=(Disk(),)))
    paths = ("p/a", "p/a", "p/b", "c")
    for path in dict.fromkeys(paths):
        machine.mkdir(path)
    tasks = [machine.task(path) for path in paths]
    done = []
    clock, states = [0, 0, 0, 0], [4] * 4
    for t, wait, cpu, state in steps:
        # each task's own changes come in order, those of different tasks in any
        clock[t] += wait
        move(machine.m, tasks[t], states[t], 4, clock[t] * MS)
        machine.m.task[tasks[t], k.T_CPU] = cpu
        move(machine.m, tasks[t], 4, state, clock[t] * MS)
        states[t] = state
        done.append((clock[t], t, cpu, state))
    done.sort(key=lambda each: each[0])
    end = max(clock) + 10
    machine.m.g[k.NOW] = end * MS
    machine.order(control.LOOK, psi.AVGS)
    for path, members in (("p/a", {0, 1}), ("p/b", {2}), ("p", {0, 1, 2}), ("c", {3}), ("", {0, 1, 2, 3})):
        row = machine.m.cg
        c = machine.cgroup(path)
        assert [int(row[c, k.PSI + i]) for i in range(6)] == slowly(done, members, end), path
