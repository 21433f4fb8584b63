from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.model.plan import Outcome, Plan, Reclaim, Underway, Write
from memqos.policy.reclaim import ReclaimEarly, ReclaimMemory
from memqos.policy.reclaim_settings import ReclaimSettings
from memqos.policy.swap_budget import DAY_US
from memqos.units import GIB, MIB

Scene = Any
PAGE = 4096


def idle_pod(scene: Scene, name: str = "batch", size: int = 256 * MIB, **fields: Any) -> None:
    known = {"memory_current": size, "memory_stat": {"anon": size}, "memory_swap_max": GIB, **fields}
    scene.pod(name, **known)


def first_order(scene: Scene, rung: ReclaimEarly) -> tuple[ReclaimMemory, Plan]:
    """Let time pass until the rung gives its first order: a new pod is let start."""
    memory, plans = scene.play(rung, rung.initial(), [1] * 6)
    assert [bool(plan.writes) for plan in plans] == [False] * 5 + [True]
    return memory, plans[-1]


class World:
    """Carries out orders at the turn after: `hot` bytes of a pod come back at once when they are taken."""

    def __init__(self, scene: Scene, rung: ReclaimEarly, hot: int = 0) -> None:
        self.scene, self.rung, self.hot = scene, rung, hot
        self.memory: ReclaimMemory = rung.initial()
        self.ordered: list[tuple[int, Write]] = []
        self.running: dict[str, Write] = {}

    def turn(self, seconds: float = 1.0) -> Plan:
        ended = [self._carried_out(write) for write in self.running.values()]
        self.scene.underway = Underway(ended=tuple(ended))
        self.memory, plan = self.rung.decide(self.memory, self.scene.situation(seconds))
        self.running = {write.cgroup: write for write in plan.writes}
        self.ordered += [(self.scene.time_us, write) for write in plan.writes]
        return plan

    def _carried_out(self, write: Write) -> Outcome:
        name, size = write.cgroup.rpartition("/")[2], write.value.size  # type: ignore[union-attr]
        cgroup = self.scene.cgroups[write.cgroup]
        anon = cgroup["memory_stat"]["anon"]
        back = min(size, max(0, self.hot - (anon - size)))
        self.scene.count(name, "memory_stat", "workingset_refault_anon", back // PAGE)
        self.scene.change(
            name,
            memory_current=cgroup["memory_current"] - size + back,
            memory_stat={"anon": anon - size + back},
            memory_swap_current=cgroup["memory_swap_current"] + size - back,
        )
        return Outcome(write, "written", None, replace(write.value, size=size))  # type: ignore[type-var]

    def anon(self, name: str = "batch") -> int:
        return int(self.scene.cgroups[f"kubepods/{name}"]["memory_stat"]["anon"])


def test_most_of_an_idle_heap_is_taken_within_seconds(scene: Scene) -> None:
    scene.swap = GIB
    idle_pod(scene)
    world = World(scene, ReclaimEarly(), hot=64 * MIB)
    for _ in range(25):
        world.turn()
    assert world.anon() < 112 * MIB  # three quarters of what is idle


def test_memory_in_use_costs_a_small_try_now_and_then(scene: Scene) -> None:
    scene.swap = GIB
    idle_pod(scene)
    world = World(scene, ReclaimEarly(), hot=256 * MIB)
    for _ in range(300):
        world.turn()
    assert 1 <= len(world.ordered) <= 9
    assert sum(write.value.size for _, write in world.ordered) <= 9 * MIB  # type: ignore[union-attr]


def test_the_first_refaults_end_the_order_in_the_same_turn(scene: Scene) -> None:
    scene.swap = GIB
    idle_pod(scene)
    rung = ReclaimEarly()
    memory, plan = first_order(scene, rung)
    scene.underway = Underway(reclaiming=frozenset({"kubepods/batch"}))
    memory, plan = rung.decide(memory, scene.situation())
    assert plan.writes  # it still runs, so it is still asked for
    scene.count("batch", "memory_stat", "workingset_refault_anon", MIB // PAGE)
    memory, plan = rung.decide(memory, scene.situation())
    assert plan.writes == ()


def test_nothing_is_taken_without_a_way_or_a_cause(scene: Scene) -> None:
    rung = ReclaimEarly()
    idle_pod(scene, "no-swap", memory_swap_max=0)
    idle_pod(scene, "cache", memory_stat={"file": 250 * MIB, "anon": 0})
    idle_pod(scene, "kept", memory_low=300 * MIB)
    _, plans = scene.play(rung, rung.initial(), [1] * 5)
    assert all(not plan.writes for plan in plans)
    scene.swap = GIB
    _, plans = scene.play(rung, rung.initial(), [1] * 5)
    assert all(not plan.writes for plan in plans)


def test_page_cache_of_the_less_important_goes_before_the_node_runs_out(busy: Scene) -> None:
    busy.change("hog", memory_current=800 * MIB, memory_stat={"file": 790 * MIB})
    busy.change("shop", memory_stat={"file": 60 * MIB})
    busy.meminfo = {"MemFree": 8 * MIB}
    busy.stall("shop", 0.5)
    busy.look()
    busy.situation()
    busy.stall("shop", 0.5)
    rung = ReclaimEarly()
    _, (plan,) = busy.play(rung, rung.initial(), [1])
    (write,) = plan.writes
    assert write.cgroup == "kubepods/hog"
    assert write.value.swappiness == 0
    assert "free memory runs out" in write.why
    assert write.value.size == 24 * MIB
    busy.meminfo = {"MemFree": 160 * MIB}
    _, (plan,) = busy.play(rung, rung.initial(), [1])
    assert plan.writes == ()


def test_a_stream_makes_room_for_itself_and_a_quiet_cache_is_left(scene: Scene) -> None:
    for priority, name in enumerate(("quiet", "stream", "shop")):
        scene.pod(name, priority=priority, memory_current=300 * MIB, memory_stat={"file": 290 * MIB})
    scene.meminfo = {"MemFree": 4 * MIB}
    rung = ReclaimEarly()
    memory, _ = scene.play(rung, rung.initial(), [1])
    scene.count("stream", "memory_stat", "pgsteal", 32 * MIB // PAGE)
    _, (plan,) = scene.play(rung, memory, [1])
    (write,) = plan.writes
    assert write.cgroup == "kubepods/stream"
    assert write.value == Reclaim(28 * MIB, 0)


def test_a_kernel_without_swappiness_gets_one_order_for_both_kinds(scene: Scene) -> None:
    scene.swap = GIB
    scene.features = frozenset({"memory.reclaim"})
    idle_pod(scene)
    rung = ReclaimEarly()
    _, plan = first_order(scene, rung)
    assert plan.writes[0].value.swappiness is None
    scene.features = frozenset()
    assert scene.play(rung, rung.initial(), [1])[1] == [Plan()]


def test_nothing_goes_to_swap_while_a_more_important_pod_waits_for_the_disk(busy: Scene) -> None:
    busy.swap = GIB
    busy.change("hog", memory_stat={"anon": 256 * MIB}, memory_swap_max=GIB)
    rung = ReclaimEarly()
    memory, plan = first_order(busy, rung)
    busy.underway = Underway(reclaiming=frozenset({"kubepods/hog"}))
    busy.stall("shop", 0.8, resource="io")
    memory, plan = rung.decide(memory, busy.situation())
    assert plan.writes == ()


def test_a_pod_in_need_sees_when_nothing_more_can_be_taken(busy: Scene) -> None:
    busy.change("hog", memory_stat={"anon": 256 * MIB})
    rung = ReclaimEarly()
    memory = rung.initial()
    for _ in range(3):
        busy.stall("shop", 0.5)
        memory, (plan,) = busy.play(rung, memory, [1])
    (stand,) = plan.stands
    assert (stand.subject, stand.step) == ("default/hog", "spent")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.floats(0.15, 3),
            st.integers(0, 4000),
            st.floats(0, 1),
            st.sampled_from(["run", "written", "partial", "gone", "lost"]),
        ),
        min_size=5,
        max_size=80,
    ),
    st.integers(0, 64 * MIB),
    st.integers(0, 256 * MIB),
)
def test_whatever_comes_the_budget_holds_and_no_order_follows_a_sign(
    new_scene: type[Scene],
    turns: list[tuple[float, int, float, str]],
    per_second: int,
    per_day: int,
) -> None:
    scene = new_scene(swap=4 * GIB, time_us=DAY_US - 20 * 10**6)
    idle_pod(scene, size=512 * MIB)
    rung = ReclaimEarly(ReclaimSettings(swap_writes_per_second=per_second, swap_writes_per_day=per_day))
    memory, running = rung.initial(), None
    began: list[tuple[int, int]] = []
    last_sign = None
    for seconds, refaults, stall, fate in turns:
        scene.count("batch", "memory_stat", "workingset_refault_anon", refaults)
        scene.stall("batch", stall * seconds)
        ended: tuple[Outcome, ...] = ()
        if running is not None and fate in ("written", "partial", "gone"):
            size = running.value.size // (1 if fate == "written" else 2)
            ended = (Outcome(running, fate, None, Reclaim(size)),)
            running = None
        elif fate == "lost":
            running = None
        scene.underway = Underway(frozenset({running.cgroup} if running else ()), ended)
        memory, plan = rung.decide(memory, scene.situation(seconds))
        assert len(plan.writes) <= 1
        if refaults * PAGE > MIB * 16:
            last_sign = scene.time_us
            assert plan.writes == ()
        for write in plan.writes:
            if running is None:
                began.append((scene.time_us, write.value.size))
                assert last_sign is None or scene.time_us - last_sign >= 2 * 10**6
            running = write
        if not plan.writes:
            running = None
    for index, (start, _) in enumerate(began):
        for end, _ in began[index:]:
            taken = sum(size for at, size in began if start <= at <= end)
            assert taken <= per_second * ((end - start) / 1e6 + 1) + 1
    for day in (0, 1):
        assert sum(size for at, size in began if at // DAY_US == day) <= per_day


def test_what_a_pod_waited_for_memory_that_came_back_is_paid_off_before_more_is_taken(scene: Scene) -> None:
    scene.swap = GIB
    idle_pod(scene)
    world = World(scene, ReclaimEarly(ReclaimSettings(tolerance_percent=2)), hot=0)
    for _ in range(12):
        world.turn()
    begun = len(world.ordered)
    scene.count("batch", "memory_stat", "workingset_refault_anon", 32 * MIB // PAGE)
    scene.stall("batch", 1.0, resource="io")
    for _ in range(35):  # 0.26 s were saved up
        world.turn()
    assert len(world.ordered) == begun
    for _ in range(10):
        world.turn()
    assert len(world.ordered) > begun


def test_an_order_that_was_stopped_is_not_given_again_while_it_ends(scene: Scene) -> None:
    scene.swap = GIB
    idle_pod(scene)
    rung = ReclaimEarly()
    memory, plan = first_order(scene, rung)
    (order,) = plan.writes
    scene.count("batch", "memory_stat", "workingset_refault_anon", MIB // PAGE)
    scene.underway = Underway(reclaiming=frozenset({"kubepods/batch"}))
    memory, plans = scene.play(rung, memory, [1] * 5)
    assert all(not plan.writes for plan in plans)
    scene.underway = Underway(ended=(Outcome(order, "stopped", None, Reclaim(8 * MIB)),))
    memory, _ = scene.play(rung, memory, [1])
    assert 7 * MIB < memory.pods["kubepods/batch"].taken <= 8 * MIB


def test_memory_that_was_idle_and_is_used_again_ends_the_search_for_a_moment_only(scene: Scene) -> None:
    scene.swap = GIB
    idle_pod(scene)
    world = World(scene, ReclaimEarly(), hot=64 * MIB)
    for _ in range(60):
        world.turn()
    scene.change("batch", memory_current=200 * MIB, memory_stat={"anon": 200 * MIB})
    scene.count("batch", "memory_stat", "workingset_refault_anon", 100 * MIB // PAGE)
    before = len(world.ordered)
    for _ in range(20):
        world.turn()
    assert len(world.ordered) > before
    assert world.anon() < 130 * MIB
