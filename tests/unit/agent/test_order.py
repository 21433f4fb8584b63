from typing import Any

from memqos.agent.order import as_kept, ordered
from memqos.model.plan import Reclaim, Value, Write
from memqos.units import GIB, MIB, UNLIMITED


def order(node: Any, *writes: tuple[str, str, Value]) -> list[tuple[str, str]]:
    plan = [Write(cgroup, knob, value, "why") for cgroup, knob, value in writes]
    forward = [write.target for write in ordered(plan, node.cgroups)]
    assert forward == [write.target for write in ordered(plan[::-1], node.cgroups)]
    return forward


def test_limits_fall_from_the_children_up(node: Any) -> None:
    knob = "memory.max"
    assert order(node, ("a", knob, GIB), ("a/b/c", knob, GIB), ("a/b", knob, GIB)) == [
        ("a/b/c", knob),
        ("a/b", knob),
        ("a", knob),
    ]


def test_limits_rise_from_the_parents_down(node: Any) -> None:
    for path in ("a", "a/b"):
        node.set(path, "memory.max", MIB)
    assert order(node, ("a/b", "memory.max", GIB), ("a", "memory.max", GIB)) == [
        ("a", "memory.max"),
        ("a/b", "memory.max"),
    ]


def test_what_loosens_goes_before_what_tightens(node: Any) -> None:
    node.set("a/b", "memory.swap.max", 0)
    node.set("a/b", "memory.low", GIB)
    assert order(
        node,
        ("a/b", "memory.max", GIB),
        ("a/b", "memory.swap.max", GIB),
        ("a", "memory.low", GIB),
        ("a/b", "memory.low", 0),
        ("a/b", "memory.oom.group", True),
        ("a/b", "memory.reclaim", Reclaim(MIB)),
    ) == [
        ("a/b", "memory.oom.group"),
        ("a/b", "memory.swap.max"),
        ("a/b", "memory.low"),
        ("a", "memory.low"),
        ("a/b", "memory.reclaim"),
        ("a/b", "memory.max"),
    ]


def test_protection_rises_from_the_parents_down_and_falls_from_the_children_up(node: Any) -> None:
    low = "memory.low"
    assert order(node, ("a/b", low, GIB), ("a", low, GIB)) == [("a", low), ("a/b", low)]
    for path in ("a", "a/b"):
        node.set(path, low, GIB)
    assert order(node, ("a", low, 0), ("a/b", low, 0)) == [("a/b", low), ("a", low)]


def test_high_frames_max_and_swap_is_squeezed_last(node: Any) -> None:
    falls = [("a", "memory.swap.max", 0), ("a", "memory.max", GIB), ("a", "memory.high", GIB)]
    assert [knob for _, knob in order(node, *falls)] == ["memory.high", "memory.max", "memory.swap.max"]
    for _, knob, _ in falls:
        node.set("a", knob, 0)
    rises = [("a", "memory.swap.max", GIB), ("a", "memory.max", GIB), ("a", "memory.high", GIB)]
    assert [knob for _, knob in order(node, *rises)] == ["memory.swap.max", "memory.max", "memory.high"]


def test_sizes_are_kept_in_whole_pages_up_to_max() -> None:
    assert as_kept(Write("a", "memory.max", 8191, ""), 4096) == 4096
    assert as_kept(Write("a", "memory.max", 2**63 - 1, ""), 4096) == UNLIMITED
    assert as_kept(Write("a", "memory.oom.group", True, ""), 4096) is True


def test_a_weight_is_kept_as_it_is() -> None:
    assert as_kept(Write("a", "io.weight", 1000, ""), 4096) == 1000
