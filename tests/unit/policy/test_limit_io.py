from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.model.plan import Plan, Underway
from memqos.model.snapshot import FEATURES, IoMax, IoStat
from memqos.policy.io_settings import DiskSettings, IoSettings
from memqos.policy.limit_io import LimitIo
from memqos.units import GIB, MIB, UNLIMITED

Scene = Any
KIB = 1024


def limits(plan: Plan, path: str = "kubepods/hog", device: str = "8:0") -> IoMax | None:
    """What a plan wants of one pod on one disk; `None` when it does not touch the pod."""
    for write in plan.writes:
        assert write.knob == "io.max"
        if write.cgroup == path:
            assert isinstance(write.value, Mapping)
            return write.value.get(device)
    return None


class Node:
    """A scene and the rung, whose writes are obeyed."""

    def __init__(self, scene: Scene, **options: Any) -> None:
        self.scene, self.rung = scene, LimitIo(IoSettings(**options))
        self.memory = self.rung.initial()
        scene.serve("8:0", 0.0)
        scene.serve("8:16", 0.0)
        self.plan = self.look()

    def look(self, seconds: float = 1.0) -> Plan:
        self.memory, self.plan = self.rung.decide(self.memory, self.scene.situation(seconds))
        self.scene.obey(self.plan)
        for path, fields in self.scene.cgroups.items():
            if path not in {write.cgroup for write in self.plan.writes} and "io_max" in fields:
                fields["io_max"] = {}
        return self.plan

    def storm(self, stall: float = 0.2, read: int = 40 * MIB, wrote: int = 0) -> Plan:
        """Let a second pass in which the hog uses the disk and the shop waits for it."""
        self.scene.traffic(
            "hog", rbytes=read, rios=read // (128 * KIB), wbytes=wrote, wios=wrote // (128 * KIB)
        )
        self.scene.traffic("shop", rbytes=MIB, rios=32)
        self.scene.serve("8:0", 1.0)
        self.scene.stall("shop", stall, resource="io")
        return self.look()

    def storm_of_others(self) -> Plan:
        """Let a second pass in which the shop waits for whoever used the disk."""
        self.scene.traffic("shop", rbytes=MIB, rios=32)
        self.scene.serve("8:0", 1.0)
        self.scene.stall("shop", 0.2, resource="io")
        return self.look()

    def calm(self) -> Plan:
        self.scene.traffic("shop", rbytes=MIB, rios=32)
        return self.look()

    @property
    def level(self) -> float:
        return self.memory.grips["8:0"].level


@pytest.fixture
def node(busy: Scene) -> Node:
    node = Node(busy)
    node.calm()
    return node


def test_who_saturates_the_disk_of_a_more_important_pod_is_cut_to_half_at_once(node: Node) -> None:
    plan = node.storm()
    assert limits(plan) == IoMax(rbps=20 * MIB, wbps=20 * MIB)
    (write,) = plan.writes
    assert write.why == "50 % of what it would take of 8:0, for default/shop"
    victim, culprit = plan.stands
    assert (victim.subject, victim.step, culprit.subject, culprit.step) == (
        "default/shop",
        "act",
        "default/hog",
        "act",
    )
    assert victim.why == (
        "default/shop waits for the disk 20 % of the time; 98 % of the traffic of 8:0 is of default/hog, "
        "held at 50 % of it"
    )


def test_it_is_halved_down_to_the_floor_and_then_spent(node: Node) -> None:
    levels, steps = [], []
    for _ in range(14):
        plan = node.storm()
        levels.append(node.level)
        steps.append(plan.stands[0].step)
    assert levels[:7] == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.1]
    assert steps[-1] == "spent"
    assert limits(node.plan) == IoMax(rbps=4 * MIB, wbps=4 * MIB)


@pytest.mark.parametrize(("stall", "level"), [(0.15, 0.5), (0.4, 0.25), (0.95, 0.125)])
def test_the_longer_the_victim_waits_the_deeper_is_each_cut(node: Node, stall: float, level: float) -> None:
    node.storm(stall)
    assert node.level == pytest.approx(level)


def test_it_is_raised_step_by_step_after_calm_and_then_let_go(node: Node) -> None:
    node.storm()
    levels = []
    while node.calm().writes:
        levels.append(round(node.level, 1))
    assert levels[:10] == [0.5] * 10
    assert sorted(set(levels)) == [0.5, 0.6, 0.7, 0.8, 0.9]
    for _ in range(60):
        assert node.calm() == Plan()
    assert node.memory.grips == {}


def test_a_storm_that_comes_back_is_tried_ever_more_seldom(node: Node) -> None:
    node.storm()
    waits = []
    for _ in range(4):
        waits.append(0)
        level = node.level
        while node.level <= level:
            node.calm()
            waits[-1] += 1
        while node.level > level:
            node.storm()
        node.calm()
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]


def test_whoever_reads_for_itself_alone_limits_nobody(node: Node) -> None:
    for _ in range(5):
        node.scene.stall("shop", 0.9, resource="io")
        assert node.calm() == Plan()


def test_nobody_is_limited_on_a_disk_that_is_idle_half_of_the_time(node: Node) -> None:
    for _ in range(5):
        node.scene.traffic("hog", rbytes=20 * MIB, rios=160)
        node.scene.traffic("shop", rbytes=MIB, rios=32)
        node.scene.serve("8:0", 0.4)
        node.scene.stall("shop", 0.3, resource="io")
        plan = node.look()
    assert plan.writes == ()
    assert [stand.step for stand in plan.stands] == ["watch"]


def test_a_pod_that_only_just_begins_is_known_to_want_its_part_of_the_disk(node: Node) -> None:
    for _ in range(3):
        node.scene.traffic("shop", rbytes=40 * MIB, rios=320)
        node.look()
    for name in ("shop", "hog"):
        node.scene.traffic(name, rbytes=MIB, rios=32)
    node.scene.serve("8:0", 1.0)
    node.scene.stall("shop", 0.2, resource="io")
    assert limits(node.look()) == IoMax(rbps=10 * MIB, wbps=10 * MIB)


def test_a_pod_that_waits_as_long_when_left_alone_is_not_hurt(node: Node) -> None:
    for _ in range(40):
        node.scene.stall("shop", 0.5, resource="io")
        node.calm()
    plan = node.storm(stall=0.55)
    assert plan.writes == ()
    assert [stand.step for stand in plan.stands] == ["watch"]
    assert plan.stands[0].why.endswith("it waits 50 % alone")
    assert node.storm(stall=0.9).writes


def test_equals_and_betters_are_never_limited(scene: Scene) -> None:
    scene.pod("shop", priority=10)
    scene.pod("hog", priority=10)
    node = Node(scene)
    node.calm()
    for _ in range(5):
        assert node.storm() == Plan()


def test_a_limit_of_somebody_else_stays_and_the_tighter_one_holds(busy: Scene) -> None:
    theirs = {"8:0": IoMax(rbps=30 * MIB, wbps=5 * MIB), "8:16": IoMax(wiops=7)}
    node = Node(busy)
    node.calm()
    busy.change("hog", io_max=theirs)
    plan = node.storm()
    assert limits(plan) == IoMax(rbps=20 * MIB, wbps=5 * MIB)
    assert limits(plan, device="8:16") == IoMax(wiops=7)
    while (plan := node.calm()).writes:
        last = plan
    assert limits(last) == IoMax(rbps=30 * MIB, wbps=5 * MIB)


def test_the_limit_of_a_lower_rung_is_that_of_now_and_not_that_of_the_first_cut(busy: Scene) -> None:
    node = Node(busy)
    node.calm()
    for riops in (560, 240, UNLIMITED):
        busy.change("hog", io_max={"8:0": IoMax(riops=riops)})
        busy.traffic("hog", rbytes=40 * MIB, rios=320)
        busy.traffic("shop", rbytes=MIB, rios=32)
        busy.serve("8:0", 1.0)
        busy.stall("shop", 0.2, resource="io")
        situation = replace(busy.situation(), held=frozenset({("kubepods/hog", "io.max")}))
        node.memory, plan = node.rung.decide(node.memory, situation)
        limit = limits(plan)
        assert limit is not None
        assert limit.riops == riops
        assert limit.rbps < 40 * MIB


def test_when_a_lower_rung_lets_go_what_somebody_else_had_set_is_known(busy: Scene) -> None:
    node = Node(busy)
    node.calm()
    lower = frozenset({("kubepods/hog", "io.max")})
    for held, set_there in (
        (lower, IoMax(riops=560)),
        (lower, IoMax(wbps=MIB)),
        (frozenset(), IoMax(riops=9)),
    ):
        busy.change("hog", io_max={"8:0": set_there})
        busy.traffic("hog", rbytes=40 * MIB, rios=320)
        busy.traffic("shop", rbytes=MIB, rios=32)
        busy.serve("8:0", 1.0)
        busy.stall("shop", 0.2, resource="io")
        node.memory, plan = node.rung.decide(node.memory, replace(busy.situation(), held=held))
    limit = limits(plan)
    assert limit is not None
    assert (limit.wbps, limit.riops) == (MIB, UNLIMITED)


def test_small_requests_are_limited_by_number(node: Node) -> None:
    node.scene.traffic("hog", rbytes=8 * MIB, rios=2000)
    plan = node.storm(read=0)
    assert limits(plan) == IoMax(riops=1000, wiops=1000)


def test_fifty_small_ones_are_held_together_and_a_smaller_one_still_is_not(scene: Scene) -> None:
    scene.pod("shop", priority=1000)
    names = [f"hog-{number}" for number in range(50)]
    for name in (*names, "tiny"):
        scene.pod(name)
    node = Node(scene)
    for _ in range(12):
        for name in names:
            scene.traffic(name, rbytes=2 * MIB, rios=16)
        scene.traffic("tiny", rbytes=64 * KIB, rios=0)
        plan = node.storm_of_others()
    assert {write.cgroup for write in plan.writes} == {f"kubepods/{name}" for name in names}
    assert {limits(plan, f"kubepods/{name}") for name in names} == {IoMax(rbps=MIB // 2, wbps=MIB // 2)}


def test_a_short_burst_is_scaled_up_to_what_it_would_take(node: Node) -> None:
    node.scene.traffic("hog", rbytes=20 * MIB, rios=160)
    node.scene.traffic("shop", rbytes=MIB, rios=32)
    node.scene.serve("8:0", 0.5)
    node.scene.stall("shop", 0.2, resource="io")
    assert limits(node.look()) == IoMax(rbps=20 * MIB, wbps=20 * MIB)


def test_who_waits_to_have_its_memory_back_from_swap_has_the_swap_disk_relieved(busy: Scene) -> None:
    busy.swap = GIB
    node = Node(busy)
    node.calm()
    busy.traffic("hog", "8:16", rbytes=20 * MIB, rios=5120, wbytes=20 * MIB, wios=5120)
    busy.count("shop", "memory_stat", "workingset_refault_anon", 1000)
    busy.serve("8:16", 1.0)
    busy.stall("shop", 0.1)
    assert limits(node.look(), device="8:16") == IoMax(rbps=20 * MIB, wbps=20 * MIB)


@pytest.mark.parametrize(("spares", "files"), [(True, 10 * MIB), (False, UNLIMITED)])
def test_a_pod_that_pushes_out_pages_to_that_disk_is_braked_by_swap_high(
    busy: Scene, spares: bool, files: int
) -> None:
    busy.swap = GIB
    busy.features -= set() if spares else {"io.max spares swap"}
    busy.change("hog", memory_swap_high=UNLIMITED, memory_swap_max=UNLIMITED, memory_swap_current=50 * MIB)
    node = Node(busy)
    node.calm()
    for _ in range(2):
        busy.traffic("hog", "8:16", wbytes=20 * MIB, wios=5120)
        busy.change("hog", memory_swap_current=busy.cgroups["kubepods/hog"]["memory_swap_current"] + 20 * MIB)
        busy.traffic("shop", "8:16", rbytes=MIB, rios=32)
        busy.serve("8:16", 1.0)
        busy.stall("shop", 0.2, resource="io")
        plan = node.look()
        knobs = {write.knob: write for write in plan.writes}
        assert set(knobs) == {"io.max", "memory.swap.high"}
        high = knobs["memory.swap.high"].value
        assert isinstance(high, int)
        swapped = busy.cgroups["kubepods/hog"]["memory_swap_current"]
        assert swapped < high < swapped + 5 * MIB
        assert limits(Plan((knobs["io.max"],)), device="8:16") == IoMax(rbps=10 * MIB, wbps=files)
    assert knobs["memory.swap.high"].why == (
        "its swap may grow by about 10 MiB a second, for who waits for that disk"
    )


def test_a_disk_of_few_requests_brakes_swap_by_their_size(busy: Scene) -> None:
    busy.swap = GIB
    busy.change("hog", memory_swap_high=UNLIMITED, memory_swap_max=UNLIMITED, memory_swap_current=50 * MIB)
    busy.cgroups[""]["io_stat"] = {"8:16": IoStat()}
    node = Node(busy, disks=(DiskSettings("8:16", 40 * MIB, 400),))
    node.calm()
    said = []
    for size, writes in ((20 * MIB, 160), (4 * MIB, 320)):
        busy.traffic("hog", "8:16", wbytes=size, wios=size // 4096)
        busy.change("hog", memory_swap_current=busy.cgroups["kubepods/hog"]["memory_swap_current"] + size)
        busy.traffic("shop", "8:16", rbytes=MIB, rios=32)
        busy.serve("8:16", 1.0, writes=writes, wrote=size)
        busy.stall("shop", 0.2, resource="io")
        said += [write.why for write in node.look().writes if write.knob == "memory.swap.high"]
    assert said == [
        "its swap may grow by about 10 MiB a second, for who waits for that disk",
        "its swap may grow by about 2.5 MiB a second, for who waits for that disk",
    ]


def test_a_limited_pod_is_nobodys_victim(busy: Scene) -> None:
    busy.pod("least", priority=-5)
    node = Node(busy)
    node.calm()
    node.storm()
    for _ in range(5):
        busy.traffic("least", rbytes=10 * MIB, rios=80)
        busy.stall("hog", 0.9, resource="io")
        node.calm()
    assert limits(node.plan, "kubepods/least") is None


def test_without_the_knob_nothing_is_said(busy: Scene) -> None:
    busy.features = frozenset(FEATURES) - {"io.max"}
    node = Node(busy)
    assert node.storm() == Plan()


def test_a_pod_that_is_gone_is_let_go(node: Node) -> None:
    node.storm()
    node.scene.gone("hog")
    assert node.calm().writes == ()


second = st.tuples(
    st.sampled_from((0.0, 0.0, 0.03, 0.2, 0.9)), st.integers(0, 80), st.sampled_from((0.2, 1.0, 1.0, 3.0))
)


@given(seconds=st.lists(second, max_size=60))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_pressure_limits_have_a_cause_and_a_rhythm(
    seconds: list[tuple[float, int, float]], new_scene: Callable[[], Scene]
) -> None:
    scene = new_scene()
    scene.pod("shop", priority=1000)
    scene.pod("hog", memory_current=256 * MIB)
    node = Node(scene)
    held: IoMax | None = None
    changed_us, hurt_ever = -(10**12), False
    for stall, mib, elapsed in seconds:
        scene.traffic("hog", rbytes=mib * MIB, rios=8 * mib)
        scene.traffic("shop", rbytes=MIB, rios=32)
        scene.serve("8:0", min(1.0, elapsed))
        scene.stall("shop", stall * min(1.0, elapsed), resource="io")
        now = limits(node.look(elapsed))
        hurt_ever = hurt_ever or stall >= 0.1
        assert now is None or hurt_ever
        if now != held:
            assert now is None or scene.time_us - changed_us >= 2_000_000
            changed_us, held = scene.time_us, now
        assert now is None or MIB // 4 <= now.rbps <= UNLIMITED
        assert now is None or (now.wbps == now.rbps and now.riops == now.wiops == UNLIMITED)
    for _ in range(150):
        scene.traffic("shop", rbytes=MIB, rios=32)
        node.look(3.0)
    assert node.plan == Plan()


def test_who_was_told_to_go_is_let_go_of(node: Node) -> None:
    assert limits(node.storm()) is not None
    node.scene.underway = Underway(leaving=frozenset({"uid-hog"}))
    for _ in range(4):
        assert limits(node.storm()) is None


def test_a_volume_that_was_detached_keeps_no_limit_and_does_not_fail_the_other_disks(node: Node) -> None:
    plan = node.storm()
    assert limits(plan) == IoMax(rbps=20 * MIB, wbps=20 * MIB)
    node.scene.busy["8:32"] = node.scene.busy.pop("8:0")
    assert all(write.knob != "io.max" for write in node.calm().writes)
