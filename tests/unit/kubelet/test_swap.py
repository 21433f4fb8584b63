import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.swap import container_swap_behavior, limited_swap, memory_swap_max
from memqos.units import GIB

NODE = NodeCapacity(40 * GIB, 5 * GIB)
LIMITED = KubeletConfig(swap_behavior="LimitedSwap")


def limit(pod, node=NODE, config=LIMITED):
    return memory_swap_max(pod, pod.containers[0], config, node)


def test_swap_is_shared_by_memory_request(burstable):
    assert limit(burstable("1Gi")) == 134217728
    assert limit(burstable("2Gi", "4Gi")) == 268435456


def test_a_container_with_a_limit_only_has_limited_swap_of_nothing(pod, container):
    of_pod = pod(container("a", "1Gi"), container("b", None, "1Gi"))
    assert container_swap_behavior(of_pod, of_pod.containers[1], LIMITED, NODE) == "LimitedSwap"
    assert memory_swap_max(of_pod, of_pod.containers[1], LIMITED, NODE) == 0


@pytest.mark.parametrize(
    "fields", [{"priority": 2_000_000_000}, {"annotations": {"kubernetes.io/config.source": "file"}}]
)
def test_a_critical_pod_never_swaps(burstable, fields):
    assert limit(burstable("1Gi", **fields)) == 0


def test_who_else_never_swaps(burstable, guaranteed, pod):
    assert limit(guaranteed("1Gi")) == 0
    assert limit(pod()) == 0
    assert limit(burstable("1Gi", "1Gi")) == 0
    assert limit(burstable("1Gi"), config=KubeletConfig()) == 0
    assert limit(burstable("1Gi"), node=dataclasses.replace(NODE, swap_controller=False)) == 0
    assert limit(burstable("1Gi"), node=dataclasses.replace(NODE, cgroup_version=1)) == 0


def test_pod_level_requests_do_not_feed_the_formula(pod, container):
    assert limit(pod(container(), pod_level=({"memory": "1Gi"}, {}))) == 0


def test_a_request_beyond_the_nodes_memory_gets_nothing():
    assert limited_swap(2 * GIB, GIB, GIB) == 0
    assert limited_swap(1, 0, GIB) == 0
    assert limited_swap(0, 0, GIB) == 0


@given(memory=st.integers(1, 2**46), swap=st.integers(0, 2**46), data=st.data())
def test_nobody_gets_more_swap_than_there_is(memory, swap, data):
    request = data.draw(st.integers(0, memory))
    assert 0 <= limited_swap(request, memory, swap) <= swap


@given(requests=st.lists(st.integers(0, 2**34), max_size=8), spare=st.integers(0, 2**34))
def test_pods_that_fit_in_memory_fit_in_swap_together(requests, spare):
    memory = sum(requests) + spare + 1
    assert sum(limited_swap(request, memory, 8 * GIB) for request in requests) <= 8 * GIB
