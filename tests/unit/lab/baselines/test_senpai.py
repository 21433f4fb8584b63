import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.lab.baselines.senpai import Held, Senpai
from memqos.model.plan import Plan
from memqos.model.pods import PlacedPod, Pod
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Pressure, PressureLine, Snapshot
from memqos.model.view import View
from memqos.units import MIB, UNLIMITED

LAW = Senpai(least=8 * MIB)
PODS = (PlacedPod(Pod("default", "app", "u", ()), "kubepods/podu"),)


def snapshot(seconds: float, *, stalled: int, current: int = 100 * MIB, inode: int = 7) -> Snapshot:
    line = PressureLine(0.0, 0.0, 0.0, stalled)
    cgroup = Cgroup(
        path="kubepods/podu",
        inode=inode,
        memory_current=current,
        memory_high=UNLIMITED,
        memory_pressure=Pressure(line, line),
    )
    facts = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({}))
    return Snapshot(time_us=int(seconds * 1e6), boot_id="b", node=facts, cgroups={cgroup.path: cgroup})


def looked_at(*snapshots: Snapshot) -> list[Plan]:
    memory, last, plans = LAW.initial(), None, []
    for now in snapshots:
        memory, plan = LAW.decide(memory, View(now, last, PODS))
        last = now
        plans.append(plan)
    return plans


def test_it_begins_at_what_the_cgroup_holds_once_that_has_settled():
    plans = looked_at(*(snapshot(second, stalled=0, current=(50 + second) * MIB) for second in range(13)))
    assert [len(plan.writes) for plan in plans] == [0] * 11 + [1, 1]
    write = plans[11].writes[0]
    assert (write.knob, write.value, write.inode) == ("memory.high", 61 * MIB, 7)


def test_calm_lowers_the_limit_by_a_percent_at_every_sixth_tick():
    held, limits = Held(7, 100 * MIB), []
    for _ in range(12):
        held, _ = LAW.tick(held, held.limit or 0, 0)
        limits.append(held.limit)
    once = int(100 * MIB * 0.99) & ~4095
    assert limits == [100 * MIB] * 5 + [once] * 6 + [int(once * 0.99) & ~4095]


def test_near_the_target_it_hardly_lowers():
    held, _ = LAW.tick(Held(7, 100 * MIB, 10_000, 5), 100 * MIB, 0)
    assert held.limit == int(100 * MIB * (1 - 0.01 / 100)) & ~4095


@pytest.mark.parametrize(
    ("stalled", "factor"), [(20_000, 1.01), (100_000, 1.25), (200_000, 2.0), (10**7, 2.0)]
)
def test_over_the_target_it_raises_at_once_with_the_square_and_doubles_at_most(stalled: int, factor: float):
    held, _ = LAW.tick(Held(7, 100 * MIB), 100 * MIB, stalled)
    assert held == Held(7, int(100 * MIB * factor) & ~4095)


def test_a_cgroup_born_again_begins_anew():
    before = [snapshot(second, stalled=0) for second in range(12)]
    assert looked_at(*before)[-1].writes
    assert not looked_at(*before, snapshot(12, stalled=0, inode=8))[-1].writes


@given(st.lists(st.integers(0, 10**6), max_size=60))
def test_the_limit_stays_within_its_bounds_and_in_whole_pages(stalls: list[int]):
    law, held = Senpai(least=8 * MIB, most=1024 * MIB), Held(7, 100 * MIB)
    for stalled in stalls:
        held, _ = law.tick(held, held.limit or 0, stalled)
        assert held.limit is not None
        assert 8 * MIB <= held.limit <= 1024 * MIB
        assert held.limit % 4096 == 0
