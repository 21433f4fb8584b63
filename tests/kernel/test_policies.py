"""What the policies promise, asked of a real kernel."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memqos.agent.enforce import Enforcer
from memqos.agent.originals import Originals
from memqos.errors import Busy
from memqos.linux.node import LinuxNode
from memqos.model.plan import Plan, Reclaim, Write
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.model.snapshot import IoMax
from memqos.model.view import View
from memqos.policy.settings import SwapSettings
from memqos.policy.swap import SwapPolicy
from memqos.units import MIB

ROOT = Path("/sys/fs/cgroup")
BURSTABLE = "kubepods/burstable/pod11111111-6bb6-11e6-bc26-28d2444e470d"
OTHER = "kubepods/burstable/pod22222222-6bb6-11e6-bc26-28d2444e470d"
BESTEFFORT = "kubepods/besteffort/pod33333333-6bb6-11e6-bc26-28d2444e470d"


def knob(path: str, name: str, value: int | str | None = None) -> str:
    file = ROOT / path / name
    if value is not None:
        file.write_text(str(value))
    return file.read_text().strip()


def counter(path: str, file: str, key: str) -> int:
    lines = dict(line.split() for line in knob(path, file).splitlines())
    return int(lines.get(key, 0))


@pytest.fixture
def pods() -> Iterator[None]:
    paths = ("kubepods", "kubepods/burstable", "kubepods/besteffort", BURSTABLE, OTHER, BESTEFFORT)
    for path in paths:
        (ROOT / path).mkdir()
        if "/pod" not in path:
            knob(path, "cgroup.subtree_control", "+memory +io")
    yield
    for path in reversed(paths):
        (ROOT / path).rmdir()


@pytest.fixture
def node(pods: None) -> Iterator[LinuxNode]:
    with LinuxNode() as node:
        yield node


def eater(path: str, size: int) -> subprocess.Popen[str]:
    """Start a program in a cgroup that holds `size` bytes of anonymous memory, once this returns."""
    hold = f"m = b'x' * {size}; print('held', flush=True); import time; time.sleep(600)"
    move = f'echo $$ > {ROOT / path}/cgroup.procs; exec "$@"'
    argv = ["sh", "-c", move, "sh", sys.executable, "-S", "-c", hold]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def enforcer(node: LinuxNode, tmp_path: Path) -> Enforcer:
    return Enforcer(node, Originals(tmp_path / "state", node.observe().boot_id))


def test_containers_that_may_swap_more_together_than_their_pod_was_granted_cannot(
    node: LinuxNode, enforcer: Enforcer
) -> None:
    knob(BURSTABLE, "cgroup.subtree_control", "+memory")
    leaves = {name: f"{BURSTABLE}/{name}" for name in ("one", "two")}
    for leaf in leaves.values():
        (ROOT / leaf).mkdir()
    chosen = {f"memqos.dev/swap-limit.{name}": "32Mi" for name in leaves}
    containers = tuple(Container(name) for name in leaves)
    pod = PlacedPod(Pod("default", "p", "p", containers, annotations=chosen), BURSTABLE, leaves)
    settings = SwapSettings(maximum_per_pod=40 * MIB, reserve=0)
    snapshot = node.observe()
    _, plan = SwapPolicy(settings).decide(None, View(snapshot, None, (pod,)))
    outcomes = {each.write.cgroup: each.after for each in enforcer.enforce(plan, snapshot)}
    assert outcomes == {BURSTABLE: 40 * MIB, leaves["one"]: 32 * MIB, leaves["two"]: 32 * MIB}
    eaters = [eater(leaf, 32 * MIB) for leaf in leaves.values()]
    try:
        for leaf in leaves.values():
            for _ in range(6):
                with contextlib.suppress(Busy):
                    node.apply(Write(leaf, "memory.reclaim", Reclaim(8 * MIB), ""))
        swapped = {path: int(knob(path, "memory.swap.current")) for path in (BURSTABLE, *leaves.values())}
        assert 36 * MIB < swapped[BURSTABLE] <= 40 * MIB, swapped
        assert swapped[leaves["two"]] < 32 * MIB
        assert all(each.poll() is None for each in eaters)
    finally:
        for each in eaters:
            each.kill()
            each.communicate()
        for leaf in leaves.values():
            (ROOT / leaf).rmdir()


def limits(*values: tuple[str, str, int]) -> Plan:
    return Plan(tuple(Write(path, name, value, "asked", "test") for path, name, value in values))


def test_limits_of_a_parent_and_its_child_fall_and_rise_together_around_a_running_program(
    node: LinuxNode, enforcer: Enforcer
) -> None:
    parent = "kubepods/burstable"
    process = eater(BURSTABLE, 40 * MIB)
    try:
        fall = limits(
            (parent, "memory.max", 24 * MIB),
            (parent, "memory.high", 20 * MIB),
            (BURSTABLE, "memory.swap.max", 64 * MIB),
            (BURSTABLE, "memory.max", 16 * MIB),
            (BURSTABLE, "memory.high", 16 * MIB),
        )
        outcomes = enforcer.enforce(fall, node.observe())
        assert [each.status for each in outcomes] == ["written"] * 5
        assert [(each.write.cgroup, each.write.knob) for each in outcomes] == [
            (BURSTABLE, "memory.high"),
            (BURSTABLE, "memory.max"),
            (BURSTABLE, "memory.swap.max"),
            (parent, "memory.high"),
            (parent, "memory.max"),
        ]
        assert int(knob(BURSTABLE, "memory.current")) <= 16 * MIB
        assert int(knob(BURSTABLE, "memory.swap.current")) >= 20 * MIB
        assert counter(parent, "memory.events", "oom_kill") == 0
        assert process.poll() is None
        rise = limits(
            (BURSTABLE, "memory.max", 48 * MIB),
            (BURSTABLE, "memory.high", 48 * MIB),
            (BURSTABLE, "memory.swap.max", 80 * MIB),
            (parent, "memory.max", 64 * MIB),
            (parent, "memory.high", 64 * MIB),
        )
        outcomes = enforcer.enforce(rise, node.observe())
        assert [each.status for each in outcomes] == ["written"] * 5
        assert [each.write.cgroup for each in outcomes] == [parent] * 2 + [BURSTABLE] * 3
        assert [each.status for each in enforcer.enforce(Plan(), node.observe())] == ["written"] * 5
        assert {
            knob(path, name) for path in (parent, BURSTABLE) for name in ("memory.max", "memory.high")
        } == {"max"}
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_what_the_kernel_refuses_leaves_the_rest_of_the_plan_alone(
    node: LinuxNode, enforcer: Enforcer
) -> None:
    device = "250:77"
    plan = Plan(
        (
            Write("kubepods/burstable", "io.max", {device: IoMax(rbps=MIB)}, "no such disk", "test"),
            Write(BURSTABLE, "memory.reclaim", Reclaim(64 * MIB), "more than there is", "test"),
            Write("", "memory.max", MIB, "the root has none", "test"),
            Write(BURSTABLE, "memory.max", 64 * MIB, "fine", "test"),
        )
    )
    outcomes = {each.write.why: each for each in enforcer.enforce(plan, node.observe())}
    assert {why: each.status for why, each in outcomes.items()} == {
        "no such disk": "failed",
        "more than there is": "failed",
        "the root has none": "failed",
        "fine": "written",
    }
    assert "device that is not there" in outcomes["no such disk"].error
    assert knob(BURSTABLE, "memory.max") == str(64 * MIB)


def test_a_limit_that_somebody_keeps_overwriting_is_written_again_and_then_left_alone_a_while(
    node: LinuxNode, enforcer: Enforcer
) -> None:
    plan, held = limits((BURSTABLE, "memory.max", 64 * MIB)), []
    for _ in range(7):
        enforcer.enforce(plan, node.observe())
        held.append(knob(BURSTABLE, "memory.max") == str(64 * MIB))
        knob(BURSTABLE, "memory.max", 32 * MIB)
    # at once after the first loss; two turns of patience after the second, four after the third
    assert held == [True, True, False, False, True, False, False]
    assert enforcer.overwritten == 3
    enforcer.enforce(Plan(), node.observe())
    assert knob(BURSTABLE, "memory.max") == str(32 * MIB)  # theirs, so it stays


def test_a_cgroup_made_anew_between_the_look_and_the_write_is_not_written_to(
    node: LinuxNode, enforcer: Enforcer
) -> None:
    before = node.observe()
    (ROOT / BURSTABLE).rmdir()
    (ROOT / BURSTABLE).mkdir()
    plan = limits((BURSTABLE, "memory.max", 64 * MIB), (OTHER, "memory.max", 64 * MIB))
    status = {each.write.cgroup: each.status for each in enforcer.enforce(plan, before)}
    assert status == {BURSTABLE: "gone", OTHER: "written"}
    assert knob(BURSTABLE, "memory.max") == "max"
    (again,) = (each for each in enforcer.enforce(plan, node.observe()) if each.write.cgroup == BURSTABLE)
    assert again.status == "written"
    assert knob(BURSTABLE, "memory.max") == str(64 * MIB)
