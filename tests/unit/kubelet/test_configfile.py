import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.errors import InputError
from memqos.kubelet.config import DEFAULT_EVICTION_HARD, KubeletConfig
from memqos.kubelet.configfile import FIELDS, config_from_dict
from memqos.kubelet.thresholds import parse_thresholds


def test_an_empty_file_gives_the_defaults():
    assert config_from_dict({"kind": "KubeletConfiguration"}) == KubeletConfig()


def test_memory_qos_is_on_from_1_37():
    assert not config_from_dict({}, version="1.36").memory_qos_on
    assert config_from_dict({}, version="v1.37").memory_qos_on


def test_a_gate_set_by_hand_wins_over_the_versions_default():
    assert config_from_dict({"featureGates": {"MemoryQoS": True}}, version="1.36").memory_qos_on
    assert not config_from_dict({"featureGates": {"MemoryQoS": False}}, version="1.37").memory_qos_on


def test_the_throttling_factor_has_a_default_up_to_1_36():
    assert config_from_dict({}, version="1.36").throttling_factor == 0.9
    assert config_from_dict({}, version="1.37").throttling_factor is None


def test_pod_level_resources_can_be_switched_off():
    assert not config_from_dict({"featureGates": {"PodLevelResources": False}}).pod_level_resources


def test_a_transition_period_of_0_is_taken_for_5_minutes():
    assert config_from_dict({"evictionPressureTransitionPeriod": "0s"}) == KubeletConfig()


def test_no_hard_thresholds_given_are_the_defaults_but_an_empty_map_is_none():
    assert config_from_dict({}).effective_eviction_hard == DEFAULT_EVICTION_HARD
    assert config_from_dict({"evictionHard": {}}).effective_eviction_hard == {}


def test_one_hard_threshold_turns_the_other_defaults_off_unless_they_are_merged():
    only = {"evictionHard": {"memory.available": "1Gi"}}
    assert config_from_dict(only).effective_eviction_hard == {"memory.available": "1Gi"}
    merged = config_from_dict(only | {"mergeDefaultEvictionSettings": True}).effective_eviction_hard
    assert merged == {**DEFAULT_EVICTION_HARD, "memory.available": "1Gi"}


def test_zeros_and_none_are_settings_too():
    config = config_from_dict({"enforceNodeAllocatable": ["none"], "evictionMaxPodGracePeriod": 0})
    assert config.enforce_node_allocatable == ("none",)
    assert config.eviction_max_pod_grace_period == 0
    both = config_from_dict({"enforceNodeAllocatable": ["pods", "system-reserved-compressible"]})
    assert both.enforce_node_allocatable == ("pods", "system-reserved-compressible")


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], ""),
        ({"kind": "Pod"}, "kind"),
        ({"cgroupDriver": "systemctl"}, "cgroupDriver"),
        ({"cgroupRoot": 5}, "cgroupRoot"),
        ({"cgroupsPerQOS": False}, "cgroupsPerQOS"),
        ({"featureGates": {"MemoryQoS": "yes"}}, "featureGates.MemoryQoS"),
        ({"featureGates": ["MemoryQoS"]}, "featureGates"),
        ({"memorySwap": "LimitedSwap"}, "memorySwap"),
        ({"memorySwap": {"swapBehavior": "UnlimitedSwap"}}, "memorySwap.swapBehavior"),
        ({"memoryThrottlingFactor": 0}, "memoryThrottlingFactor"),
        ({"memoryThrottlingFactor": 1.01}, "memoryThrottlingFactor"),
        ({"memoryThrottlingFactor": float("nan")}, "memoryThrottlingFactor"),
        ({"memoryThrottlingFactor": True}, "memoryThrottlingFactor"),
        ({"memoryReservationPolicy": "TieredReservation"}, "memoryReservationPolicy"),
        ({"enforceNodeAllocatable": "pods"}, "enforceNodeAllocatable"),
        ({"enforceNodeAllocatable": ["pod"]}, "enforceNodeAllocatable"),
        ({"enforceNodeAllocatable": [{}]}, "enforceNodeAllocatable"),
        ({"enforceNodeAllocatable": ["none", "pods"]}, "enforceNodeAllocatable"),
        ({"enforceNodeAllocatable": ["kube-reserved"]}, "kubeReservedCgroup"),
        ({"kubeReserved": {"memory": "-1Mi"}}, "kubeReserved.memory"),
        ({"systemReserved": {"memory": "lots"}}, "systemReserved.memory"),
        ({"evictionHard": {"memory.available": "110%"}}, "evictionHard.memory.available"),
        ({"evictionHard": {"memory.free": "1Gi"}}, "evictionHard.memory.free"),
        ({"evictionHard": {"memory.available": 100}}, "evictionHard.memory.available"),
        ({"evictionSoft": {"memory.available": "1Gi"}}, "evictionSoft.memory.available"),
        ({"evictionMaxPodGracePeriod": -1}, "evictionMaxPodGracePeriod"),
        ({"evictionPressureTransitionPeriod": "5 minutes"}, "evictionPressureTransitionPeriod"),
        ({"failSwapOn": "no"}, "failSwapOn"),
    ],
)
def test_a_bad_setting_is_named_with_its_file_and_field(document, field):
    with pytest.raises(InputError) as caught:
        config_from_dict(document, source="kubelet.yaml")
    assert (caught.value.source, caught.value.field) == ("kubelet.yaml", field)


@pytest.mark.parametrize("version", ["1.33", "1.38", "36", ""])
def test_a_version_whose_rules_are_not_known_is_refused(version):
    with pytest.raises(InputError, match=r"1\.36"):
        config_from_dict({}, version=version)


def test_1_35_has_no_reservation_policy():
    document = {"featureGates": {"MemoryQoS": True}, "memoryReservationPolicy": "TieredReservation"}
    with pytest.raises(InputError, match="no such field"):
        config_from_dict(document, version="1.35")


def test_1_37_refuses_a_factor_while_the_gate_is_off_unless_it_is_the_former_default():
    off = {"featureGates": {"MemoryQoS": False}}
    assert config_from_dict(off | {"memoryThrottlingFactor": 0.9}, version="1.37")
    with pytest.raises(InputError, match="Memory QoS"):
        config_from_dict(off | {"memoryThrottlingFactor": 0.8}, version="1.37")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "0", "5%", "1Gi", "1m", "pods"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["memory", "memory.available", "MemoryQoS", "swapBehavior"]), inner)
    ),
    max_leaves=4,
)
documents = st.dictionaries(
    st.sampled_from([*FIELDS, "featureGates", "memorySwap", "kind", "kubeletconfig", "cgroupsPerQOS"]),
    json_values,
    max_size=4,
)


@given(document=documents, version=st.sampled_from(["1.34", "1.36", "1.37"]))
def test_any_document_is_read_or_refused_in_words(document, version):
    with contextlib.suppress(InputError):
        parse_thresholds(config_from_dict(document, version=version))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            {"memoryThrotlingFactor": 0.5},
            "memoryThrotlingFactor: is no such field; did you mean memoryThrottling",
        ),
        (
            {"memorySwap": {"swapBehaviour": "LimitedSwap"}},
            "memorySwap.swapBehaviour: is no such field; did you",
        ),
        ({"memoryswap": {}}, "k.yaml: memoryswap: is no such field; did you mean memorySwap?"),
        (
            {"featureGates": {"MemoryQOS": True}},
            "featureGates.MemoryQOS: is no such field; did you mean MemoryQoS",
        ),
        (
            {"kind": "Pod"},
            "kind: 'Pod' is not KubeletConfiguration; give the kubelet's own configuration file",
        ),
    ],
)
def test_a_misspelt_field_is_not_ignored(document, said):
    with pytest.raises(InputError) as caught:
        config_from_dict(document, source="k.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "systemCgroups",
        "kubeletCgroups",
        "reservedMemory",
        "qosReserved",
        "reservedSystemCPUs",
        "memoryManagerPolicy",
        "cpuManagerPolicy",
        "failCgroupV1",
        "kernelMemcgNotification",
        "shutdownGracePeriod",
        "shutdownGracePeriodCriticalPods",
        "enableControllerAttachDetach",
        "imagePullCredentialsVerificationPolicy",
    ],
)
def test_another_field_of_a_kubelet_that_looks_a_little_like_one_is_ignored(name):
    assert config_from_dict({name: "whatever"}) == config_from_dict({})
