from typing import Any

import pytest

from memqos.model.plan import Plan
from memqos.policy.ease import Ease, EaseSettings
from memqos.units import GIB, MIB, UNLIMITED

Scene = Any


@pytest.fixture
def swapping(scene: Scene) -> Scene:
    """Return a node where `dd` has 100 MiB and may swap as much again."""
    scene.swap = GIB
    scene.pod("dd", limit=100 * MIB, memory_current=40 * MIB, memory_swap_max=100 * MIB)
    return scene


def high(plan: Plan) -> int | None:
    """What a plan wants of the container's memory.high; `None` when nothing."""
    for write in plan.writes:
        assert (write.cgroup, write.knob) == ("kubepods/dd/app", "memory.high")
        assert isinstance(write.value, int)
        return write.value
    return None


def decide(scene: Scene, memory: Any = None, seconds: float = 1.0) -> tuple[Any, Plan]:
    rung = Ease()
    memory, plan = rung.decide(rung.initial() if memory is None else memory, scene.situation(seconds))
    scene.obey(plan)
    return memory, plan


def test_who_may_swap_is_slowed_down_a_tenth_below_its_limit(swapping: Scene) -> None:
    memory, plan = decide(swapping)
    assert high(plan) == 90 * MIB
    assert plan.writes[0].why == "it may swap: it is slowed down 10 MiB below its limit, not killed at it"
    assert plan.stands == ()
    swapping.cgroups["kubepods/dd/app"]["memory_current"] = 91 * MIB
    memory, plan = decide(swapping, memory)
    assert [(stand.subject, stand.step) for stand in plan.stands] == [("default/dd", "act")]


def test_a_container_that_is_past_it_is_led_there_a_little_at_a_time(swapping: Scene) -> None:
    cgroup = swapping.cgroups["kubepods/dd/app"]
    cgroup["memory_current"] = 99 * MIB
    memory, held = None, []
    for _ in range(5):
        memory, plan = decide(swapping, memory)
        held.append(high(plan))
        cgroup["memory_current"] = high(plan)
    assert held == [95 * MIB, 91 * MIB, 90 * MIB, 90 * MIB, 90 * MIB]


def test_what_cannot_be_swapped_any_more_is_left_to_the_limit(swapping: Scene) -> None:
    memory, plan = decide(swapping)
    assert high(plan) == 90 * MIB
    stat = {"anon": 85 * MIB}
    swapping.cgroups["kubepods/dd/app"].update(
        memory_current=85 * MIB, memory_stat=stat, memory_swap_current=100 * MIB
    )
    assert high(decide(swapping, memory)[1]) is None


def test_a_full_swap_disk_counts_as_none(swapping: Scene) -> None:
    swapping.cgroups["kubepods/dd/app"].update(memory_current=85 * MIB, memory_stat={"anon": 85 * MIB})
    assert high(decide(swapping)[1]) == 90 * MIB
    swapping.meminfo["SwapFree"] = 0
    assert high(decide(swapping)[1]) is None


def test_who_may_not_swap_is_held_while_much_is_written_back_and_for_a_dwell(scene: Scene) -> None:
    scene.pod("dd", limit=100 * MIB, memory_current=80 * MIB)
    memory, plan = decide(scene)
    assert plan == Plan()
    scene.cgroups["kubepods/dd/app"]["memory_stat"] = {"file_dirty": 8 * MIB, "file_writeback": 6 * MIB}
    memory, plan = decide(scene, memory)
    assert high(plan) == 90 * MIB
    scene.cgroups["kubepods/dd/app"]["memory_stat"] = {}
    for _ in range(9):
        memory, plan = decide(scene, memory)
        assert high(plan) == 90 * MIB
    assert high(decide(scene, memory)[1]) is None


def test_a_lower_memory_high_of_somebody_else_is_left(swapping: Scene) -> None:
    swapping.cgroups["kubepods/dd/app"]["memory_high"] = 80 * MIB
    assert decide(swapping)[1] == Plan()


def test_no_limit_no_hold(scene: Scene) -> None:
    scene.swap = GIB
    scene.pod("dd", memory_swap_max=UNLIMITED)
    assert decide(scene)[1] == Plan()


def test_the_margin_is_the_admins(swapping: Scene) -> None:
    rung = Ease(EaseSettings(margin_percent=20.0))
    _, plan = rung.decide(rung.initial(), swapping.situation())
    assert high(plan) == 80 * MIB
