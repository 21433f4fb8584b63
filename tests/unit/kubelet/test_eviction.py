import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.kubelet.critical import is_critical_pod
from memqos.kubelet.eviction import (
    EvictionConfig,
    EvictionState,
    Observation,
    admit,
    effective_grace_seconds,
    synchronize,
)
from memqos.kubelet.thresholds import (
    ALLOCATABLE_MEMORY_AVAILABLE,
    MEMORY_AVAILABLE,
    SignalObservation,
    Threshold,
    parse_min_reclaim,
    parse_value,
)
from memqos.units import GIB, KIB, MIB

SECOND = 10**6
MINUTE = 60 * SECOND


def hard(value="1Gi", signal=MEMORY_AVAILABLE, reclaim=None):
    return Threshold(signal, parse_value(value), 0, parse_min_reclaim(reclaim) if reclaim else None)


def soft(value="2Gi", grace=MINUTE):
    return Threshold(MEMORY_AVAILABLE, parse_value(value), grace)


class Manager:
    """Plays passes one after another, with one BestEffort pod of 1 MiB unless others are given."""

    def __init__(self, *thresholds, pods, transition=5 * MINUTE, max_grace=0):
        self.config = EvictionConfig(thresholds, max_grace, transition)
        self.state = EvictionState()
        self.pods = tuple(pods)
        self.now = 10**12

    def look(self, available, *, after=10 * SECOND, stale=False, signal=MEMORY_AVAILABLE, used=None):
        time = self.state.signals[signal].time_us if stale else self.now + after
        self.now += after
        stats = {pod.uid: MIB for pod in self.pods} if used is None else used
        seen = Observation({signal: SignalObservation(available, 8 * GIB, time)}, self.pods, stats)
        self.state, decision = synchronize(self.config, self.state, seen, self.now)
        return decision


@pytest.fixture
def manager(pod):
    return lambda *thresholds, **fields: Manager(*thresholds, **{"pods": [pod()], **fields})


def pressed(decision):
    return decision.conditions == {"MemoryPressure"}


def test_nothing_happens_above_the_threshold(manager):
    decision = manager(hard()).look(GIB)
    assert decision.conditions == frozenset()
    assert decision.eviction is None


def test_below_a_hard_threshold_a_pod_is_killed_within_a_second(manager):
    decision = manager(hard()).look(GIB - 1)
    assert decision.eviction.pod.name == "pod"
    assert decision.eviction.grace_seconds == 1
    assert pressed(decision)


def test_a_soft_threshold_raises_the_condition_at_once_and_evicts_after_its_grace_period(manager):
    node = manager(soft(grace=15 * SECOND))
    first, second, third = (node.look(GIB) for _ in range(3))
    assert [pressed(each) for each in (first, second, third)] == [True] * 3
    assert [each.eviction is not None for each in (first, second, third)] == [False, False, True]


def test_a_grace_period_starts_anew_once_the_pressure_has_gone(manager):
    node = manager(soft(grace=15 * SECOND))
    node.look(GIB)
    node.look(3 * GIB)
    assert node.look(GIB).eviction is None
    assert node.look(GIB).eviction is None
    assert node.look(GIB).eviction is not None


def test_a_soft_eviction_leaves_the_pod_what_both_the_node_and_the_pod_allow(pod):
    for own, expected in ((None, 90), (30, 30), (300, 90), (0, 0)):
        node = Manager(soft(grace=SECOND), pods=[pod(termination_grace_period_seconds=own)], max_grace=90)
        node.look(GIB)
        assert node.look(GIB).eviction.grace_seconds == expected


def test_the_kubelet_never_kills_with_less_than_a_second(manager):
    node = manager(soft(grace=SECOND))
    node.look(GIB)
    eviction = node.look(GIB).eviction
    assert eviction.grace_seconds == 0
    assert effective_grace_seconds(eviction) == 1


def test_a_threshold_once_met_stays_until_the_minimum_reclaim_is_free(manager):
    node = manager(hard("1Gi", reclaim="500Mi"))
    assert node.look(GIB + 100 * MIB).eviction is None  # not crossed yet
    assert node.look(GIB - 1).eviction
    assert node.look(GIB + 499 * MIB).eviction
    assert node.look(GIB + 500 * MIB).eviction is None


def test_a_condition_outlives_its_cause_by_the_transition_period(manager):
    node = manager(hard(), transition=5 * MINUTE)
    node.look(GIB - 1)
    assert pressed(node.look(2 * GIB, after=5 * MINUTE - 1))
    assert not pressed(node.look(2 * GIB, after=1))


def test_stale_stats_keep_the_condition_but_evict_nobody(manager):
    node = manager(hard())
    assert node.look(2 * GIB).eviction is None
    stale = node.look(GIB - 1, stale=True)
    assert stale.eviction is None
    assert pressed(stale)
    assert node.look(GIB - 1).eviction


def test_a_critical_pod_is_ranked_but_passed_over(pod, burstable):
    critical, plain = pod(name="critical", priority=2_000_000_000), burstable("4Gi", name="plain")
    node = Manager(hard(), pods=[critical, plain])
    decision = node.look(1, used={"critical": GIB, "plain": 1})
    assert [each.name for each in decision.ranking] == ["critical", "plain"]
    assert decision.eviction.pod.name == "plain"


def test_with_critical_pods_alone_nobody_goes(pod):
    decision = Manager(hard(), pods=[pod(priority=2_000_000_000)]).look(1)
    assert decision.eviction is None
    assert pressed(decision)


def test_of_a_hard_and_a_soft_threshold_the_hard_one_decides(pod):
    node = Manager(soft(grace=SECOND), hard(), soft("3Gi", SECOND), pods=[pod()], max_grace=60)
    node.look(GIB - 1)
    eviction = node.look(GIB - 1).eviction
    assert eviction.threshold.hard
    assert eviction.grace_seconds == 1


def test_kubepods_own_limit_evicts_while_the_node_has_memory_left(manager):
    node = manager(hard(signal=ALLOCATABLE_MEMORY_AVAILABLE))
    assert node.look(GIB - 1, signal=ALLOCATABLE_MEMORY_AVAILABLE).eviction


def test_a_disk_threshold_raises_its_condition_and_evicts_nobody_here(manager):
    decision = manager(hard(signal="nodefs.available")).look(1, signal="nodefs.available")
    assert decision.conditions == {"DiskPressure"}
    assert decision.eviction is None


def test_the_message_is_the_one_a_recorded_kubelet_wrote(manager):
    # api/watch-nodepressure-pods.jsonl of the recorded node
    eviction = manager(hard("100Mi")).look(3820 * KIB).eviction
    assert eviction.message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 3820Ki. "
    )


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "key": "node.kubernetes.io/memory-pressure"}, True),
        ({"operator": "Exists", "key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}, True),
        ({"operator": "Exists", "key": "node.kubernetes.io/memory-pressure", "effect": "NoExecute"}, False),
        ({"operator": "Exists", "key": "node.kubernetes.io/disk-pressure"}, False),
        ({"key": "node.kubernetes.io/memory-pressure"}, True),
        ({"key": "node.kubernetes.io/memory-pressure", "value": "x"}, False),
        ({"operator": "Lt", "key": "node.kubernetes.io/memory-pressure"}, False),
        ({}, True),  # only the API server's validation keeps this one out
    ],
)
def test_a_best_effort_pod_starts_under_pressure_only_if_it_tolerates_it(pod, toleration, tolerated):
    assert admit(frozenset({"MemoryPressure"}), pod(tolerations=(toleration,))) is tolerated


def test_under_disk_pressure_too_nobody_starts_but_critical_pods(burstable, pod):
    both = frozenset({"MemoryPressure", "DiskPressure"})
    assert not admit(both, burstable("1Mi"))
    assert admit(both, pod(priority=2_000_000_000))
    assert admit(frozenset(), pod())


looks = st.lists(
    st.tuples(st.integers(0, 3 * GIB), st.integers(1, 400).map(lambda s: s * SECOND), st.booleans()),
    min_size=1,
    max_size=12,
)
rows = st.lists(st.tuples(st.sampled_from([None, 0, 5, 2_000_000_000]), st.integers(0, GIB)), max_size=5)


@given(looks=looks, rows=rows, transition=st.sampled_from([0, MINUTE, 5 * MINUTE]))
def test_no_critical_pod_is_ever_evicted_and_no_pod_without_pressure(looks, rows, transition, pod):
    pods = [pod(name=f"p{index}", priority=priority) for index, (priority, _) in enumerate(rows)]
    used = {f"p{index}": size for index, (_, size) in enumerate(rows)}
    node = Manager(hard("1Gi", reclaim="100Mi"), soft(), pods=pods, transition=transition, max_grace=7)
    lowest_before = None
    for available, after, stale in looks:
        decision = node.look(available, after=after, stale=stale and bool(node.state.signals), used=used)
        eviction = decision.eviction
        if available < GIB and transition:
            assert pressed(decision)
        if eviction:
            assert not is_critical_pod(eviction.pod)
            assert eviction.pod in node.pods
            assert available < 2 * GIB or lowest_before < 2 * GIB
            node.pods = tuple(each for each in node.pods if each is not eviction.pod)
        lowest_before = available if lowest_before is None else min(lowest_before, available)
