"""A limit that is too small for what a pod works on is told, and nothing else is taken for that."""

from typing import Any

import pytest

from memqos.model.plan import Advice
from memqos.policy.manager import Manager
from memqos.units import MIB

Scene = Any


@pytest.fixture
def cramped(scene: Scene) -> Scene:
    scene.pod("shop", limit=64 * MIB, memory_current=64 * MIB)
    return scene


def live(
    scene: Scene, seconds: int, *, missed: int = 8 * MIB, waits: float = 0.3, hits: int = 100
) -> list[list[Advice]]:
    """Let `shop` live for so many seconds; `missed` bytes a second are read back."""
    manager = scene.__dict__.setdefault("manager", Manager(()))
    memory = scene.__dict__.get("memory", manager.initial())
    told = []
    for _ in range(seconds):
        scene.count("shop", "memory_stat", "workingset_refault_file", missed // 4096)
        for place in ("shop", "shop/app"):
            scene.count(place, "memory_events", "max", hits)
        scene.stall("shop", waits, resource="io")
        memory, plan = manager.decide(memory, scene.look(1.0))
        told.append(list(plan.advice))
    scene.__dict__["memory"] = memory
    return told


def test_it_is_told_once_it_has_lasted_and_until_it_is_over(cramped: Scene) -> None:
    told = live(cramped, 40)
    assert [bool(advice) for advice in told] == [False] * 31 + [True] * 9
    (advice,) = told[-1]
    assert (advice.subject, advice.policy) == ("default/shop", "guard")
    assert advice.problem.startswith(
        "the memory limit of its container app, 64 MiB, is less than it works on"
    )
    assert advice.remedy == "raise the limit, or let it swap: annotation memqos.dev/swap-limit"
    after = live(cramped, 20, missed=0)
    assert [bool(advice) for advice in after] == [True] * 9 + [False] * 11


def test_a_pause_shorter_than_the_calm_time_does_not_begin_it_anew(cramped: Scene) -> None:
    live(cramped, 20)
    live(cramped, 5, hits=0)
    assert live(cramped, 10)[-1]


@pytest.mark.parametrize(
    "life",
    [
        {"missed": 0},  # a stream through its limit
        {"hits": 0},  # the node, or a memory.high, takes from it
        {"waits": 0.01},  # it hardly notices
    ],
)
def test_a_limit_that_costs_nothing_is_none(cramped: Scene, life: dict[str, Any]) -> None:
    assert not any(live(cramped, 60, **life))


def test_a_pod_that_may_swap_is_told_to_have_more_memory(cramped: Scene) -> None:
    cramped.change("shop", memory_swap_max=64 * MIB)
    (advice,) = live(cramped, 40)[-1]
    assert advice.remedy == "raise the limit"
