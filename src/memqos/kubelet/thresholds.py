"""Eviction thresholds: how they are written, how many bytes they mean, when they are crossed.

A threshold is a quantity or a percentage of the observed capacity. Percentages pass through
float32, so 10 % of 16777216000 is 1677721625. Crossed means strictly: threshold > available.

Source: pkg/kubelet/eviction/helpers.go (`ParseThresholdConfig`, `addAllocatableThresholds`,
`thresholdsMet`, `byEvictionPriority`), pkg/kubelet/eviction/api/types.go (`GetThresholdQuantity`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, TypeVar

from memqos.errors import InputError
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.duration import parse_duration
from memqos.units import Quantity, parse_quantity

_T = TypeVar("_T")

MEMORY_AVAILABLE: Final = "memory.available"
ALLOCATABLE_MEMORY_AVAILABLE: Final = "allocatableMemory.available"
MEMORY_SIGNALS: Final = (MEMORY_AVAILABLE, ALLOCATABLE_MEMORY_AVAILABLE)

NODE_CONDITIONS: Final[Mapping[str, str]] = {
    MEMORY_AVAILABLE: "MemoryPressure",
    ALLOCATABLE_MEMORY_AVAILABLE: "MemoryPressure",
    "nodefs.available": "DiskPressure",
    "nodefs.inodesFree": "DiskPressure",
    "imagefs.available": "DiskPressure",
    "imagefs.inodesFree": "DiskPressure",
    "containerfs.available": "DiskPressure",
    "containerfs.inodesFree": "DiskPressure",
    "pid.available": "PIDPressure",
}
"""Every signal a kubelet knows, and the node condition it raises."""


@dataclass(frozen=True, slots=True)
class ThresholdValue:
    """An amount, or a fraction of the capacity (a float32's value); never both."""

    quantity: Quantity | None = None
    percentage: float = 0.0

    def of(self, capacity: int) -> Quantity:
        """Return the amount it means for a capacity in bytes (`GetThresholdQuantity`)."""
        if self.quantity is not None:
            return self.quantity
        return Quantity(Fraction(int(float(capacity) * self.percentage)))


@dataclass(frozen=True, slots=True)
class Threshold:
    """Evict when less than `value` of `signal` is left for `grace_us` microseconds; 0 is hard.

    `min_reclaim`: how much more must be free before the pressure counts as over.
    """

    signal: str
    value: ThresholdValue
    grace_us: int = 0
    min_reclaim: ThresholdValue | None = None

    @property
    def hard(self) -> bool:
        """True when there is no grace period."""
        return self.grace_us == 0

    def same(self, other: Threshold) -> bool:
        """Compare as `hasThreshold` does: all but the minimum reclaim."""
        return replace(self, min_reclaim=None) == replace(other, min_reclaim=None)


@dataclass(frozen=True, slots=True)
class SignalObservation:
    """One signal as measured: bytes, and when (microseconds); `time_us` `None` is Go's zero time."""

    available: int
    capacity: int
    time_us: int | None = None


def parse_thresholds(config: KubeletConfig) -> tuple[Threshold, ...]:
    """Read a kubelet's thresholds: hard, soft, then those for allocatable (`ParseThresholdConfig`).

    Raises `InputError` naming the field.
    """
    hard = _statements(config.effective_eviction_hard, "evictionHard")
    soft = _statements(config.eviction_soft, "evictionSoft")
    grace = {
        _signal(signal, "evictionSoftGracePeriod"): _placed(
            parse_duration, text, "evictionSoftGracePeriod", signal
        )
        for signal, text in config.eviction_soft_grace_period.items()
    }
    reclaim = {
        _signal(signal, "evictionMinimumReclaim"): _placed(
            parse_min_reclaim, text, "evictionMinimumReclaim", signal
        )
        for signal, text in config.eviction_minimum_reclaim.items()
    }
    for threshold in soft:
        if threshold.signal not in grace:
            raise InputError(
                "a soft threshold has no grace period",
                field=f"evictionSoft.{threshold.signal}",
                remedy=f"add evictionSoftGracePeriod: {{{threshold.signal}: 1m30s}}",
            )
    results = [
        replace(threshold, min_reclaim=reclaim.get(threshold.signal))
        for threshold in (*hard, *(replace(each, grace_us=grace[each.signal]) for each in soft))
    ]
    return add_allocatable(results) if "pods" in config.enforce_node_allocatable else tuple(results)


def add_allocatable(thresholds: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """Add a copy of each hard memory threshold for the kubepods cgroup (`addAllocatableThresholds`)."""
    given = tuple(thresholds)
    copies = (
        replace(threshold, signal=ALLOCATABLE_MEMORY_AVAILABLE)
        for threshold in given
        if threshold.signal == MEMORY_AVAILABLE and threshold.hard
    )
    return (*given, *copies)


def parse_value(text: str) -> ThresholdValue | None:
    """Read a threshold's value; `None` when it turns the signal off (`0%`, `100%`).

    Raises `InputError` for an amount that is not above 0 or a percentage outside 0 to 100.
    """
    if text in ("0%", "100%"):
        return None
    if text.endswith("%"):
        percentage = _percentage(text)
        if not 0 <= percentage <= 1:
            raise InputError(f"{text!r} is not between 0% and 100%", remedy=_REMEDY)
        return ThresholdValue(percentage=percentage)
    quantity = parse_quantity(text)
    if quantity.amount <= 0:
        raise InputError(f"{text!r} is not above 0", remedy=_REMEDY)
    return ThresholdValue(quantity)


def parse_min_reclaim(text: str) -> ThresholdValue:
    """Read a minimum reclaim: a quantity of 0 or more, or a percentage above 0."""
    if text.endswith("%"):
        percentage = _percentage(text)
        if percentage <= 0:
            raise InputError(f"{text!r} is not above 0%", remedy=_REMEDY)
        return ThresholdValue(percentage=percentage)
    quantity = parse_quantity(text)
    if quantity.amount < 0:
        raise InputError(f"{text!r} is negative", remedy=_REMEDY)
    return ThresholdValue(quantity)


def thresholds_met(
    thresholds: Iterable[Threshold],
    observations: Mapping[str, SignalObservation],
    *,
    enforce_min_reclaim: bool = False,
) -> tuple[Threshold, ...]:
    """Return the thresholds that are crossed, grace periods aside; unobserved signals are not."""
    met = []
    for threshold in thresholds:
        observed = observations.get(threshold.signal)
        if observed is None:
            continue
        needed = threshold.value.of(observed.capacity)
        if enforce_min_reclaim and threshold.min_reclaim is not None:
            needed += threshold.min_reclaim.of(observed.capacity)
        if needed.amount > observed.available:
            met.append(threshold)
    return tuple(met)


def by_eviction_priority(thresholds: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """Order thresholds as the kubelet does: memory first, unknown signals last.

    Go's `sort.Sort` on this ordering, which calls each of two memory signals less than the other, is
    an insertion sort up to 12 elements: of several memory signals the last given comes out first.
    """
    ordered = list(thresholds)
    for start in range(1, len(ordered)):
        for at in range(start, 0, -1):
            if not (ordered[at].signal in MEMORY_SIGNALS or ordered[at - 1].signal not in NODE_CONDITIONS):
                break
            ordered[at - 1], ordered[at] = ordered[at], ordered[at - 1]
    return tuple(ordered)


def _statements(statements: Mapping[str, str], where: str) -> list[Threshold]:
    values = (
        (_signal(signal, where), _placed(parse_value, text, where, signal))
        for signal, text in statements.items()
    )
    return [Threshold(signal, value) for signal, value in values if value is not None]


def _signal(signal: str, where: str) -> str:
    if signal not in NODE_CONDITIONS:
        raise InputError(
            "unknown eviction signal",
            field=f"{where}.{signal}",
            remedy=f"use one of {', '.join(NODE_CONDITIONS)}",
        )
    return signal


def _placed(parse: Callable[[str], _T], text: str, where: str, signal: str) -> _T:
    try:
        return parse(text)
    except InputError as error:
        raise error.at(field=f"{where}.{signal}") from None


def _percentage(text: str) -> float:
    """Read `12.5%` as Go does: the number as float32, then divided by 100 as float32."""
    number = text.rstrip("%")
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", number):
        raise InputError(f"{text!r} is not a percentage", remedy=_REMEDY)
    return float(float32(float32(Fraction(number)) / 100))


def float32(value: Fraction) -> Fraction:
    """Round to the nearest float32, ties to even; 0 stays 0."""
    if not value:
        return value
    exponent = max(-126, math.frexp(float(value))[1] - 1)
    unit = Fraction(2) ** (exponent - 23)
    return round(value / unit) * unit


_REMEDY = "write a quantity such as 100Mi or a percentage such as 5%"
