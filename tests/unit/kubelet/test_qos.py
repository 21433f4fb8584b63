import pytest

from memqos.kubelet.qos import compute_pod_qos, pod_qos


def test_a_guaranteed_pod_has_cpu_and_memory_limits_equal_to_its_requests(guaranteed):
    assert compute_pod_qos(guaranteed("64Mi")) == "Guaranteed"


def test_memory_alone_is_not_enough_for_guaranteed(burstable):
    assert compute_pod_qos(burstable("64Mi", "64Mi")) == "Burstable"


def test_one_init_container_without_limits_makes_a_pod_burstable(pod, container):
    whole = container("a", "1Mi", "1Mi", cpu="1", cpu_limit="1")
    assert compute_pod_qos(pod(whole)) == "Guaranteed"
    assert compute_pod_qos(pod(whole, init_containers=(container("i"),))) == "Burstable"


def test_requests_that_are_equal_only_in_sum_still_make_guaranteed(pod, container):
    a = container("a", "1Mi", "2Mi", cpu="1", cpu_limit="1")
    b = container("b", "3Mi", "2Mi", cpu="1", cpu_limit="1")
    assert compute_pod_qos(pod(a, b)) == "Guaranteed"


def test_an_explicit_zero_is_nothing(pod, container):
    assert compute_pod_qos(pod(container("a", "0", "0", cpu="0"))) == "BestEffort"


def test_empty_pod_level_resources_hide_the_containers(pod, container):
    hidden = pod(container("a", "1Mi"), pod_level=({}, {}))
    assert compute_pod_qos(hidden) == "BestEffort"
    assert compute_pod_qos(hidden, pod_level=False) == "Burstable"


@pytest.mark.parametrize("stored", ["Guaranteed", "Burstable", "BestEffort"])
def test_what_the_api_server_stored_wins(burstable, stored):
    assert pod_qos(burstable("1Mi", status_qos_class=stored)) == stored


def test_a_class_nobody_knows_is_computed_anew(burstable):
    assert pod_qos(burstable("1Mi", status_qos_class="Platinum")) == "Burstable"
