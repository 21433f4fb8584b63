from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from memqos.model.snapshot import IoStat
from memqos.policy.history import Sample
from memqos.policy.importance import importance
from memqos.units import MIB

Scene = Any


def test_nothing_is_known_at_the_first_look(busy: Scene) -> None:
    busy.stall("shop", 5.0)
    shop = busy.situation().signals.pod("default/shop")
    assert (shop.over_us, shop.share("memory_some_us"), shop.growth) == (0, 0.0, 0.0)


def test_a_stall_share_is_what_the_total_grew_by_over_the_window(busy: Scene) -> None:
    busy.situation()
    busy.stall("shop", 0.25, full=0.1)
    shop = busy.situation().signals.pod("default/shop")
    assert shop.share("memory_some_us") == pytest.approx(0.25)
    assert shop.share("memory_full_us") == pytest.approx(0.1)


def test_looks_close_together_are_measured_over_a_whole_window(busy: Scene) -> None:
    busy.situation()
    for _ in range(10):
        busy.situation(0.2)
    busy.stall("shop", 0.2)
    shop = busy.situation(0.2).signals.pod("default/shop")
    assert shop.over_us == 1_000_000
    assert shop.share("memory_some_us") == pytest.approx(0.2)


def test_a_storm_of_looks_keeps_few_moments(busy: Scene) -> None:
    for _ in range(500):
        busy.situation(0.01)
    assert len(busy.history.moments) <= 30


def test_another_boot_begins_anew(busy: Scene) -> None:
    busy.situation()
    busy.boot_id = "other"
    assert busy.situation().signals.over_us == 0


def test_a_cgroup_born_again_has_no_rates(busy: Scene) -> None:
    busy.situation()
    busy.change("shop", inode=99, memory_current=0)
    assert busy.situation().signals.pod("default/shop").over_us == 0


def test_the_most_important_pods_come_first_and_the_least_is_below_all(busy: Scene) -> None:
    busy.pod("batch", priority=-5)
    signals = busy.situation().signals
    assert [pod.key for pod in signals.pods] == ["default/shop", "default/hog", "default/batch"]
    assert [pod.key for pod in signals.below(signals.pods[0].importance)] == ["default/batch", "default/hog"]


def test_of_equal_priority_the_qos_class_decides(scene: Scene) -> None:
    scene.pod("besteffort")
    scene.pod("burstable", request=MIB)
    ranks = [importance(placed.pod) for placed in scene.pods]
    assert ranks[0] < ranks[1]


def test_traffic_is_per_second_and_per_device(busy: Scene) -> None:
    busy.situation()
    busy.traffic("hog", rbytes=20 * MIB, rios=100)
    hog = busy.situation(2.0).signals.pod("default/hog")
    assert hog.io == {"8:0": IoStat(rbytes=10 * MIB, rios=50)}


def test_anonymous_memory_counts_as_unreclaimable_but_for_what_may_swap(busy: Scene) -> None:
    busy.swap = 512 * MIB
    busy.change("hog", memory_stat={"anon": 200 * MIB, "file": 40 * MIB}, memory_swap_max=50 * MIB)
    busy.change("hog", memory_swap_current=20 * MIB)
    hog = busy.situation().signals.pod("default/hog")
    assert hog.swappable == 30 * MIB
    assert hog.unreclaimable == 170 * MIB


def test_a_pod_born_within_the_window_is_measured_since_it_was_first_seen(busy: Scene) -> None:
    for _ in range(3):
        busy.situation()
    busy.pod("new")
    busy.situation(0.4)
    busy.stall("new", 0.2)
    new = busy.situation(0.4).signals.pod("default/new")
    assert new.over_us == 400_000
    assert new.share("memory_some_us") == pytest.approx(0.5)


FILES = (
    "memory_current",
    "memory_swap_current",
    "memory_stat",
    "memory_events",
    "memory_pressure",
    "io_pressure",
    "io_stat",
)


@pytest.mark.parametrize("blind", [FILES, *((file,) for file in FILES)])
def test_a_file_that_could_not_be_read_once_makes_no_life_of_a_second(
    busy: Scene, blind: tuple[str, ...]
) -> None:
    """After such a look all of a pod's stalls and traffic would be the next second's."""
    for resource in ("memory", "io"):
        busy.stall("shop", 100.0, resource=resource)
    for key in ("workingset_refault_file", "workingset_refault_anon", "pgsteal"):
        busy.count("shop", "memory_stat", key, 10**6)
    busy.count("shop", "memory_events", "max", 10**6)
    busy.traffic("shop", rbytes=10**12, rios=10**6)
    busy.change("shop", memory_swap_current=50 * MIB)
    busy.situation()
    whole = busy.look()
    shop = structs.replace(whole.now.cgroups["kubepods/shop"], **dict.fromkeys(blind))
    cgroups = {**whole.now.cgroups, shop.path: shop}
    busy.history = busy.history.after(replace(whole, now=structs.replace(whole.now, cgroups=cgroups)))
    situation = busy.situation()
    seen = situation.signals.pod("default/shop")
    assert seen is not None
    assert (seen.growth, seen.refaults, seen.io) == (0.0, 0.0, {})
    assert {name: seen.rate(name) for name in Sample._fields[1:-1]} == dict.fromkeys(
        Sample._fields[1:-1], 0.0
    )
    assert situation.troubles.of == {}
