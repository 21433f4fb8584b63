import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.model.plan import Plan, Stand
from memqos.policy.relax import Lent, Relax, RelaxSettings
from memqos.units import GIB, MIB, UNLIMITED

Scene = Any
EASY = Relax(RelaxSettings(calm_seconds=5), swap_per_pod=256 * MIB, swap_reserve=0)


@pytest.fixture
def throttled(scene: Scene) -> Scene:
    """Return a node with memory to spare and a pod that runs into its memory.high."""
    scene.pod("shop", priority=1000, limit=200 * MIB, memory_high=100 * MIB, memory_current=100 * MIB)
    scene.situation()
    return scene


def turn(
    scene: Scene, loans: Lent, *, high: bool = False, full: bool = False, rung: Relax = EASY
) -> tuple[Lent, Plan]:
    if high:
        scene.count("shop", "memory_events", "high", 10)
    if full:
        scene.count("shop", "memory_events", "max", 10)
    loans, plan = rung.decide(loans, scene.situation())
    scene.obey(plan)
    return loans, plan


def values(plan: Plan) -> list[tuple[str, int]]:
    return [(write.knob, write.value // MIB) for write in plan.writes]


def test_a_pod_that_is_not_throttled_gets_nothing(throttled: Scene) -> None:
    assert turn(throttled, Lent()) == (Lent(), Plan())


def test_memory_high_rises_in_steps_while_it_is_run_into_and_stops_at_the_limit(throttled: Scene) -> None:
    loans, seen = Lent(), []
    for _ in range(30):
        loans, plan = turn(throttled, loans, high=True)
        seen += [value for _, value in values(plan)]
    assert seen[:5] == [112, 112, 125, 125, 137]
    assert max(seen) == 200
    assert "runs into memory.high of 100 MiB and the node has 924 MiB to spare" in plan.writes[0].why


def test_a_loan_that_is_kept_up_says_at_every_turn_what_it_was_raised_for(throttled: Scene) -> None:
    loans, raised = turn(throttled, Lent(), high=True)
    throttled.meminfo["MemFree"] = throttled.meminfo["MemAvailable"] = 700 * MIB
    loans, kept = turn(throttled, loans)
    assert kept == raised
    for _ in range(2):
        loans, again = turn(throttled, loans, high=True)
    assert "700 MiB to spare" in again.writes[0].why


def test_a_loan_is_called_in_after_the_calm_time_once_it_is_not_in_use(throttled: Scene) -> None:
    loans, plan = turn(throttled, Lent(), high=True)
    throttled.change("shop", memory_current=110 * MIB)
    for _ in range(20):
        loans, plan = turn(throttled, loans)
    assert values(plan) == [("memory.high", 112)]
    throttled.change("shop", memory_current=50 * MIB)
    loans, plan = turn(throttled, loans)
    assert (loans, plan) == (Lent(), Plan())


def test_nothing_is_lent_once_the_reserve_is_touched(throttled: Scene) -> None:
    loans, plan = turn(throttled, Lent(), high=True)
    throttled.pod("hog", memory_current=800 * MIB)
    loans, plan = turn(throttled, loans, high=True)
    assert (loans.loans, plan) == ({}, Plan())


def test_what_was_called_in_is_not_lent_again_before_the_calm_time(throttled: Scene) -> None:
    loans, plan = turn(throttled, Lent(), high=True)
    throttled.pod("hog", memory_current=800 * MIB)
    loans, plan = turn(throttled, loans, high=True)
    throttled.gone("hog")
    lent = []
    for _ in range(6):
        loans, plan = turn(throttled, loans, high=True)
        lent.append(bool(plan.writes))
    assert lent == [False, False, False, False, True, True]


def test_nothing_is_lent_to_whom_a_lower_rung_holds_back(throttled: Scene) -> None:
    throttled.count("shop", "memory_events", "high", 10)
    situation = throttled.situation()
    held = Stand("throttle", "default/shop", "act", 1, "it thrashes")
    assert EASY.decide(Lent(), replace(situation, stands=(held,))) == (Lent(), Plan())


def test_a_memory_high_that_a_lower_rung_holds_is_left_alone(throttled: Scene) -> None:
    throttled.count("shop", "memory_events", "high", 10)
    held = frozenset({("kubepods/shop", "memory.high")})
    assert EASY.decide(Lent(), replace(throttled.situation(), held=held)) == (Lent(), Plan())


def test_nothing_is_lent_while_a_more_important_pod_waits_for_memory(throttled: Scene) -> None:
    throttled.pod("king", priority=5000)
    throttled.situation()
    throttled.stall("king", 0.5)
    assert turn(throttled, Lent(), high=True) == (Lent(), Plan())


def test_swap_is_lent_to_a_pod_that_may_swap_and_has_used_it_up(throttled: Scene) -> None:
    throttled.swap = GIB
    throttled.change("shop", memory_high=UNLIMITED, memory_swap_max=64 * MIB, memory_swap_current=60 * MIB)
    _, plan = turn(throttled, Lent(), full=True)
    assert values(plan) == [("memory.swap.max", 72)]


def test_a_pod_that_may_not_swap_is_lent_none(throttled: Scene) -> None:
    throttled.swap = GIB
    throttled.change("shop", memory_high=UNLIMITED)
    assert turn(throttled, Lent(), full=True) == (Lent(), Plan())


def test_swap_promised_to_others_is_not_lent(throttled: Scene) -> None:
    throttled.swap = GIB
    throttled.pod("other", memory_swap_max=GIB - 66 * MIB)
    throttled.change("shop", memory_high=UNLIMITED, memory_swap_max=64 * MIB, memory_swap_current=64 * MIB)
    loans, plan = Lent(), Plan()
    throttled.situation()
    for _ in range(9):
        loans, plan = turn(throttled, loans, full=True)
        throttled.change("shop", memory_swap_max=64 * MIB)  # as the swap policy will have it
    assert values(plan) == [("memory.swap.max", 66)]


def test_a_limit_that_somebody_set_anew_is_lent_upon_from_there(throttled: Scene) -> None:
    loans, _ = turn(throttled, Lent(), high=True)
    throttled.change("shop", memory_high=160 * MIB)
    loans, plan = turn(throttled, loans)
    assert (loans, plan) == (Lent(), Plan())
    _, plan = turn(throttled, loans, high=True)
    assert values(plan) == [("memory.high", 180)]


@given(script=st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), min_size=1, max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_a_loan_stays_in_bounds_and_changes_at_most_once_a_dwell(
    script: list[tuple[bool, int]], new_scene: Callable[[], Scene]
) -> None:
    scene = new_scene()
    scene.pod("shop", priority=1000, limit=200 * MIB, memory_high=100 * MIB)
    scene.situation()
    loans, raised = Lent(), []
    for number, (pressed, used) in enumerate(script):
        scene.change("shop", memory_current=used * MIB)
        loans, plan = turn(scene, loans, high=pressed)
        for write in plan.writes:
            assert 100 * MIB < write.value <= 200 * MIB
            if not raised or raised[-1][1] != write.value:
                raised.append((number, write.value))
    ups = [number for number, _ in raised]
    assert all(later - sooner >= 2 for sooner, later in itertools.pairwise(ups))
    scene.change("shop", memory_current=0)
    for _ in range(10):
        loans, plan = turn(scene, loans)
    assert (loans.loans, plan) == ({}, Plan())
