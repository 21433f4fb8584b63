import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.errors import InputError
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.thresholds import (
    ALLOCATABLE_MEMORY_AVAILABLE,
    MEMORY_AVAILABLE,
    SignalObservation,
    Threshold,
    ThresholdValue,
    by_eviction_priority,
    float32,
    parse_min_reclaim,
    parse_thresholds,
    parse_value,
    thresholds_met,
)
from memqos.units import MIB


def signals(thresholds):
    return [threshold.signal for threshold in thresholds]


def test_a_percentage_passes_through_float32():
    assert parse_value("10%").of(16777216000).value == 1677721625
    assert parse_value("100Mi").of(0).value == 100 * MIB
    assert parse_value("1").of(0).value == 1


@pytest.mark.parametrize("text", ["0%", "100%"])
def test_0_and_100_percent_turn_a_signal_off(text):
    assert parse_value(text) is None


@pytest.mark.parametrize("text", ["-1%", "101%", "0", "-1Mi", "Mi", "%", "nan%", "1_0%", "x%", "1e999%"])
def test_a_value_that_can_never_be_meant_is_refused(text):
    with pytest.raises(InputError):
        parse_value(text)


def test_a_minimum_reclaim_may_be_0_but_not_0_percent():
    assert parse_min_reclaim("0").of(MIB).value == 0
    assert parse_min_reclaim("200%").of(MIB).value == 2 * MIB
    for text in ("0%", "-1%", "-1Mi"):
        with pytest.raises(InputError):
            parse_min_reclaim(text)


def test_the_defaults_are_hard_and_doubled_for_allocatable():
    found = parse_thresholds(KubeletConfig())
    assert all(threshold.hard for threshold in found)
    assert sorted(signals(found)) == sorted(
        [
            "memory.available",
            "allocatableMemory.available",
            "nodefs.available",
            "nodefs.inodesFree",
            "imagefs.available",
            "imagefs.inodesFree",
        ]
    )


def test_the_allocatable_copy_needs_pods_to_be_enforced_and_a_hard_threshold():
    assert ALLOCATABLE_MEMORY_AVAILABLE not in signals(
        parse_thresholds(KubeletConfig(enforce_node_allocatable=("none",)))
    )
    soft = KubeletConfig(
        eviction_hard={},
        eviction_soft={MEMORY_AVAILABLE: "1Gi"},
        eviction_soft_grace_period={MEMORY_AVAILABLE: "1m"},
    )
    assert parse_thresholds(soft) == (Threshold(MEMORY_AVAILABLE, parse_value("1Gi"), 60_000_000),)


def test_a_soft_threshold_without_a_grace_period_names_itself():
    with pytest.raises(InputError, match=r"evictionSoft.memory.available"):
        parse_thresholds(KubeletConfig(eviction_soft={MEMORY_AVAILABLE: "1Gi"}))


def test_a_soft_threshold_that_is_off_needs_no_grace_period():
    config = KubeletConfig(eviction_hard={}, eviction_soft={MEMORY_AVAILABLE: "0%"})
    assert parse_thresholds(config) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"eviction_soft_grace_period": {"memory": "1m"}},
        {"eviction_soft_grace_period": {MEMORY_AVAILABLE: "soon"}},
        {"eviction_minimum_reclaim": {"memory": "1Mi"}},
        {"eviction_minimum_reclaim": {MEMORY_AVAILABLE: "some"}},
    ],
)
def test_a_bad_grace_period_or_reclaim_is_refused_even_if_unused(fields):
    with pytest.raises(InputError):
        parse_thresholds(KubeletConfig(**fields))


def test_crossed_means_strictly_less_and_reclaim_comes_on_top():
    threshold = Threshold(MEMORY_AVAILABLE, parse_value("100Mi"), min_reclaim=parse_min_reclaim("50Mi"))

    def met(available, **enforce):
        return bool(
            thresholds_met([threshold], {MEMORY_AVAILABLE: SignalObservation(available, 2**30)}, **enforce)
        )

    assert met(100 * MIB - 1)
    assert not met(100 * MIB)
    assert met(150 * MIB - 1, enforce_min_reclaim=True)
    assert not met(150 * MIB, enforce_min_reclaim=True)


def test_a_signal_without_an_observation_is_not_crossed():
    assert thresholds_met([Threshold("pid.available", parse_value("1k"))], {}) == ()


def test_memory_comes_first_and_what_nobody_knows_last():
    given_ = [Threshold(signal, ThresholdValue()) for signal in ("zzz", "nodefs.available", MEMORY_AVAILABLE)]
    assert signals(by_eviction_priority(given_)) == [MEMORY_AVAILABLE, "nodefs.available", "zzz"]


def test_of_two_memory_thresholds_the_last_given_comes_first_as_in_gos_sort():
    given_ = [Threshold(each, ThresholdValue()) for each in (MEMORY_AVAILABLE, ALLOCATABLE_MEMORY_AVAILABLE)]
    assert signals(by_eviction_priority(given_)) == [ALLOCATABLE_MEMORY_AVAILABLE, MEMORY_AVAILABLE]


@given(value=st.floats(1e-30, 1e30))
def test_float32_rounds_as_the_machine_does(value):
    assert float32(Fraction(value)) == Fraction(struct.unpack("f", struct.pack("f", value))[0])


def test_float32_rounds_once_not_twice():
    # halfway between two float32 and a hair above it: by way of float64 the hair would be lost
    text = Fraction(1) + Fraction(1, 2**24) + Fraction(1, 2**80)
    assert float32(text) == 1 + Fraction(1, 2**23)
    assert float32(Fraction(0)) == 0
