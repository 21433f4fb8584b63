from typing import Any

import msgspec
import pytest

from memqos.model.plan import Plan, Write
from memqos.model.snapshot import Disk, IoMax, Snapshot, Swap, Zone
from memqos.policy.compose import foresee
from memqos.policy.guard import dangers, refuse
from memqos.units import GIB, MIB, UNLIMITED

Scene = Any


@pytest.fixture
def calm(scene: Scene) -> Scene:
    """Return a node with one pod and nothing dangerous about it."""
    scene.pod("shop", limit=100 * MIB, memory_current=60 * MIB)
    scene.change("shop", memory_stat={"anon": 40 * MIB, "file": 20 * MIB})
    return scene


def problems(now: Snapshot, *, io_limited: bool = True) -> list[str]:
    return [danger.problem for danger in dangers(now, io_limited=io_limited)]


def node(now: Snapshot, **fields: Any) -> Snapshot:
    return msgspec.structs.replace(now, node=msgspec.structs.replace(now.node, **fields))


def test_a_calm_node_is_in_no_danger(calm: Scene) -> None:
    assert problems(calm.look().now) == []


def test_memory_min_as_high_as_memory_max_is_dangerous(calm: Scene) -> None:
    calm.change("shop", memory_min=100 * MIB)
    (problem,) = problems(calm.look().now)
    assert problem == "memory.min is as high as memory.max, 100 MiB: its page cache can cause an OOM kill"


def test_memory_high_below_what_cannot_be_reclaimed_is_dangerous(calm: Scene) -> None:
    calm.change("shop", memory_high=30 * MIB)
    (problem,) = problems(calm.look().now)
    assert "memory.high of 30 MiB is below what cannot be reclaimed" in problem


def test_it_is_not_where_the_pod_may_swap(calm: Scene) -> None:
    calm.swap = GIB
    calm.change("shop", memory_high=30 * MIB, memory_swap_max=UNLIMITED)
    assert problems(calm.look().now) == []


def test_a_limit_that_the_heap_nearly_fills_is_dangerous_without_swap(calm: Scene) -> None:
    calm.change("shop", memory_current=98 * MIB, memory_stat={"anon": 97 * MIB, "file": MIB})
    (problem,) = problems(calm.look().now)
    assert "nearly fills memory.max, 100 MiB" in problem


def test_large_watermarks_are_dangerous_without_swap_only(calm: Scene) -> None:
    zones = (Zone(0, "Normal", free=1000, min=100, low=5_000, high=60_000, managed=250_000),)
    (problem,) = problems(node(calm.look().now, zones=zones))
    assert problem == "24 % of memory lie below the watermarks and there is no swap: it may livelock"
    calm.swap = GIB
    assert problems(node(calm.look().now, zones=zones)) == []


def test_memory_min_as_high_as_the_limit_above_it_is_dangerous_too(calm: Scene) -> None:
    container = calm.cgroups["kubepods/shop/app"]
    container.update(memory_min=100 * MIB, memory_max=UNLIMITED)
    (danger,) = dangers(calm.look().now)
    assert danger.problem.startswith("memory.min is as high as the memory.max of kubepods/shop, 100 MiB")
    assert (danger.subject, danger.knob, danger.safe) == ("kubepods/shop/app", "memory.min", 90 * MIB)


def test_memory_min_below_every_limit_is_none(calm: Scene) -> None:
    calm.cgroups["kubepods/shop/app"].update(memory_min=94 * MIB, memory_max=UNLIMITED)
    calm.pod("free", memory_min=500 * MIB)
    assert problems(calm.look().now) == []


def slow(view: Any, filename: str, device: str | None, **fields: Any) -> Snapshot:
    """The node with swap on a disk that takes 53 ms a request."""
    disk = Disk("253:0", "vdb", 500, 0, 500, 0, 0, 0, weighted_time_us=53_000_000)
    swaps = (Swap(filename, "file", GIB, 0, -2, device),)
    return node(view.now, **{"disks": {"253:0": disk}, "swaps": swaps, **fields})


@pytest.mark.parametrize(
    ("filename", "device", "named"),
    [
        ("/dev/vdb", None, "/dev/vdb"),
        ("/dev/vdb", "253:0", "/dev/vdb"),
        ("/dev/vdb2", "253:0", "/dev/vdb2 on vdb"),
        ("/swap.img", "253:0", "/swap.img on vdb"),
    ],
)
def test_swap_on_a_slow_disk_is_dangerous_where_nothing_limits_it(
    calm: Scene, filename: str, device: str | None, named: str
) -> None:
    now = slow(calm.look(), filename, device)
    assert problems(now) == []
    assert problems(now, io_limited=False) == [f"{named} takes 50 ms a request and nothing limits who swaps"]


def test_no_policy_limits_anybody_on_a_kernel_without_io_max(calm: Scene) -> None:
    calm.features -= {"io.max"}
    assert "nothing limits who swaps" in problems(slow(calm.look(), "/dev/vdb", "253:0"))[0]


def test_swap_is_none_on_a_disk_that_is_fast_unknown_or_hardly_used(calm: Scene) -> None:
    for disk in (
        Disk("253:0", "vdb", 5000, 0, 5000, 0, 0, 0, weighted_time_us=53_000_000),
        Disk("253:0", "vdb", 50, 0, 10, 0, 0, 0, weighted_time_us=53_000_000),
        Disk("253:16", "vdc", 500, 0, 500, 0, 0, 0, weighted_time_us=53_000_000),
    ):
        now = slow(calm.look(), "/dev/vdb", "253:0", disks={disk.device: disk})
        assert problems(now, io_limited=False) == []


def test_swap_is_none_where_somebody_limits_that_disk(calm: Scene) -> None:
    calm.change("shop", io_max={"253:0": IoMax(wbps=MIB)})
    assert problems(slow(calm.look(), "/dev/vdb", "253:0"), io_limited=False) == []
    calm.change("shop", io_max={"253:0": IoMax(), "8:0": IoMax(wbps=MIB)})
    assert problems(slow(calm.look(), "/dev/vdb", "253:0"), io_limited=False) != []
    calm.cgroups[""]["io_cost_qos"] = {"253:0": "enable=1 ctrl=user"}
    assert problems(slow(calm.look(), "/dev/vdb", "253:0"), io_limited=False) == []


def test_where_the_node_has_no_swap_the_remedy_says_so(calm: Scene) -> None:
    calm.change("shop", memory_current=98 * MIB, memory_stat={"anon": 97 * MIB, "file": MIB})
    (danger,) = dangers(calm.look().now)
    assert "give the node swap and let the pod swap" in danger.remedy
    calm.swap = GIB
    (danger,) = dangers(calm.look().now)
    assert "or let the pod swap: annotation memqos.dev/swap-limit" in danger.remedy


def test_a_dangerous_write_is_made_safe_or_left_out_and_told(calm: Scene) -> None:
    low = Write("kubepods/shop", "memory.min", 100 * MIB, "tiered", "kubelet")
    high = Write("kubepods/shop", "memory.high", 30 * MIB, "throttled", "throttle")
    fine = Write("kubepods/shop", "memory.low", 10 * MIB, "protected", "protect")
    plan, view = Plan((low, high, fine)), calm.look()
    safe = refuse(plan, view.now, foresee(view, plan).now)
    assert [(write.knob, write.value) for write in safe.writes] == [
        ("memory.min", 90 * MIB),
        ("memory.low", 10 * MIB),
    ]
    assert "not what was asked for" in safe.writes[0].why
    assert ["kubelet wanted it" in one.problem for one in safe.advice] == [True, False]
    assert "throttle wanted it; memqos does not write it" in safe.advice[1].problem


def test_what_others_set_is_told_and_left_as_it_is(calm: Scene) -> None:
    calm.change("shop", memory_high=30 * MIB)
    fine = Write("kubepods/shop", "memory.low", 10 * MIB, "protected", "protect")
    now = calm.look().now
    safe = refuse(Plan((fine,)), now, now)
    assert safe.writes == (fine,)
    assert [one.subject for one in safe.advice] == ["kubepods/shop"]


def test_a_safe_plan_stays_the_very_same(calm: Scene) -> None:
    plan = Plan((Write("kubepods/shop", "memory.low", MIB, "protected", "protect"),))
    now = calm.look().now
    assert refuse(plan, now, now) is plan


def test_a_limit_that_is_nearly_filled_stays_and_is_told(calm: Scene) -> None:
    """A knob that drops out of a plan goes back to what it was: to no limit, just when the pod runs away."""
    calm.change("shop", memory_current=98 * MIB, memory_stat={"anon": 97 * MIB, "file": MIB})
    plan, view = Plan((Write("kubepods/shop", "memory.max", 100 * MIB, "its limit", "kubelet"),)), calm.look()
    safe = refuse(plan, view.now, foresee(view, plan).now)
    assert safe.writes == plan.writes
    (told,) = safe.advice
    assert "nearly fills memory.max, 100 MiB" in told.problem
    assert "kubelet wanted it" not in told.problem


def test_a_limit_is_not_lowered_to_what_the_pod_cannot_give_up(calm: Scene) -> None:
    calm.change(
        "shop", memory_max=200 * MIB, memory_current=98 * MIB, memory_stat={"anon": 97 * MIB, "file": MIB}
    )
    plan, view = Plan((Write("kubepods/shop", "memory.max", 90 * MIB, "its limit", "kubelet"),)), calm.look()
    safe = refuse(plan, view.now, foresee(view, plan).now)
    assert [(write.knob, write.value) for write in safe.writes] == [("memory.max", 200 * MIB)]
    assert "kubelet wanted it; memqos leaves what is there" in safe.advice[0].problem


@pytest.mark.parametrize(("there", "policy"), [(20, "kubelet"), (20, "relax"), (30, "relax")])
def test_a_memory_high_that_is_raised_is_not_refused_for_being_too_low_still(
    calm: Scene, there: int, policy: str
) -> None:
    calm.change("shop", memory_high=there * MIB)
    plan, view = Plan((Write("kubepods/shop", "memory.high", 30 * MIB, "lent", policy),)), calm.look()
    safe = refuse(plan, view.now, foresee(view, plan).now)
    assert safe.writes == plan.writes
    assert "memory.high of 30 MiB is below what cannot be reclaimed" in safe.advice[0].problem


@pytest.mark.parametrize("there", [30, 80])
def test_one_that_held_already_is_refused_once_it_is_too_low(calm: Scene, there: int) -> None:
    calm.change("shop", memory_high=there * MIB)
    plan, view = Plan((Write("kubepods/shop", "memory.high", 30 * MIB, "held", "throttle"),)), calm.look()
    assert refuse(plan, view.now, foresee(view, plan).now).writes == ()
