from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Scene = Any


def victims(scene: Scene, seconds: float = 1.0) -> list[tuple[str, str]]:
    return [(one.kind, one.victim) for one in scene.situation(seconds).pressing()]


def test_a_pod_that_stalls_is_in_trouble_and_since_when(busy: Scene) -> None:
    assert victims(busy) == []
    busy.stall("shop", 0.3)
    situation = busy.situation()
    (trouble,) = situation.pressing("memory")
    assert (trouble.victim, trouble.share, trouble.since_us) == ("default/shop", 0.3, situation.now_us)
    assert str(trouble) == "default/shop waits for memory 30 % of the time"


def test_a_trouble_lasts_until_it_was_calm_for_the_calm_time(busy: Scene) -> None:
    victims(busy)
    busy.stall("shop", 0.3)
    assert victims(busy)
    for _ in range(5):
        assert victims(busy)
    busy.stall("shop", 0.04)  # above half of the threshold: not calm
    assert victims(busy)
    seconds = 0
    while victims(busy):
        seconds += 1
    assert seconds == 10


def test_the_most_important_victim_comes_first(busy: Scene) -> None:
    victims(busy)
    busy.stall("hog", 0.9)
    busy.stall("shop", 0.1)
    assert victims(busy) == [("memory", "default/shop"), ("memory", "default/hog")]


def test_whoever_runs_into_its_own_limit_is_nobody_elses_victim(busy: Scene) -> None:
    victims(busy)
    busy.stall("shop", 0.5)
    busy.count("shop", "memory_events", "max", 100)
    situation = busy.situation()
    assert situation.pressing() == ()
    assert situation.troubles.of["memory", "default/shop"].own


def test_a_pod_that_is_gone_has_no_trouble(busy: Scene) -> None:
    victims(busy)
    busy.stall("hog", 0.5)
    assert victims(busy)
    busy.gone("hog")
    assert victims(busy) == []


def test_a_trouble_is_as_important_as_its_victim_is_now(busy: Scene) -> None:
    victims(busy)
    busy.stall("hog", 0.9)
    busy.stall("shop", 0.9)
    assert victims(busy) == [("memory", "default/shop"), ("memory", "default/hog")]
    (place,) = (index for index, placed in enumerate(busy.pods) if placed.pod.name == "shop")
    busy.pods[place] = replace(busy.pods[place], pod=replace(busy.pods[place].pod, priority=-1))
    busy.stall("hog", 0.9)
    busy.stall("shop", 0.9)
    situation = busy.situation()
    assert [one.victim for one in situation.pressing("memory")] == ["default/hog", "default/shop"]
    assert {one.importance.priority for one in situation.pressing("memory")} == {0, -1}


@given(stalls=st.lists(st.floats(0, 1), min_size=1, max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_trouble_begins_without_a_stall_or_ends_before_the_calm_time(
    stalls: list[float], new_scene: Callable[[], Scene]
) -> None:
    scene = new_scene()
    scene.pod("shop", priority=1000)
    scene.situation()
    troubled, calm = False, 0
    for stall in stalls:
        scene.stall("shop", stall)
        now = bool(scene.situation().pressing())
        calm = 0 if stall > 0.026 else calm + 1
        assert now or not troubled or calm >= 10
        assert troubled or not now or stall > 0.049
        troubled = now


def test_a_stall_that_wakes_the_agent_is_one_of_the_last_second_and_not_of_two(busy: Scene) -> None:
    for seconds in (0.9, 0.9):
        victims(busy, seconds)
    busy.stall("shop", 0.04)
    assert victims(busy, 0.2) == []
    busy.stall("shop", 0.02)  # 60 ms: less than a twentieth of the 1.3 s since the look a second ago
    (trouble,) = busy.situation(0.2).pressing("memory")
    assert round(trouble.share, 3) == 0.06
