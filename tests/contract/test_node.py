"""What every `Node` does, whatever its world: `world` makes and removes cgroups, `node` is under test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from memqos.errors import Busy, CgroupGone, InvalidValue, KnobMissing
from memqos.model.plan import Outcome, Reclaim, Write
from memqos.node import Node, Wake
from memqos.units import GIB, MIB, UNLIMITED


@pytest.fixture
def node(world: Any) -> Iterator[Any]:
    node = world.node()
    yield node
    node.close()


def write(cgroup: str, knob: str, value: Any, inode: int = 0) -> Write:
    return Write(cgroup, knob, value, why="the contract", inode=inode)


def test_parents_come_before_their_children(world: Any, node: Node) -> None:
    for name in ("b", "a", "a/c", "a/c/d", "b/e"):
        world.make(f"{world.base}/{name}")
    paths = list(node.observe().cgroups)
    assert {f"{world.base}/{name}" for name in ("a", "a/c", "a/c/d", "b", "b/e")} <= set(paths)
    for index, path in enumerate(paths):
        assert path == "" or path.rpartition("/")[0] in paths[:index]


def test_a_cgroup_is_keyed_by_its_own_path(world: Any, node: Node) -> None:
    world.make(f"{world.base}/a")
    assert all(path == cgroup.path for path, cgroup in node.observe().cgroups.items())


def test_what_a_cgroup_does_not_have_is_none(world: Any, node: Node) -> None:
    root = node.observe().cgroups[""]
    assert root.memory_max is None
    assert root.memory_events is None
    assert root.cgroup_events is None
    assert root.memory_stat is not None


def test_a_new_cgroup_has_the_kernels_defaults(world: Any, node: Node) -> None:
    world.make(f"{world.base}/a")
    cgroup = node.observe().cgroups[f"{world.base}/a"]
    assert (cgroup.memory_min, cgroup.memory_low) == (0, 0)
    assert (cgroup.memory_high, cgroup.memory_max) == (UNLIMITED, UNLIMITED)
    assert cgroup.memory_oom_group is False
    assert cgroup.io_max in ({}, None)


def test_cgroups_come_and_go_between_two_looks(world: Any, node: Node) -> None:
    world.make(f"{world.base}/a")
    assert f"{world.base}/a" in node.observe().cgroups
    world.remove(f"{world.base}/a")
    world.make(f"{world.base}/b")
    paths = node.observe().cgroups
    assert f"{world.base}/a" not in paths
    assert f"{world.base}/b" in paths


def test_a_cgroup_reborn_under_its_name_is_another_one(world: Any, node: Node) -> None:
    path = f"{world.base}/a"
    world.make(path)
    first = node.observe().cgroups[path]
    node.apply(write(path, "memory.max", GIB))
    world.remove(path)
    world.make(f"{world.base}/between")
    world.make(path)
    second = node.observe().cgroups[path]
    assert second.inode != first.inode
    assert second.memory_max == UNLIMITED


def test_a_cgroup_reborn_while_their_number_stays_is_noticed(world: Any, node: Node) -> None:
    for name in ("a", "a/b", "c"):
        world.make(f"{world.base}/{name}")
    first = node.observe().cgroups
    world.remove(f"{world.base}/a/b")
    world.make(f"{world.base}/c/d")
    second = node.observe().cgroups
    assert f"{world.base}/a/b" not in second
    assert f"{world.base}/c/d" in second
    assert second[f"{world.base}/a"].inode == first[f"{world.base}/a"].inode


def test_the_inode_of_a_living_cgroup_stays(world: Any, node: Node) -> None:
    path = f"{world.base}/a"
    world.make(path)
    assert node.observe().cgroups[path].inode == node.observe().cgroups[path].inode


def test_time_does_not_run_backwards(world: Any, node: Node) -> None:
    before = node.observe()
    node.wait(0.01)
    after = node.observe()
    assert after.time_us >= before.time_us + 10_000
    assert after.boot_id == before.boot_id


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("memory.max", GIB),
        ("memory.max", UNLIMITED),
        ("memory.high", 64 * MIB),
        ("memory.low", 0),
        ("memory.min", 4096),
        ("memory.oom.group", True),
        ("memory.oom.group", False),
    ],
)
def test_a_write_returns_what_the_knob_reads_as_and_the_next_look_agrees(
    world: Any, node: Node, knob: str, value: int
) -> None:
    path = f"{world.base}/a"
    world.make(path)
    node.observe()
    assert node.apply(write(path, knob, value)) == value
    assert getattr(node.observe().cgroups[path], knob.replace(".", "_")) == value


def test_a_reclaim_order_reads_as_nothing(world: Any, node: Node) -> None:
    world.make(f"{world.base}/a")
    assert node.apply(write(f"{world.base}/a", "memory.reclaim", Reclaim(0))) is None


def test_a_write_reaches_only_the_cgroup_with_the_inode_meant(world: Any, node: Node) -> None:
    path = f"{world.base}/a"
    world.make(path)
    inode = node.observe().cgroups[path].inode
    node.apply(write(path, "memory.max", GIB, inode))
    with pytest.raises(CgroupGone, match="another cgroup was born"):
        node.apply(write(path, "memory.max", MIB, inode + 1))
    assert node.observe().cgroups[path].memory_max == GIB


def test_a_write_to_a_cgroup_that_is_gone_says_so(world: Any, node: Node) -> None:
    with pytest.raises(CgroupGone) as caught:
        node.apply(write(f"{world.base}/nobody", "memory.max", GIB))
    assert (caught.value.cgroup, caught.value.knob) == (f"{world.base}/nobody", "memory.max")


def test_the_root_has_no_limit_to_write(world: Any, node: Node) -> None:
    with pytest.raises(KnobMissing) as caught:
        node.apply(write("", "memory.max", GIB))
    assert (caught.value.cgroup, caught.value.knob) == ("", "memory.max")


@pytest.mark.parametrize(
    ("knob", "value"), [("memory.max", True), ("memory.max", -1), ("memory.oom.group", 1)]
)
def test_a_value_the_knob_does_not_take_is_refused(world: Any, node: Node, knob: str, value: Any) -> None:
    path = f"{world.base}/a"
    world.make(path)
    before = node.observe().cgroups[path]
    with pytest.raises(InvalidValue) as caught:
        node.apply(write(path, knob, value))
    assert caught.value.knob == knob
    assert node.observe().cgroups[path].memory_max == before.memory_max


@pytest.mark.parametrize("knob", ["memory.current", "memory.stat", "memory.nonsense", "../memory.max"])
def test_only_knobs_are_written(world: Any, node: Node, knob: str) -> None:
    world.make(f"{world.base}/a")
    with pytest.raises(KnobMissing):
        node.apply(write(f"{world.base}/a", knob, 1))


@pytest.mark.parametrize("path", ["/", "../x", "a//b", "a/./b", "a/"])
def test_a_path_never_leaves_the_cgroup_root(world: Any, node: Node, path: str) -> None:
    with pytest.raises(InvalidValue, match="not a path below the cgroup root"):
        node.apply(write(path, "memory.max", GIB))


def test_a_wait_without_pressure_lasts_its_time(world: Any, node: Node) -> None:
    start = node.observe().time_us
    assert node.wait(0.2) == Wake("timeout")
    assert node.observe().time_us >= start + 200_000


def test_a_quiet_time_does_not_make_a_wait_longer(world: Any, node: Node) -> None:
    node.watch([f"{world.base}/a"])
    world.make(f"{world.base}/a")
    start = node.observe().time_us
    assert node.wait(0.2, 60) == Wake("timeout")
    assert 200_000 <= node.observe().time_us - start < 5_000_000


def test_a_stopped_node_does_not_wait(world: Any, node: Any) -> None:
    node.stop()
    start = time.monotonic()
    assert node.wait(60).reason == "stop"
    assert node.wait(60).reason == "stop"
    assert time.monotonic() - start < 50  # not the minute it was given, on a machine however busy


def test_a_node_may_be_stopped_and_closed_twice(world: Any) -> None:
    node = world.node()
    node.observe()
    node.close()
    node.stop()
    node.close()


def ended(node: Node, seconds: float = 20) -> list[Outcome]:
    """Wait until no order is under way, and return what became of them."""
    deadline, found = time.monotonic() + seconds, list(node.ended())
    while node.underway():
        assert time.monotonic() < deadline
        node.wait(0.01)
        found += node.ended()
    return found


def test_an_order_runs_beside_the_caller_and_is_reported_once(world: Any, node: Node) -> None:
    path = f"{world.base}/a"
    world.make(path)
    order = write(path, "memory.reclaim", Reclaim(0), node.observe().cgroups[path].inode)
    node.begin(order)
    assert node.underway() == {path}
    assert ended(node) == [Outcome(order, "written", None, Reclaim(0))]
    assert node.ended() == ()


def test_orders_in_several_cgroups_all_end(world: Any, node: Node) -> None:
    paths = [f"{world.base}/{name}" for name in "abcdef"]
    for path in paths:
        world.make(path)
        node.begin(write(path, "memory.reclaim", Reclaim(0)))
    assert sorted(one.write.cgroup for one in ended(node)) == paths
    node.begin(write(paths[0], "memory.reclaim", Reclaim(0)))
    assert [one.status for one in ended(node)] == ["written"]


def test_a_second_order_in_one_cgroup_is_refused_while_the_first_runs(world: Any, node: Node) -> None:
    world.make(f"{world.base}/a")
    order = write(f"{world.base}/a", "memory.reclaim", Reclaim(0))
    node.begin(order)
    with pytest.raises(Busy):
        node.begin(order)


def test_an_order_that_cannot_be_given_is_refused_at_once(world: Any, node: Node) -> None:
    path = f"{world.base}/a"
    world.make(path)
    inode = node.observe().cgroups[path].inode
    with pytest.raises(CgroupGone):
        node.begin(write(f"{world.base}/nobody", "memory.reclaim", Reclaim(MIB)))
    with pytest.raises(CgroupGone, match="another cgroup was born"):
        node.begin(write(path, "memory.reclaim", Reclaim(MIB), inode + 1))
    for wrong in (write(path, "memory.max", MIB), write(path, "memory.max", Reclaim(MIB))):
        with pytest.raises(InvalidValue):
            node.begin(wrong)
    assert not node.underway()


def test_a_cancelled_order_ends_and_the_next_is_taken(world: Any, node: Node) -> None:
    path = f"{world.base}/a"
    world.make(path)
    node.begin(write(path, "memory.reclaim", Reclaim(UNLIMITED)))
    node.cancel(path)
    # an empty cgroup has nothing to take: a kernel may have said so before it heard
    assert {one.status for one in ended(node)} <= {"stopped", "partial"}
    node.begin(write(path, "memory.reclaim", Reclaim(0)))
    assert [one.status for one in ended(node)] == ["written"]


def test_to_cancel_what_does_not_run_is_nothing(world: Any, node: Node) -> None:
    node.cancel(f"{world.base}/nobody")
    assert node.ended() == ()


def test_a_node_is_closed_in_the_middle_of_an_order(world: Any) -> None:
    node = world.node()
    world.make(f"{world.base}/a")
    node.begin(write(f"{world.base}/a", "memory.reclaim", Reclaim(UNLIMITED)))
    start = time.monotonic()
    node.close()
    assert time.monotonic() - start < 30  # an order without an end
