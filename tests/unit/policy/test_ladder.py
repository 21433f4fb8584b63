"""The whole ladder under adversarial pressure: what it may never do, whatever happens on the node."""

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.model.plan import Plan, Reclaim
from memqos.policy.ladder import rungs
from memqos.policy.manager import Manager
from memqos.policy.settings import Settings
from memqos.units import MIB

Scene = Any
EXAMPLES = max(10, settings.default.max_examples // 3)
HELD = ("throttle", "io", "relax")

moments = st.fixed_dictionaries(
    {
        "seconds": st.sampled_from((0.2, 0.5, 1.0, 3.0)),
        "shop_stalls": st.floats(0, 1),
        "shop_waits": st.floats(0, 1),
        "hog_refaults": st.integers(0, 20_000),
        "hog_reads": st.integers(0, 200),
        "hog_holds": st.integers(0, 700),
        "hog_hits_limit": st.booleans(),
        "hog_writes": st.sampled_from((0, 0, 200)),
        "hog_keeps": st.sampled_from((0, 680, 700, 760)),
    }
)


def node(new_scene: Callable[[], Scene]) -> Scene:
    scene = new_scene()
    scene.swap = 512 * MIB
    scene.pod("shop", priority=1000, request=128 * MIB, limit=256 * MIB, memory_current=128 * MIB)
    scene.change("shop", memory_stat={"anon": 64 * MIB, "file": 64 * MIB})
    scene.pod("hog", limit=768 * MIB, memory_swap_max=256 * MIB)
    scene.situation()
    return scene


def live(scene: Scene, moment: dict[str, Any]) -> None:
    seconds = moment["seconds"]
    scene.stall("shop", moment["shop_stalls"] * seconds)
    scene.stall("shop", moment["shop_waits"] * seconds, resource="io")
    scene.count("hog", "memory_stat", "workingset_refault_anon", moment["hog_refaults"])
    scene.traffic("hog", rbytes=moment["hog_reads"] * MIB, rios=moment["hog_reads"] * 8)
    scene.traffic("shop", rbytes=MIB, rios=10)
    held = moment["hog_holds"] * MIB
    scene.change("hog", memory_current=held, memory_stat={"anon": held, "file": 0})
    stat = {"file_dirty": moment["hog_writes"] * MIB, "anon": moment["hog_keeps"] * MIB}
    scene.change("hog/app", memory_current=760 * MIB, memory_swap_max=0, memory_stat=stat)
    if moment["hog_hits_limit"]:
        scene.count("hog", "memory_events", "max", 100)


def play(scene: Scene, script: list[dict[str, Any]]) -> tuple[Any, Manager, list[tuple[int, Plan]]]:
    manager = Manager(rungs(Settings()))
    memory, plans = manager.initial(), []
    for moment in script:
        live(scene, moment)
        view = scene.look(moment["seconds"])
        memory, plan = manager.decide(memory, view)
        scene.obey(plan)
        plans.append((scene.time_us, plan))
    return memory, manager, plans


@given(script=st.lists(moments, min_size=1, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)
def test_a_knob_is_rewritten_seldom_and_never_for_the_most_important(
    script: list[dict[str, Any]], new_scene: Callable[[], Scene]
) -> None:
    _, _, plans = play(node(new_scene), script)
    changes: dict[tuple[str, str], list[tuple[int, Any]]] = {}
    for at_us, plan in plans:
        held = {write.target for write in plan.writes}
        for target, values in changes.items():  # let go is a change, too
            if target not in held and values[-1][1] is not None:
                values.append((at_us, None))
        assert not any(advice.problem.startswith("rung ") for advice in plan.advice), plan.advice
        for write in plan.writes:
            assert write.why
            if isinstance(write.value, Reclaim):
                continue
            assert (write.policy, write.cgroup) not in {
                (rung, "kubepods/shop") for rung in ("throttle", "io")
            }
            before = changes.setdefault(write.target, [])
            if not before or before[-1][1] != write.value:
                before.append((at_us, write.value))
    for target, values in changes.items():
        for (sooner, _), (later, _) in itertools.pairwise(values):
            assert later - sooner >= 190_000, target
        span = plans[-1][0] - plans[0][0]
        assert len(values) <= 2 + span / 900_000, (target, values)


@given(script=st.lists(moments, min_size=1, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)
def test_after_a_long_calm_nothing_is_held_back_and_nobody_evicted(
    script: list[dict[str, Any]], new_scene: Callable[[], Scene]
) -> None:
    scene = node(new_scene)
    memory, manager, _ = play(scene, script)
    scene.change("hog", memory_current=8 * MIB, memory_stat={"anon": 8 * MIB, "file": 0})
    plan = Plan()
    for _ in range(200):
        memory, plan = manager.decide(memory, scene.look(1.0))
        scene.obey(plan)
    assert plan.evictions == ()
    assert [write for write in plan.writes if write.policy in HELD] == []
    assert [stand for stand in plan.stands if stand.rung in (*HELD, "evict")] == []


@given(script=st.lists(moments, min_size=1, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)
def test_without_anybodys_trouble_nobody_is_held_back(
    script: list[dict[str, Any]], new_scene: Callable[[], Scene]
) -> None:
    calm = [
        {**each, "shop_stalls": 0.0, "shop_waits": 0.0, "hog_hits_limit": False, "hog_holds": 100}
        for each in script
    ]
    _, _, plans = play(node(new_scene), calm)
    for _, plan in plans:
        assert plan.evictions == ()
        assert [write for write in plan.writes if write.policy in ("throttle", "io")] == []
