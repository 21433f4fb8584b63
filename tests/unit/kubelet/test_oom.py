import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.oom import oom_group, oom_score_adj
from memqos.runner.rules import KubeletRules
from memqos.units import GIB, MIB


def adj(pod, index=0, memory=8 * GIB, **gates):
    return oom_score_adj(pod, pod.all_containers[index], memory, **gates)


def test_guaranteed_and_node_critical_are_killed_last_and_best_effort_first(guaranteed, burstable, pod):
    assert adj(guaranteed("1Gi")) == -997
    node_critical = {"priority": 2_000_001_000, "priority_class_name": "system-node-critical"}
    assert adj(pod(**node_critical)) == -997
    assert adj(pod()) == 1000
    assert adj(pod(priority=2_000_000_000, priority_class_name="system-cluster-critical")) == 1000


@pytest.mark.parametrize(
    ("request_", "expected"), [("8Mi", 999), ("1Mi", 999), ("80Mi", 991), ("8188Mi", 3), ("8Gi", 3)]
)
def test_a_burstable_container_stays_between_3_and_999(burstable, request_, expected):
    assert adj(burstable(request_)) == expected


def test_a_sidecar_scores_no_higher_than_the_smallest_container(pod, container):
    side = container("s", "1Mi", restart_policy="Always")
    of_pod = pod(container("a", "1Gi"), container("b", "2Gi"), init_containers=(side,))
    assert [adj(of_pod, index) for index in range(3)] == [875, 875, 750]


def test_a_plain_init_container_scores_by_its_own_request(pod, container):
    of_pod = pod(container("a", "1Gi"), init_containers=(container("i", "80Mi"),))
    assert adj(of_pod) == 991


def test_a_containers_restart_policy_alone_does_not_make_it_a_sidecar(pod, container):
    of_pod = pod(container("a", "80Mi", restart_policy="Always"), container("b", "1Gi"))
    assert adj(of_pod) == 991


def test_what_the_pod_requests_beyond_its_containers_is_shared_among_them(pod, container):
    of_pod = pod(container("a", "1Gi"), container("b"), pod_level=({"memory": "3Gi"}, {}))
    assert [adj(of_pod, index) for index in range(2)] == [750, 875]
    assert [adj(of_pod, index, pod_level=False) for index in range(2)] == [875, 999]


def test_a_pod_level_request_below_its_containers_leads_beyond_what_the_kernel_takes(pod, container):
    # the API server refuses such a pod, and the kubelet's own sum is not bounded either
    of_pod = pod(container("a", "1Gi"), container("b"), pod_level=({"memory": "512Mi"}, {}))
    assert [adj(of_pod, index) for index in range(2)] == [907, 1031]
    rules = KubeletRules(KubeletConfig(), NodeCapacity(8 * GIB))
    assert [rules.oom_score_adj(of_pod, each) for each in of_pod.containers] == [907, 1000]


def test_an_oom_kill_takes_the_whole_container_unless_told_otherwise():
    assert oom_group(KubeletConfig())
    assert not oom_group(KubeletConfig(single_process_oom_kill=True))


@given(request_=st.integers(0, 2**40), memory=st.integers(MIB, 2**40))
def test_the_kernel_takes_every_score(request_, memory, burstable):
    assert 3 <= adj(burstable(str(request_ + 1)), memory=memory) <= 999
