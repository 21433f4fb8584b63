from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.model.plan import Plan
from memqos.policy.compose import foresee
from memqos.policy.guard import refuse
from memqos.policy.protect import Protect, ProtectSettings
from memqos.units import GIB, MIB, page_floor

Scene = Any
OLD_MGLRU = frozenset({"mglru", "memory_recursiveprot", "memory.reclaim", "memory.reclaim swappiness"})
NEW_MGLRU = OLD_MGLRU | {"memory.reclaim swappiness=max"}


def values(plan: Plan, knob: str = "memory.low") -> dict[str, Any]:
    return {write.cgroup: write.value for write in plan.writes if write.knob == knob}


def test_a_pod_that_outranks_another_keeps_what_it_uses_and_room_to_grow(busy: Scene) -> None:
    _, (plan,) = busy.play(Protect(), Protect().initial(), [1])
    assert values(plan) == {"kubepods/shop": 72 * MIB}
    assert plan.stands[0].subject == "default/shop"
    assert "priority 1000" in plan.writes[0].why


def test_nobody_gains_among_equals(scene: Scene) -> None:
    for name in ("a", "b"):
        scene.pod(name, memory_current=100 * MIB, memory_stat={"anon": 100 * MIB})
    _, (plan,) = scene.play(Protect(), Protect().initial(), [1])
    assert plan == Plan()


def test_a_stream_is_no_working_set_until_it_comes_back(busy: Scene) -> None:
    busy.change("shop", memory_current=400 * MIB, memory_stat={"file": 380 * MIB})
    busy.change("shop", memory_max=800 * MIB)
    memory, (plan,) = busy.play(Protect(), Protect().initial(), [1])
    # 20 MiB that are no page cache, a 16th of the node on trust
    assert values(plan)["kubepods/shop"] < 100 * MIB
    busy.count("shop", "memory_stat", "workingset_refault_file", 100 * MIB // 4096)
    _, (plan,) = busy.play(Protect(), memory, [1])
    assert 180 * MIB < values(plan)["kubepods/shop"] < 210 * MIB


def test_a_steady_pod_is_written_once(busy: Scene) -> None:
    memory = Protect().initial()
    held = set()
    for turn in range(100):
        busy.change("shop", memory_current=(64 - turn % 7) * MIB)
        memory, (plan,) = busy.play(Protect(), memory, [1])
        held.add(values(plan)["kubepods/shop"])
    assert len(held) == 1


def test_what_is_not_needed_any_more_is_given_back_after_the_dwell(busy: Scene) -> None:
    memory, (first,) = busy.play(Protect(), Protect().initial(), [1])
    busy.change("shop", memory_current=16 * MIB)
    busy.pods[0].pod.containers[0].resources.requests.clear()
    _, plans = busy.play(Protect(), memory, [1] * 40)
    sizes = [values(plan)["kubepods/shop"] for plan in plans]
    assert sizes[28] == values(first)["kubepods/shop"]
    assert sizes[-1] == 18 * MIB


def test_what_a_kubelet_wrote_is_not_lowered(busy: Scene) -> None:
    busy.change("shop", memory_low=100 * MIB)
    _, plans = busy.play(Protect(), Protect().initial(), [1, 1])
    assert all(values(plan) == {} for plan in plans)


def test_minimum_where_mglru_keeps_no_low_and_down_from_the_top(busy: Scene) -> None:
    busy.cgroups["kubepods"] |= {"memory_min": 8 * MIB, "memory_low": 0, "memory_max": GIB}
    busy.features = OLD_MGLRU
    _, plans = busy.play(Protect(), Protect().initial(), [1, 1, 1])
    for plan in plans:
        assert values(plan, "memory.min") == {"kubepods": 80 * MIB, "kubepods/shop": 72 * MIB}
    busy.features = NEW_MGLRU
    _, (plan,) = busy.play(Protect(), Protect().initial(), [1])
    assert values(plan, "memory.min") == {}


def test_what_a_kubelet_left_in_a_pod_without_a_share_above_counts_for_nothing(busy: Scene) -> None:
    busy.cgroups["kubepods"] |= {"memory_min": 0, "memory_low": 0, "memory_max": GIB}
    busy.change("shop", memory_min=64 * MIB)
    busy.features = OLD_MGLRU
    _, plans = busy.play(Protect(), Protect().initial(), [1, 1, 1])
    for plan in plans:
        assert values(plan, "memory.min") == {"kubepods": 72 * MIB, "kubepods/shop": 72 * MIB}


@pytest.mark.parametrize("what", ["streams", "no recursion", "beyond its part"])
def test_no_minimum_that_would_be_void_or_dangerous(busy: Scene, what: str) -> None:
    busy.features = OLD_MGLRU
    rung = Protect()
    if what == "streams":
        busy.change("shop", memory_current=120 * MIB, memory_stat={"file": 110 * MIB})
    elif what == "no recursion":
        busy.features = OLD_MGLRU - {"memory_recursiveprot"}
    else:
        rung = Protect(ProtectSettings(hard_percent=5))
    _, (plan,) = busy.play(rung, rung.initial(), [1])
    assert values(plan, "memory.min") == {}
    assert "kubepods/shop" in values(plan)
    assert ("kubepods/shop/app" in values(plan)) == (what == "no recursion")


def test_page_cache_inside_minimum_is_let_go_before_the_kernel_has_to_kill(busy: Scene) -> None:
    busy.features = OLD_MGLRU
    busy.change("shop", memory_stat={"file": 48 * MIB})
    memory, (plan,) = busy.play(Protect(), Protect().initial(), [1])
    assert values(plan, "memory.min")
    busy.meminfo = {"MemAvailable": 60 * MIB}
    memory, plans = busy.play(Protect(), memory, [1])
    assert values(plans[0], "memory.min") == {}
    assert values(plans[0]) == {"kubepods/shop": 72 * MIB}
    busy.meminfo = {}
    busy.change("shop", memory_min=0)  # as the enforcer brings it back
    _, plans = busy.play(Protect(), memory, [1] * 12)
    assert [bool(values(plan, "memory.min")) for plan in plans] == [False] * 9 + [True] * 3


def test_when_nobody_is_outranked_any_more_all_of_it_is_given_back(busy: Scene) -> None:
    memory, (plan,) = busy.play(Protect(), Protect().initial(), [1])
    assert plan.writes
    busy.gone("hog")
    memory, (plan,) = busy.play(Protect(), memory, [1])
    assert plan == Plan()


def test_minimum_too_where_others_may_swap_more_than_the_page_cache_at_stake(busy: Scene) -> None:
    busy.features = NEW_MGLRU
    busy.swap = GIB
    busy.change("shop", memory_stat={"file": 48 * MIB})
    busy.change("hog", memory_stat={"anon": 256 * MIB}, memory_swap_max=GIB)
    _, (plan,) = busy.play(Protect(), Protect().initial(), [1])
    assert values(plan, "memory.min")["kubepods/shop"] == 72 * MIB
    busy.change("hog", memory_swap_max=40 * MIB)
    busy.change("shop", memory_min=0)
    _, (plan,) = busy.play(Protect(), Protect().initial(), [1])
    assert values(plan, "memory.min") == {}


def test_a_pod_that_fills_its_limit_is_promised_what_the_guard_lets_pass_at_every_look(busy: Scene) -> None:
    busy.features = NEW_MGLRU
    busy.swap = GIB
    busy.cgroups["kubepods"] |= {"memory_min": 0, "memory_low": 0, "memory_max": GIB}
    busy.change("shop", memory_current=126 * MIB, memory_stat={"anon": 90 * MIB, "file": 36 * MIB})
    busy.change("shop", memory_stat={"file_mapped": 30 * MIB})
    busy.change("hog", memory_stat={"anon": 256 * MIB}, memory_swap_max=GIB)
    rung = Protect()
    memory, safe = rung.initial(), page_floor(int(128 * MIB * 0.9))
    for _ in range(3):
        situation = busy.situation(1)
        memory, plan = rung.decide(memory, situation)
        view = situation.view
        plan = refuse(plan, view.now, foresee(view, plan).now)
        busy.obey(plan)
        assert values(plan, "memory.min") == {"kubepods/shop": safe, "kubepods": safe}
        assert plan.advice == ()
    busy.features = OLD_MGLRU  # where less than all of it does nothing
    memory, plan = rung.decide(memory, busy.situation(1))
    assert values(plan, "memory.min") == {}
    assert values(plan)["kubepods/shop"] == 128 * MIB


def test_minimum_stays_while_a_storm_swaps_others_out(busy: Scene) -> None:
    busy.features = NEW_MGLRU
    busy.swap = GIB
    busy.change("shop", memory_stat={"file": 48 * MIB})
    busy.change("hog", memory_stat={"anon": 256 * MIB}, memory_swap_max=GIB)
    memory, (plan,) = busy.play(Protect(), Protect().initial(), [1])
    for left in (100, 40, 13):
        busy.change("hog", memory_stat={"anon": left * MIB}, memory_swap_current=(256 - left) * MIB)
        memory, (plan,) = busy.play(Protect(), memory, [1])
        assert values(plan, "memory.min")["kubepods/shop"] == 72 * MIB
    busy.change("hog", memory_stat={"anon": 11 * MIB})
    busy.meminfo = {"MemAvailable": 40 * MIB, "SwapCached": 120 * MIB, "Writeback": 120 * MIB}
    memory, (plan,) = busy.play(Protect(), memory, [1])
    assert values(plan, "memory.min")["kubepods/shop"] == 72 * MIB
    busy.meminfo = {}
    busy.change("shop", memory_min=0)  # as the enforcer brings it back
    memory, (plan,) = busy.play(Protect(), memory, [1])
    assert values(plan, "memory.min") == {}
    busy.change("hog", memory_stat={"anon": 40 * MIB})
    _, (plan,) = busy.play(Protect(), memory, [1])
    assert values(plan, "memory.min") == {}


def test_a_stall_that_protection_does_not_end_is_for_the_next_rung(busy: Scene) -> None:
    memory = Protect().initial()
    steps = []
    for _ in range(5):
        busy.stall("shop", 0.5)
        memory, (plan,) = busy.play(Protect(), memory, [1])
        steps.append(plan.stands[0].step)
    assert steps == ["act", "act", "act", "spent", "spent"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(*[st.integers(0, 900)] * 3, st.integers(0, 500), st.booleans()), min_size=1, max_size=60
    )
)
def test_however_pods_change_the_node_can_give_it_and_knobs_are_seldom_written(
    new_scene: type[Scene], turns: list[tuple[int, int, int, int, bool]]
) -> None:
    scene = new_scene(features=OLD_MGLRU)
    for priority, name in enumerate("abc"):
        scene.pod(name, priority=priority, request=64 * MIB * priority)
    rung, memory = Protect(), Protect().initial()
    last: dict[str, int] = {}
    lowered: dict[str, int] = {}
    for *sizes, cache, short in turns:
        for name, size in zip("abc", sizes, strict=True):
            scene.change(name, memory_current=size * MIB, memory_stat={"file": min(size, cache) * MIB})
        scene.meminfo = {"MemAvailable": 10 * MIB if short else 600 * MIB}
        memory, (plan,) = scene.play(rung, memory, [1])
        now, low, hard = scene.time_us, values(plan), values(plan, "memory.min")
        assert sum(low.values()) <= 0.75 * GIB
        assert sum(size for path, size in hard.items() if path != "kubepods") <= 0.5 * GIB
        assert "kubepods/a" not in {**low, **hard}
        assert not (short and hard)
        for path, promise in memory.promises.items():
            if path in last and promise.size < last[path]:
                assert now - lowered.get(path, -(10**12)) >= 30 * 10**6
            if promise.size != last.get(path):
                lowered[path] = now
        last = {path: promise.size for path, promise in memory.promises.items()}
