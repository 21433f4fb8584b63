import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.model.plan import Plan, Underway
from memqos.model.snapshot import FEATURES, IoMax, IoStat
from memqos.policy.io_settings import DiskSettings, IoSettings
from memqos.policy.reserve_io import ReserveIo
from memqos.units import GIB, MIB

Scene = Any
DISK = DiskSettings(name="8:0", bytes_per_second=40 * MIB, requests_per_second=400)


def limit(plan: Plan, name: str = "hog", device: str = "8:0") -> IoMax | None:
    """What a plan wants of one pod on the disk; `None` when it does not touch the pod."""
    for write in plan.writes:
        assert write.knob == "io.max"
        if write.cgroup == f"kubepods/{name}":
            assert isinstance(write.value, Mapping)
            found = write.value.get(device)
            assert isinstance(found, IoMax)
            return found
    return None


class Node:
    """A scene and the rung, whose writes are obeyed."""

    def __init__(self, scene: Scene, disk: DiskSettings = DISK, device: str = "8:0") -> None:
        self.device = device
        self.scene, self.rung = scene, ReserveIo(IoSettings(disks=(disk,)))
        self.memory = self.rung.initial()
        scene.serve(device, 0.0)
        for name, priority in (("hog", 0), ("shop", 1000)):
            scene.pod(name, priority=priority)
        scene.cgroups[""].update(io_stat={device: IoStat()})
        self.plan = self.look()

    def look(self, seconds: float = 1.0) -> Plan:
        self.memory, self.plan = self.rung.decide(self.memory, self.scene.situation(seconds))
        self.scene.obey(self.plan)
        held = {write.cgroup for write in self.plan.writes}
        for path, fields in self.scene.cgroups.items():
            if path not in held and "io_max" in fields:
                fields["io_max"] = {}
        return self.plan

    def second(self, **requests: int) -> Plan:
        """Let a second pass in which pods read so many times 64 KiB."""
        for name, number in requests.items():
            self.scene.traffic(name, self.device, rbytes=number * 65536, rios=number)
        return self.look()


@pytest.fixture
def node(scene: Scene) -> Node:
    return Node(scene)


def test_who_matters_less_leaves_a_part_of_the_disk_free_beside_what_the_other_uses(node: Node) -> None:
    found = limit(node.second(hog=300, shop=80))
    assert found == IoMax(rbps=24 * MIB, wbps=24 * MIB, riops=220, wiops=220)
    assert node.plan.writes[0].why == "8:0 is kept free for default/shop"


def test_a_disk_that_is_swapped_to_is_read_half_as_much_and_swap_writes_are_not_limited(scene: Scene) -> None:
    scene.swap = GIB
    scene.features -= {"io.max spares swap"}
    node = Node(scene, DiskSettings("8:16", 40 * MIB, 400), "8:16")
    assert limit(node.second(hog=300, shop=80), device="8:16") == IoMax(rbps=12 * MIB, riops=220)


def test_where_swap_passes_the_limit_files_have_one_from_the_start(scene: Scene) -> None:
    scene.swap = GIB
    node = Node(scene, DiskSettings("8:16", 40 * MIB, 400), "8:16")
    found = limit(node.second(hog=300, shop=80), device="8:16")
    assert found == IoMax(rbps=12 * MIB, wbps=24 * MIB, riops=220)


def test_requests_that_the_disk_serves_as_one_count_as_one(node: Node) -> None:
    node.scene.serve("8:0", 0.2, reads=80 + 100)
    found = limit(node.second(hog=800, shop=80))
    assert found is not None
    assert found.riops == 8 * 220


def test_pages_of_swap_count_one_by_one_for_they_may_come_so(scene: Scene) -> None:
    scene.swap = GIB
    node = Node(scene, DiskSettings("8:16", 40 * MIB, 400), "8:16")
    scene.serve("8:16", 0.2, reads=80 + 100)
    found = limit(node.second(hog=800, shop=80), device="8:16")
    assert found is not None
    assert found.riops == 220


def test_a_limit_is_tightened_at_once_and_loosened_later(node: Node) -> None:
    def held(shop: int) -> int:
        found = limit(node.second(hog=200, shop=shop))
        assert found is not None
        return found.riops

    assert held(shop=40) == 260
    assert held(shop=150) == 140
    assert [held(shop=0) for _ in range(4)] == [140, 180, 180, 180]


def test_nobody_is_held_for_a_pod_that_hardly_uses_the_disk(node: Node) -> None:
    assert node.second(hog=400, shop=7) == Plan()


def test_nobody_is_held_for_who_matters_less_or_as_much(node: Node) -> None:
    node.scene.pod("shelf", priority=1000)
    plan = node.second(hog=100, shop=80, shelf=300)
    assert [write.cgroup for write in plan.writes] == ["kubepods/hog"]


def waiting(node: Node, milliseconds: float, seconds: int, **requests: int) -> list[int]:
    """Let seconds pass in which each request of `shop` waits so long; return what `hog` may read a second."""
    limits = []
    for _ in range(seconds):
        node.scene.stall("shop", requests["shop"] * milliseconds / 1000, resource="io")
        plan = node.second(**requests)
        found = limit(plan)
        limits.append(found.riops if found else 0)
    return limits


def test_the_room_shrinks_while_requests_take_longer_than_alone_and_grows_again(node: Node) -> None:
    waiting(node, 1.0, 10, shop=40)
    assert node.plan.writes == ()
    longer = waiting(node, 2.0, 12, shop=40, hog=200)
    assert longer[0] == 180  # 0.7 of 260
    assert longer == sorted(longer, reverse=True)
    assert 100 <= longer[-1] <= 120  # a quarter of the disk, or nearly
    assert "whose requests take longer than alone" in node.plan.writes[0].why
    assert len(set(longer)) <= 4
    as_alone = waiting(node, 1.0, 60, shop=40, hog=200)
    assert as_alone[5] == longer[-1]
    assert as_alone[-1] == 260


def test_requests_that_take_no_longer_than_alone_cost_nobody_anything(node: Node) -> None:
    waiting(node, 1.0, 10, shop=40)
    assert set(waiting(node, 1.2, 30, shop=40, hog=200)) == {260}


def test_what_a_request_takes_alone_is_not_learnt_beside_others(node: Node) -> None:
    assert set(waiting(node, 5.0, 20, shop=40, hog=200)) == {260}
    waiting(node, 1.0, 10, shop=40)
    assert min(waiting(node, 5.0, 20, shop=40, hog=200)) <= 120


def test_room_that_was_taken_is_given_back_when_it_comes_to_wait_for_another_disk(node: Node) -> None:
    waiting(node, 1.0, 10, shop=40)
    assert min(waiting(node, 2.0, 12, shop=40, hog=200)) <= 120
    for _ in range(40):
        node.scene.traffic("shop", "8:16", rbytes=MIB, rios=1)
        (found,) = waiting(node, 5.0, 1, shop=40, hog=200)
    assert found == 260


def test_room_that_proved_too_large_is_tried_ever_more_seldom(node: Node) -> None:
    waiting(node, 1.0, 10, shop=40)
    tried = []
    for second in range(600):
        (found,) = waiting(node, 1.0 if node.plan.writes and room(node) < 260 else 2.0, 1, shop=40, hog=200)
        if found == 260:
            tried.append(second)
    gaps = [later - sooner for sooner, later in itertools.pairwise(tried) if later - sooner > 2]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 3 * gaps[0]


def room(node: Node) -> int:
    found = limit(node.plan)
    return found.riops if found else 260


def test_what_it_waits_for_may_be_another_disk(node: Node) -> None:
    waiting(node, 1.0, 10, shop=40)
    for _ in range(20):
        node.scene.traffic("shop", "8:16", rbytes=MIB, rios=1)
        (found,) = waiting(node, 5.0, 1, shop=40, hog=200)
        assert found == 260


def test_two_share_what_there_is_and_the_smaller_one_leaves_the_other_the_rest(node: Node) -> None:
    node.scene.pod("pig")
    node.look()
    plan = node.second(hog=200, pig=40, shop=80)
    found = [limit(plan, name) for name in ("hog", "pig")]
    assert [each and each.riops for each in found] == [180, 100]


def test_however_much_the_other_uses_a_quarter_of_the_disk_is_left(node: Node) -> None:
    found = limit(node.second(hog=50, shop=390))
    assert found is not None
    assert found.riops == 100


def test_limits_stay_between_bursts_and_end_when_the_important_pod_is_quiet(node: Node) -> None:
    node.second(hog=300, shop=80)
    assert all(limit(node.second(hog=200)) for _ in range(10))
    node.second(hog=200)
    assert node.second(hog=200) == Plan()


def test_a_tighter_limit_of_somebody_else_stays(node: Node) -> None:
    node.scene.cgroups["kubepods/hog"]["io_max"] = {"8:0": IoMax(rbps=MIB)}
    node.scene.traffic("hog", rbytes=4 * MIB, rios=64)
    node.scene.traffic("shop", rbytes=4 * MIB, rios=80)
    found = limit(node.look())
    assert found is not None
    assert (found.rbps, found.wbps) == (MIB, 26 * MIB)


def test_one_disk_is_let_go_while_another_is_held(scene: Scene) -> None:
    node = Node(scene, DiskSettings("8:*", 40 * MIB, 400))
    scene.serve("8:32", 0.0)
    scene.cgroups[""]["io_stat"]["8:32"] = IoStat()
    for name in ("hog", "shop"):
        scene.traffic(name, "8:32", rios=200)
    assert limit(node.second(hog=300, shop=80), device="8:32") is not None
    for _ in range(11):
        node.second(hog=300, shop=80)
    assert limit(node.plan, device="8:0") is not None
    assert limit(node.plan, device="8:32") == IoMax()


def test_a_pod_that_was_told_to_go_is_let_go(node: Node) -> None:
    node.second(hog=300, shop=80)
    node.scene.underway = Underway(leaving=frozenset({"uid-hog"}))
    assert limit(node.second(hog=300, shop=80)) == IoMax()
    assert node.second(hog=300, shop=80) == Plan()


def test_what_somebody_else_had_set_is_the_last_that_is_written(node: Node) -> None:
    theirs = IoMax(wbps=MIB)
    node.scene.cgroups["kubepods/hog"]["io_max"] = {"8:0": theirs}
    assert limit(node.second(hog=300, shop=80)) not in (None, theirs)
    while (found := limit(node.second(hog=200))) != theirs:
        assert found is not None
    assert node.second(hog=200) == Plan()


def test_on_a_volume_that_was_detached_nothing_is_brought_back(node: Node) -> None:
    node.scene.cgroups["kubepods/hog"]["io_max"] = {"8:0": IoMax(wbps=MIB)}
    assert limit(node.second(hog=300, shop=80)) is not None
    node.scene.busy["8:32"] = node.scene.busy.pop("8:0")
    node.scene.cgroups["kubepods/hog"]["io_max"] = {}  # its line goes with the disk
    assert node.look() == Plan()


def test_a_pod_that_was_made_anew_is_not_given_what_the_old_one_had(node: Node) -> None:
    node.scene.cgroups["kubepods/hog"]["io_max"] = {"8:0": IoMax(wbps=MIB)}
    node.second(hog=300, shop=80)
    node.scene.change("hog", inode=99, io_max={}, io_stat={"8:0": IoStat()})
    for _ in range(12):
        node.second()
    assert node.plan == Plan()


def test_no_headroom_reserves_nothing(scene: Scene) -> None:
    disk = DiskSettings("8:0", 40 * MIB, 400, headroom_percent=0.0)
    assert Node(scene, disk).second(hog=300, shop=80) == Plan()


def test_a_kernel_without_io_max_is_left_alone(node: Node) -> None:
    node.scene.features = frozenset(FEATURES) - {"io.max"}
    assert node.second(hog=300, shop=80) == Plan()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*3 * [st.integers(0, 400)]), max_size=8))
def test_no_limit_takes_all_the_disk_or_less_than_an_equal_part_of_a_quarter(
    new_scene: Callable[[], Scene], uses: list[tuple[int, int, int]]
) -> None:
    node = Node(new_scene())
    node.scene.pod("pig")
    for hog, pig, shop in uses:
        node.second(hog=hog, pig=pig, shop=shop)
        for name in ("hog", "pig"):
            found = limit(node.plan, name)
            assert found is None or 40 <= found.riops <= 300
