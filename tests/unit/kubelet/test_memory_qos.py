import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.memory_qos import (
    container_memory_qos,
    memory_high,
    memory_high_1_22,
    pod_memory_qos,
    protected_requests,
    qos_memory_qos,
)
from memqos.units import GIB, MIB, UNLIMITED


def config(version="1.36", *, on=True, tiered=True, **fields):
    policy = "TieredReservation" if tiered else "None"
    return KubeletConfig(version=version, memory_qos=on, memory_reservation_policy=policy, **fields)


def of_container(pod, settings, allocatable=GIB):
    return container_memory_qos(pod, pod.containers[0], settings, allocatable)


@pytest.mark.parametrize(("request_", "high"), [(0, 900), (100, 910), (500, 950), (900, 990), (1000, 0)])
def test_the_keps_table_for_a_limit_of_1000(request_, high):
    assert memory_high(request_, 1000, 0, 0.9, page_size=1) == high


def test_a_gap_of_less_than_a_page_is_no_throttle():
    assert memory_high(40960, 45056, 0, 0.9) == 0


def test_up_to_1_26_the_factor_was_that_of_the_limit():
    assert memory_high_1_22(500, 1000, 0, 0.8) == 800
    assert memory_high_1_22(900, 1000, 0, 0.8) == 0
    assert memory_high_1_22(0, 0, 2000, 0.8) == 1600


def test_without_a_limit_the_nodes_allocatable_memory_is_the_top():
    assert memory_high(0, 4096, GIB, 0.5) == 0  # half a page is none
    assert memory_high(MIB, 0, GIB, 0.5) == (GIB + MIB) // 2
    assert memory_high(MIB, 0, 0, 0.5) == 0


def test_request_and_limit_0_are_throttled_from_1_37_on():
    assert memory_high(0, 0, GIB, 0.9, minor=36) == 0
    assert memory_high(0, 0, GIB, 0.9, minor=37) == int(0.9 * GIB) // 4096 * 4096
    assert memory_high(MIB, MIB, GIB, 0.9, minor=37) == 0


def test_up_to_1_35_every_request_was_memory_min(burstable):
    assert of_container(burstable("64Mi", "64Mi"), config("1.35", tiered=False)) == {"memory.min": 64 * MIB}
    assert pod_memory_qos(burstable("64Mi"), config("1.35", tiered=False)) == {"memory.min": 64 * MIB}


def test_from_1_36_on_the_pods_class_says_how_a_request_is_protected(burstable, guaranteed):
    assert of_container(guaranteed("64Mi"), config()) == {"memory.min": 64 * MIB}
    assert of_container(burstable("64Mi", "64Mi"), config()) == {"memory.low": 64 * MIB}


def test_without_a_policy_zeros_are_written_to_containers_and_nothing_to_pods(burstable):
    pod = burstable("64Mi", "64Mi")
    assert of_container(pod, config(tiered=False)) == {"memory.min": 0, "memory.low": 0}
    assert pod_memory_qos(pod, config(tiered=False)) == {}


def test_with_the_gate_off_nothing_is_written_up_to_1_36(burstable):
    off = config(on=False)
    assert of_container(burstable("64Mi", "1Gi"), off) == {}
    assert qos_memory_qos([burstable("64Mi")], off) == ({}, {})


def test_with_the_gate_off_1_37_lifts_the_throttle_and_the_protection(burstable):
    off = config("1.37", on=False, tiered=False)
    assert of_container(burstable("64Mi", "1Gi"), off) == {"memory.high": UNLIMITED}
    assert qos_memory_qos([burstable("64Mi")], off) == ({"memory.min": 0, "memory.low": 0}, {"memory.low": 0})


def test_1_37_throttles_nobody_until_a_factor_is_set(burstable):
    assert "memory.high" not in of_container(burstable("64Mi", "1Gi"), config("1.37"))
    keys = of_container(burstable("64Mi", "1Gi"), config("1.37", memory_throttling_factor=0.9))
    assert keys["memory.high"] == memory_high(64 * MIB, GIB, 0, 0.9)


def test_best_effort_is_throttled_from_1_37_on(pod):
    settings = {"memory_throttling_factor": 0.9}
    assert "memory.high" not in of_container(pod(), config("1.36", **settings))
    assert of_container(pod(), config("1.37", **settings))["memory.high"] == memory_high(
        0, 0, GIB, 0.9, minor=37
    )


def test_1_37_throttles_a_pod_with_pod_level_resources_as_a_whole(pod, container):
    settings = {"memory_throttling_factor": 0.9}
    of_pod = pod(container(), pod_level=({"memory": "128Mi"}, {"memory": "256Mi"}), overhead="64Mi")
    high = memory_high(192 * MIB, 320 * MIB, 0, 0.9)
    assert pod_memory_qos(of_pod, config("1.37", **settings)) == {
        "memory.low": 192 * MIB,
        "memory.high": high,
    }
    assert "memory.high" not in pod_memory_qos(of_pod, config("1.36", **settings))


@pytest.mark.parametrize("limits", [("200Mi", None), (None, None)])
def test_1_37_leaves_a_pod_alone_that_is_bounded_only_in_part(pod, container, limits):
    # upstream's TestApplyPodLevelMemoryHigh: pod-level cpu, and a container without a memory limit
    containers = [container(name, "100Mi", limit) for name, limit in zip("ab", limits, strict=True)]
    of_pod = pod(*containers, pod_level=({}, {"cpu": "2"}))
    settings = config("1.37", memory_throttling_factor=0.9)
    assert "memory.high" not in pod_memory_qos(of_pod, settings)


def test_1_37_measures_a_container_without_a_limit_against_the_pods(pod, container):
    of_pod = pod(container("a", "32Mi"), pod_level=({}, {"memory": "160Mi"}))
    settings = {"memory_throttling_factor": 0.9}
    assert of_container(of_pod, config("1.36", **settings))["memory.high"] == memory_high(
        32 * MIB, 0, GIB, 0.9
    )
    assert of_container(of_pod, config("1.37", **settings))["memory.high"] == (
        memory_high(32 * MIB, 160 * MIB, GIB, 0.9)
    )


def test_the_classes_are_protected_by_the_sums_of_their_pods(burstable, guaranteed, pod):
    pods = [guaranteed("10Mi"), burstable("20Mi"), burstable("30Mi"), pod()]
    assert protected_requests(pods, config()) == (10 * MIB, 50 * MIB)
    assert qos_memory_qos(pods, config()) == ({"memory.min": 60 * MIB}, {"memory.low": 50 * MIB})
    assert qos_memory_qos(pods, config(tiered=False)) == ({"memory.min": 0}, {"memory.low": 0})
    assert qos_memory_qos(pods, config("1.35", tiered=False)) == (
        {"memory.min": 60 * MIB},
        {"memory.min": 50 * MIB},
    )
    assert qos_memory_qos([], config("1.35", tiered=False)) == ({}, {})


sizes = st.integers(0, 2**40)


@given(
    request_=sizes,
    limit=sizes,
    allocatable=sizes,
    factor=st.floats(0.001, 1),
    minor=st.integers(27, 37),
    page_size=st.sampled_from([1, 4096, 65536]),
)
def test_the_throttle_lies_above_the_request_and_on_a_page(
    request_, limit, allocatable, factor, minor, page_size
):
    high = memory_high(request_, limit, allocatable, factor, page_size, minor)
    assert high % page_size == 0
    if high:
        assert request_ < high <= max(limit or allocatable, request_)
