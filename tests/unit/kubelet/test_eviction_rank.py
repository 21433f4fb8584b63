from functools import cmp_to_key

from hypothesis import given
from hypothesis import strategies as st

from memqos.kubelet.eviction_rank import rank
from memqos.kubelet.resources import eviction_memory_request
from memqos.units import MIB


def names(pods):
    return [pod.name for pod in pods]


def test_who_exceeds_the_request_goes_before_lower_priority(burstable):
    over = burstable("10Mi", name="over", priority=1000)
    low = burstable("10Mi", name="low", priority=-5)
    assert names(rank([low, over], {"over": 10 * MIB + 1, "low": 10 * MIB})) == ["over", "low"]


def test_without_stats_a_pod_goes_first_of_all(burstable):
    unknown = burstable("1Gi", name="unknown", priority=1000)
    assert names(rank([burstable("1Mi", name="big"), unknown], {"big": 2**40})) == ["unknown", "big"]


def test_among_equals_the_larger_excess_goes_first(burstable):
    a, b = burstable("50Mi", name="a"), burstable("10Mi", name="b")
    assert names(rank([a, b], {"a": 100 * MIB, "b": 70 * MIB})) == ["b", "a"]


def test_no_priority_is_priority_0(burstable):
    pods = [
        burstable("1", name="p1", priority=1),
        burstable("1", name="none"),
        burstable("1", name="m1", priority=-1),
    ]
    assert names(rank(pods, dict.fromkeys(("p1", "none", "m1"), 5))) == ["m1", "none", "p1"]


def test_the_qos_class_plays_no_part(burstable, guaranteed, pod):
    pods = [pod(name="best-effort"), burstable("1Mi", name="burst"), guaranteed("1Mi", name="guar")]
    used = {"best-effort": 1, "burst": MIB + 2, "guar": MIB + 3}
    assert names(rank(pods, used)) == ["guar", "burst", "best-effort"]


def compare(stats, a, b):
    """The slow twin: the kubelet's three comparators, as a comparison of two pods."""
    if (a.uid in stats) != (b.uid in stats):
        return -1 if a.uid not in stats else 1
    order_of = [lambda p: p.priority or 0]
    if a.uid in stats:
        excess = {p.uid: stats[p.uid] - eviction_memory_request(p).value for p in (a, b)}
        order_of = [lambda p: excess[p.uid] <= 0, *order_of, lambda p: -excess[p.uid]]
    for key in order_of:
        if key(a) != key(b):
            return -1 if key(a) < key(b) else 1
    return 0


rows = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([None, -1, 0, 1]), st.none() | st.integers(0, 4)),
    max_size=9,
)


@given(rows=rows)
def test_ranking_orders_all_pods_as_the_kubelets_comparators_do(rows, burstable):
    pods = [
        burstable(str(request), name=f"p{index}", priority=priority)
        for index, (request, priority, _) in enumerate(rows)
    ]
    stats = {f"p{index}": used for index, (_, _, used) in enumerate(rows) if used is not None}
    ranked = rank(pods, stats)
    assert sorted(names(ranked)) == sorted(names(pods))
    assert list(ranked) == sorted(pods, key=cmp_to_key(lambda a, b: compare(stats, a, b)))
