from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.resize import infeasible
from memqos.units import GIB

NODE = NodeCapacity(8 * GIB, GIB)
LIMITED = KubeletConfig(swap_behavior="LimitedSwap")


def test_a_swapping_containers_request_cannot_change_in_place(burstable):
    reason = infeasible(burstable("2Gi", "4Gi"), burstable("1Gi", "4Gi"), LIMITED, NODE)
    assert reason == "In-place resize of containers with swap is not supported."


def test_one_that_did_not_swap_cannot_begin_to_either(burstable):
    # request equal to limit: no swap before, some after
    assert infeasible(burstable("1Gi", "4Gi"), burstable("4Gi", "4Gi"), LIMITED, NODE)


def test_its_limit_can(burstable):
    assert infeasible(burstable("1Gi", "8Gi"), burstable("1Gi", "4Gi"), LIMITED, NODE) == ""


def test_it_can_if_the_container_restarts(burstable):
    assert infeasible(burstable("2Gi", "4Gi"), burstable("1Gi", "4Gi"), LIMITED, NODE, {"c"}) == ""


def test_where_nobody_swaps_everything_may_change(burstable):
    assert infeasible(burstable("2Gi", "4Gi"), burstable("1Gi", "4Gi"), KubeletConfig(), NODE) == ""


def test_a_container_that_is_new_is_not_a_resize(pod, container):
    desired = pod(container("new", "1Gi", "2Gi"))
    assert infeasible(desired, pod(container("old", "2Gi", "3Gi")), LIMITED, NODE) == ""


def test_a_request_of_nothing_is_none(pod, container):
    assert infeasible(pod(container("c", "0", "2Gi")), pod(container("c", None, "1Gi")), LIMITED, NODE) == ""
