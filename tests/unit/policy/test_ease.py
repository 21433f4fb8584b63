from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.model.plan import Plan
from memqos.policy.ease import Ease, EaseSettings
from memqos.units import GIB, MIB, UNLIMITED

Scene = Any


@pytest.fixture
def writing(scene: Scene) -> Scene:
    """Return a node where `dd` has 100 MiB, and much of it waits to be written back."""
    scene.pod("dd", limit=100 * MIB, memory_current=80 * MIB)
    write_back(scene, 14)
    return scene


def write_back(scene: Scene, mib: int, **stat: int) -> None:
    half = mib * MIB // 2
    stat = {"file": 20 * MIB, "file_dirty": half, "file_writeback": half, **stat}
    scene.cgroups["kubepods/dd/app"]["memory_stat"] = stat


def high(plan: Plan) -> int | None:
    """What a plan wants of the container's memory.high; `None` when nothing."""
    for write in plan.writes:
        assert (write.cgroup, write.knob) == ("kubepods/dd/app", "memory.high")
        assert isinstance(write.value, int)
        return write.value
    return None


def decide(scene: Scene, memory: Any = None, seconds: float = 1.0, **settings: Any) -> tuple[Any, Plan]:
    rung = Ease(EaseSettings(**settings))
    memory, plan = rung.decide(rung.initial() if memory is None else memory, scene.situation(seconds))
    scene.obey(plan)
    return memory, plan


def test_who_has_much_to_write_back_is_slowed_down_a_twentieth_below_its_limit(writing: Scene) -> None:
    memory, plan = decide(writing)
    assert high(plan) == 95 * MIB
    assert plan.writes[0].why == (
        "much of it waits to be written back: it is slowed down 5 MiB below its limit, not killed at it"
    )
    assert plan.stands == ()
    writing.cgroups["kubepods/dd/app"]["memory_current"] = 91 * MIB
    memory, plan = decide(writing, memory)
    assert [(stand.subject, stand.step) for stand in plan.stands] == [("default/dd", "act")]


def test_who_has_little_to_write_back_is_left_alone(writing: Scene) -> None:
    write_back(writing, 12)
    assert decide(writing)[1] == Plan()


def test_who_fills_memory_and_swap_without_writing_files_is_left_alone(scene: Scene) -> None:
    scene.swap = GIB
    scene.pod("hog", limit=100 * MIB, memory_current=99 * MIB, memory_swap_max=100 * MIB)
    scene.cgroups["kubepods/hog/app"]["memory_stat"] = {
        "anon": 50 * MIB,
        "file": MIB,
        "file_writeback": 48 * MIB,
    }
    assert decide(scene)[1] == Plan()


def test_a_hold_outlives_a_pause_between_two_bursts(writing: Scene) -> None:
    memory, _ = decide(writing, dwell_seconds=10.0)
    write_back(writing, 0)
    for _ in range(9):
        memory, plan = decide(writing, memory, dwell_seconds=10.0)
        assert high(plan) == 95 * MIB
    assert decide(writing, memory, dwell_seconds=10.0) == ({}, Plan())


def test_what_cannot_be_reclaimed_is_left_to_the_limit(writing: Scene) -> None:
    memory, plan = decide(writing)
    assert high(plan) == 95 * MIB
    write_back(writing, 14, anon=91 * MIB)
    writing.cgroups["kubepods/dd/app"]["memory_current"] = 99 * MIB
    assert high(decide(writing, memory)[1]) is None


def test_a_full_swap_disk_counts_as_none(writing: Scene) -> None:
    writing.swap = GIB
    write_back(writing, 14, anon=91 * MIB)
    writing.cgroups["kubepods/dd/app"].update(memory_current=99 * MIB, memory_swap_max=GIB)
    assert high(decide(writing)[1]) == 95 * MIB
    writing.meminfo["SwapFree"] = 0
    assert high(decide(writing)[1]) is None


def test_a_lower_memory_high_of_somebody_else_is_left(writing: Scene) -> None:
    writing.cgroups["kubepods/dd/app"]["memory_high"] = 80 * MIB
    assert decide(writing)[1] == Plan()


def test_no_limit_no_hold(scene: Scene) -> None:
    scene.pod("dd", memory_current=80 * MIB)
    write_back(scene, 80)
    scene.cgroups["kubepods/dd/app"]["memory_max"] = UNLIMITED
    assert decide(scene)[1] == Plan()


def test_the_margin_is_the_admins(writing: Scene) -> None:
    assert high(decide(writing, margin_percent=20.0)[1]) == 80 * MIB


def test_a_lower_memory_high_that_somebody_sets_meanwhile_ends_the_hold(writing: Scene) -> None:
    memory, plan = decide(writing)
    assert high(plan) == 95 * MIB
    for _ in range(2):
        writing.cgroups["kubepods/dd/app"]["memory_high"] = 80 * MIB
        memory, plan = decide(writing, memory)
        assert (memory, plan) == ({}, Plan())


def test_a_limit_that_is_resized_in_place_takes_the_hold_along(writing: Scene) -> None:
    memory, plan = decide(writing)
    assert high(plan) == 95 * MIB
    writing.cgroups["kubepods/dd/app"]["memory_max"] = 60 * MIB
    memory, plan = decide(writing, memory)
    assert high(plan) == 57 * MIB
    writing.cgroups["kubepods/dd/app"]["memory_max"] = 80 * MIB
    assert high(decide(writing, memory)[1]) == 76 * MIB


def held_after(scene: Scene, memory: Any, seconds: float = 1.0) -> tuple[Any, bool]:
    """Decide, and give back what is not held any more, as the enforcer does."""
    memory, plan = decide(scene, memory, seconds)
    if high(plan) is None:
        scene.cgroups["kubepods/dd/app"]["memory_high"] = UNLIMITED
    return memory, high(plan) is not None


def test_a_program_at_the_edge_is_not_held_and_let_go_at_every_look(writing: Scene) -> None:
    memory, held = None, []
    for kept in (89, 91, *(89,) * 9, 91, 91):
        write_back(writing, 14, anon=kept * MIB)
        writing.cgroups["kubepods/dd/app"]["memory_current"] = 99 * MIB
        memory, holds = held_after(writing, memory)
        held.append(holds)
    assert held == [True, *(False,) * 10, False, False]
    write_back(writing, 14, anon=89 * MIB)
    assert high(decide(writing, memory)[1]) == 95 * MIB


@given(st.lists(st.tuples(st.integers(60, 99), st.booleans(), st.sampled_from((0.2, 1.0, 4.0))), max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_it_does_a_hold_given_up_does_not_begin_again_at_once(
    new_scene: Callable[[], Scene], looks: list[tuple[int, bool, float]]
) -> None:
    scene = new_scene()
    scene.pod("dd", limit=100 * MIB, memory_current=99 * MIB)
    memory: Any = None
    left_us, was = None, False
    for kept, writes, seconds in looks:
        write_back(scene, 14 if writes else 0, anon=kept * MIB)
        memory, holds = held_after(scene, memory, seconds)
        assert not holds or kept <= 90
        if holds and not was and left_us is not None:
            assert scene.time_us - left_us >= 10_000_000
        if was and not holds:
            left_us = scene.time_us
        was = holds
