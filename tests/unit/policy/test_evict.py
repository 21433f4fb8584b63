from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.model.plan import Plan, Stand, Underway
from memqos.policy.evict import Evict, EvictMemory
from memqos.policy.evict_settings import EvictSettings, EvictUnit
from memqos.units import GIB, MIB

Scene = Any
EASY = Evict(EvictSettings(confirm_seconds=0))


def hold(scene: Scene, name: str, anon: int, swap: int = 0) -> None:
    scene.change(name, memory_current=anon, memory_stat={"anon": anon, "file": 0}, memory_swap_current=swap)


@pytest.fixture
def short(scene: Scene) -> Scene:
    """Return a node of 1 GiB on which 10 MiB are left, most of it held by `leak`."""
    scene.pod("shop", priority=1000, request=600 * MIB)
    scene.pod("batch", priority=-10, request=64 * MIB)
    scene.pod("leak", priority=0, request=64 * MIB)
    hold(scene, "shop", 500 * MIB)
    hold(scene, "batch", 100 * MIB)
    hold(scene, "leak", 300 * MIB)
    scene.situation()
    hold(scene, "leak", 414 * MIB)
    return scene


def turn(
    scene: Scene, memory: EvictMemory, rung: Evict = EASY, seconds: float = 1.0
) -> tuple[EvictMemory, Plan]:
    return rung.decide(memory, scene.situation(seconds))


def names(plan: Plan) -> list[str]:
    return [eviction.pod.removeprefix("default/") for eviction in plan.evictions]


def test_the_nearer_the_end_the_sooner_the_next_look(scene: Scene) -> None:
    scene.pod("leak")
    hold(scene, "leak", 300 * MIB)
    scene.situation()
    hold(scene, "leak", 400 * MIB)
    _, plan = turn(scene, EASY.initial())
    assert plan.look_in == pytest.approx(624 / 100 / 8)
    hold(scene, "leak", 405 * MIB)
    _, plan = turn(scene, EASY.initial())
    assert plan.look_in is None


def test_nobody_goes_while_there_is_memory(busy: Scene) -> None:
    busy.situation()
    _, plan = turn(busy, EASY.initial())
    assert plan == Plan()


@pytest.mark.parametrize(("written", "gone"), [(300, []), (0, ["batch"])])
def test_pages_on_their_way_to_swap_are_memory_to_be_had_and_those_that_came_back_are_not(
    short: Scene, written: int, gone: list[str]
) -> None:
    short.meminfo |= {"SwapCached": 300 * MIB, "Writeback": written * MIB}
    assert names(turn(short, EASY.initial())[1]) == gone


def test_the_lowest_priority_that_frees_enough_to_matter_goes_first(short: Scene) -> None:
    memory, plan = turn(short, EASY.initial())
    assert names(plan) == ["batch"]
    assert "the node's minimum is 41 MiB" in plan.evictions[0].why
    assert (
        "priority -10, Burstable, holds 100 MiB, 36 MiB over its request of 64 MiB" in plan.evictions[0].why
    )
    (stand,) = plan.stands
    assert (stand.rung, stand.subject, stand.step) == ("evict", "node", "act")
    assert "uid-batch" in memory.asked


def test_a_tier_that_is_too_small_to_help_is_passed_over(short: Scene) -> None:
    hold(short, "batch", 1 * MIB)
    hold(short, "leak", 513 * MIB)
    _, plan = turn(short, EASY.initial())
    assert names(plan) == ["leak"]


def test_fifty_small_offenders_are_a_large_one(scene: Scene) -> None:
    scene.swap = 256 * MIB
    scene.pod("shop", priority=1000, request=GIB)
    hold(scene, "shop", 400 * MIB)
    for number in range(50):
        scene.pod(f"small{number:02}")
        hold(scene, f"small{number:02}", 12 * MIB, swap=5 * MIB)
    scene.situation()
    _, plan = turn(scene, EASY.initial())
    assert 2 <= len(plan.evictions) <= EASY.settings.at_once
    assert sum(17 * MIB for _ in plan.evictions) >= 40 * MIB


def test_swap_that_may_still_be_written_is_memory_that_can_be_had(short: Scene) -> None:
    short.swap = 512 * MIB
    short.change("leak", memory_swap_max=512 * MIB)
    _, plan = turn(short, EASY.initial())
    assert (plan.evictions, plan.stands) == ((), ())


def test_swap_that_no_pod_may_use_helps_nobody(short: Scene) -> None:
    short.swap = 512 * MIB
    _, plan = turn(short, EASY.initial())
    assert names(plan) == ["batch"]


def test_a_fast_ramp_is_seen_coming(scene: Scene) -> None:
    scene.pod("shop", priority=1000)
    scene.pod("leak")
    hold(scene, "leak", 700 * MIB)
    scene.situation()
    hold(scene, "leak", 900 * MIB)  # 124 MiB are left, at 200 MiB/s
    _, plan = turn(scene, EASY.initial())
    assert names(plan) == ["leak"]
    assert "none in 0.6 s at this rate" in plan.evictions[0].why
    assert plan.evictions[0].grace == 0


@pytest.mark.parametrize(("seconds", "goes"), [(1.0, []), (4.0, ["leak"])])
def test_where_looks_come_late_the_next_one_counts_as_late(
    scene: Scene, seconds: float, goes: list[str]
) -> None:
    scene.pod("shop", priority=1000)
    scene.pod("leak")
    hold(scene, "leak", 894 * MIB - int(40 * seconds) * MIB)
    scene.situation()
    hold(scene, "leak", 894 * MIB)  # 130 MiB are left, at 40 MiB/s
    _, plan = turn(scene, EASY.initial(), seconds=seconds)
    assert names(plan) == goes


def test_a_slow_one_gets_grace(scene: Scene) -> None:
    scene.pod("leak")
    hold(scene, "leak", 980 * MIB)
    scene.situation()
    hold(scene, "leak", 985 * MIB)
    _, plan = turn(scene, EASY.initial())
    assert plan.evictions[0].grace == pytest.approx(39 / 5 / 2)


def test_one_reading_ends_nobody_by_default(short: Scene) -> None:
    rung = Evict()
    hold(short, "leak", 394 * MIB)
    memory, plan = turn(short, rung.initial(), rung)
    assert names(plan) == []
    assert plan.stands[0].step == "watch"
    memory, plan = turn(short, memory, rung, 0.4)
    assert names(plan) == ["batch"]


def test_the_second_look_comes_when_it_counts(short: Scene) -> None:
    hold(short, "leak", 394 * MIB)
    _, plan = turn(short, Evict().initial(), Evict())
    assert plan.look_in == 0.3


def test_where_nothing_would_be_left_by_then_the_first_look_counts(scene: Scene) -> None:
    scene.pod("shop", priority=1000)
    scene.pod("leak")
    hold(scene, "leak", 794 * MIB)
    scene.situation()
    hold(scene, "leak", 994 * MIB)  # 30 MiB are left, below the minimum of 41, at 200 MiB/s
    _, plan = turn(scene, Evict().initial(), Evict())
    assert names(plan) == ["leak"]
    assert "none in 0.1 s at this rate" in plan.evictions[0].why


def test_what_is_on_its_way_out_counts_as_free(short: Scene) -> None:
    memory, plan = turn(short, EASY.initial())
    assert names(plan) == ["batch"]
    for _ in range(5):
        memory, plan = turn(short, memory, seconds=1.5)
        assert names(plan) == []


def test_who_outlives_its_grace_is_killed_once(short: Scene) -> None:
    hold(short, "leak", 300 * MIB)
    short.situation()
    hold(short, "leak", 390 * MIB)
    short.situation(10)
    memory, plan = turn(short, EASY.initial())
    assert names(plan) == ["batch"]
    assert plan.evictions[0].grace == 10
    kills = []
    for _ in range(30):
        memory, plan = turn(short, memory)
        kills += [(one.pod, one.grace) for one in plan.evictions if "batch" in one.pod]
    assert kills == [("default/batch", 0.0)]


def test_a_critical_pod_is_never_chosen(scene: Scene) -> None:
    scene.pod("dns", priority=2_000_000_000)
    hold(scene, "dns", 1020 * MIB)
    scene.situation()
    memory, plan = EASY.initial(), Plan()
    for _ in range(20):
        memory, plan = turn(scene, memory)
        assert names(plan) == []
    assert plan.stands[0].step == "spent"
    assert "no pod that may be evicted would help" in plan.advice[0].problem


def test_a_workload_loses_one_pod_an_hour_until_the_node_runs_dry(scene: Scene) -> None:
    for name in ("web-1", "web-2"):
        scene.pod(name)
        hold(scene, name, 495 * MIB)
    scene.pods = [replace(one, pod=replace(one.pod, labels={"app": "web"})) for one in scene.pods]
    scene.situation()
    memory, plan = turn(scene, EASY.initial())
    assert len(plan.evictions) == 1
    gone, other = ("web-1", "web-2") if "web-1" in names(plan) else ("web-2", "web-1")
    scene.gone(gone)
    hold(scene, other, 995 * MIB)
    memory, plan = turn(scene, memory, seconds=10)
    assert names(plan) == []
    assert plan.stands[0].step == "spent"
    hold(scene, other, 1010 * MIB)
    memory, plan = turn(scene, memory, seconds=10)
    assert names(plan) == [other]


def test_whom_the_evictor_refuses_is_not_asked_again(short: Scene) -> None:
    short.underway = Underway(refused={"uid-batch": "it is a DaemonSet's"})
    _, plan = turn(short, EASY.initial())
    assert names(plan) == ["leak"]


def test_a_mode_that_advises_ends_nobody(short: Scene) -> None:
    rung = Evict(EvictSettings(mode="Advise", confirm_seconds=0))
    _, plan = turn(short, rung.initial(), rung)
    assert plan.evictions == ()
    assert plan.advice[0].subject == "default/batch"


def test_where_nobody_may_evict_the_same_pod_is_named_as_long_as_it_is_the_first_to_go(short: Scene) -> None:
    rung = Evict(EvictSettings(confirm_seconds=0), may_evict=False)
    memory, told = rung.initial(), []
    for _ in range(60):
        memory, plan = turn(short, memory, rung)
        assert plan.evictions == ()
        told.extend(advice for advice in plan.advice if advice not in told)
    (advice,) = told
    assert advice.subject == "default/batch"
    assert "the node's minimum is 41 MiB; priority -10, Burstable, holds 100 MiB" in advice.problem
    assert advice.remedy == (
        "memqos does not run this pod: kubectl delete pod batch -n default, or give the node memory"
    )
    short.gone("batch")
    hold(short, "leak", 514 * MIB)
    memory, plan = turn(short, memory, rung)
    assert [advice.subject for advice in plan.advice] == ["default/leak"]


def test_where_nobody_may_evict_and_nobody_would_help_that_is_told(scene: Scene) -> None:
    scene.pod("shop", priority=2_000_000_000)
    hold(scene, "shop", 900 * MIB)
    scene.situation()
    hold(scene, "shop", 1010 * MIB)
    rung = Evict(EvictSettings(confirm_seconds=0), may_evict=False)
    _, plan = turn(scene, rung.initial(), rung)
    assert ["no pod that may be evicted would help" in advice.problem for advice in plan.advice] == [True]


def test_the_annotation_spares_a_pod_only_where_the_admin_lets_it(short: Scene) -> None:
    refusing = [
        replace(one, pod=replace(one.pod, annotations={"memqos.dev/evictable": "false"}))
        if one.pod.name == "batch"
        else one
        for one in short.pods
    ]
    short.pods = refusing
    assert names(turn(short, EASY.initial())[1]) == ["batch"]
    lenient = Evict(EvictSettings(confirm_seconds=0, users_may_refuse=True))
    assert names(turn(short, lenient.initial(), lenient)[1]) == ["leak"]


def stalled(scene: Scene, seconds: int, *, grows: bool = True) -> list[Plan]:
    memory, plans, size = EASY.initial(), [], 100 * MIB
    scene.situation()
    for _ in range(seconds):
        scene.stall("shop", 0.5)
        if grows:
            scene.count("hog", "memory_stat", "workingset_refault_anon", 5000)
        hold(scene, "hog", size)
        memory, plan = turn(scene, memory)
        plans.append(plan)
    return plans


def test_a_long_stall_ends_a_less_important_pod_that_takes_part(busy: Scene) -> None:
    plans = stalled(busy, 25)
    assert next(names(plan) for plan in plans if plan.evictions) == ["hog"]
    first = next(index for index, plan in enumerate(plans) if plan.evictions)
    assert first == 20
    assert "default/shop waits for memory 50 % of the time, for 20 s" in plans[first].evictions[0].why


def test_nobody_goes_for_a_stall_without_taking_part(busy: Scene) -> None:
    assert not any(plan.evictions for plan in stalled(busy, 40, grows=False))


def test_waiting_for_a_disk_ends_nobody(busy: Scene) -> None:
    memory = EASY.initial()
    busy.situation()
    for _ in range(60):
        busy.stall("shop", 0.9, resource="io")
        busy.count("hog", "memory_stat", "workingset_refault_file", 50_000)
        memory, plan = turn(busy, memory)
        assert plan == Plan()


def test_gentler_rungs_get_their_time(busy: Scene) -> None:
    memory = EASY.initial()
    busy.situation()
    for second in range(30):
        busy.stall("shop", 0.5)
        busy.count("hog", "memory_stat", "workingset_refault_anon", 5000)
        situation = busy.situation()
        acting = Stand("throttle", "default/hog", "act", situation.now_us - second * 100_000, "held")
        memory, plan = EASY.decide(memory, replace(situation, stands=(acting,)))
        assert names(plan) == []


@given(
    sizes=st.lists(st.tuples(st.integers(0, 1000), st.floats(0.2, 5.0)), min_size=1, max_size=40),
    minimum=st.floats(1, 20),
    unit=st.sampled_from(("Pod", "Container")),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_pressure_no_one_critical_goes_no_one_twice_and_nobody_without_a_cause(
    sizes: list[tuple[int, float]], minimum: float, unit: EvictUnit, new_scene: Callable[[], Scene]
) -> None:
    scene = new_scene()
    rung = Evict(EvictSettings(minimum_percent=minimum, unit=unit))
    scene.pod("dns", priority=2_000_000_001)
    for name in ("a", "b", "c"):
        scene.pod(name, priority=len(name))
    scene.situation()
    memory, told = rung.initial(), []
    for size, seconds in sizes:
        for share, name in enumerate(("a", "b", "c"), 1):
            hold(scene, name, size * MIB * share // 6)
            hold(scene, f"{name}/app", size * MIB * share // 6)
        situation = scene.situation(seconds)
        memory, plan = rung.decide(memory, situation)
        assert all(one.pod != "default/dns" for one in plan.evictions)
        chosen = [
            (one.uid, one.container)
            for one in plan.evictions
            if not one.why.endswith(("its grace is over", "wait for it"))
        ]
        if chosen:
            assert situation.view.now.node.meminfo["MemAvailable"] < GIB * 0.9
            assert plan.stands
        told += chosen
        assert len(told) == len(set(told))


@pytest.mark.parametrize(
    ("annotation", "lenient", "said"),
    [
        (("evictable", "false"), False, "annotation memqos.dev/evictable does not spare it"),
        (("evictable", "false"), True, None),
        (("evictable", "true"), False, None),
        (("evictable", "no"), True, "annotation memqos.dev/evictable: 'no' is neither true nor false"),
        (("evict", "false"), True, "annotation memqos.dev/evict: memqos knows no such annotation"),
        (("swap-limits", "1Mi"), True, None),
    ],
)
def test_an_annotation_that_does_nothing_is_told(
    scene: Scene, annotation: tuple[str, str], lenient: bool, said: str | None
) -> None:
    scene.pod("shop", annotations={f"memqos.dev/{annotation[0]}": annotation[1], "team/owner": "us"})
    rung = Evict(EvictSettings(users_may_refuse=lenient))
    _, plan = turn(scene, rung.initial(), rung)
    assert [(each.subject, each.problem.startswith(said or "")) for each in plan.advice] == (
        [("default/shop", True)] if said else []
    )


BY_CONTAINER = Evict(EvictSettings(confirm_seconds=0, unit="Container"))


def inside(scene: Scene, name: str, anon: int) -> None:
    """Let a pod's container `app` hold so much of it."""
    hold(scene, f"{name}/app", anon)


def test_the_container_that_holds_most_of_it_is_killed_and_if_that_was_not_enough_the_pod_goes(
    short: Scene,
) -> None:
    inside(short, "batch", 90 * MIB)
    memory, plan = turn(short, BY_CONTAINER.initial(), BY_CONTAINER)
    assert [(each.pod, each.container) for each in plan.evictions] == [("default/batch", "app")]
    memory, plan = turn(short, memory, BY_CONTAINER, seconds=0.5)  # the effect is awaited
    assert plan.evictions == ()
    memory, plan = turn(short, memory, BY_CONTAINER, seconds=3.0)
    assert [(each.pod, each.container) for each in plan.evictions] == [("default/batch", None)]


def test_without_a_container_that_holds_most_of_it_or_one_to_start_again_the_pod_goes(short: Scene) -> None:
    inside(short, "batch", 70 * MIB)
    (told,) = turn(short, BY_CONTAINER.initial(), BY_CONTAINER)[1].evictions
    assert told.container is None
    inside(short, "batch", 100 * MIB)
    short.pods = [replace(one, pod=replace(one.pod, restart_policy="Never")) for one in short.pods]
    (told,) = turn(short, BY_CONTAINER.initial(), BY_CONTAINER)[1].evictions
    assert told.container is None


def test_page_cache_that_can_be_dropped_is_no_part_of_what_a_container_holds(short: Scene) -> None:
    short.change("batch/app", memory_current=95 * MIB, memory_stat={"anon": 20 * MIB, "file": 75 * MIB})
    (told,) = turn(short, BY_CONTAINER.initial(), BY_CONTAINER)[1].evictions
    assert told.container is None


def test_a_container_may_be_killed_again_after_an_hour_and_by_default_the_pod_goes(short: Scene) -> None:
    inside(short, "batch", 100 * MIB)
    assert turn(short, EASY.initial())[1].evictions[0].container is None
    memory, _ = turn(short, BY_CONTAINER.initial(), BY_CONTAINER)
    short.situation(3600.0)
    memory, plan = turn(short, memory, BY_CONTAINER)
    assert [each.container for each in plan.evictions] == ["app"]
