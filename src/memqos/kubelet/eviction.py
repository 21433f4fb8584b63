"""Node-pressure eviction for memory: the kubelet's eviction manager as a pure state machine.

Every 10 s (`MONITORING_PERIOD_US`), and again at once after an eviction, the kubelet measures,
compares with its thresholds, and evicts at most one pod. `synchronize` is one such pass: from the
state it left last time, an observation and a clock to the next state and a decision.

- A threshold once met stays until `min_reclaim` more is free.
- A node condition is raised at once, without waiting for a soft threshold's grace period, and
  outlives its cause by the transition period.
- Stats with the timestamp of the last pass lead to no eviction; the condition still follows them.
- Pods that are critical are ranked but passed over.
- Eviction ignores PodDisruptionBudgets; a hard one leaves a pod 1 second.

Source: pkg/kubelet/eviction/eviction_manager.go (`synchronize`, `Admit`), helpers.go. Where several
memory thresholds are met the kubelet takes one by the order of a Go map; here the first hard one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.critical import is_critical_pod
from memqos.kubelet.eviction_rank import rank
from memqos.kubelet.qos import pod_qos
from memqos.kubelet.thresholds import (
    MEMORY_SIGNALS,
    NODE_CONDITIONS,
    SignalObservation,
    Threshold,
    by_eviction_priority,
    parse_thresholds,
    thresholds_met,
)
from memqos.model.pods import Pod

MONITORING_PERIOD_US: Final = 10 * 10**6
POD_CLEANUP_TIMEOUT_US: Final = 30 * 10**6
"""How long the kubelet waits for an evicted pod to be gone before it looks again."""

IMMEDIATE_GRACE_SECONDS: Final = 1
MEMORY_PRESSURE_TAINT: Final = "node.kubernetes.io/memory-pressure"


@dataclass(frozen=True, slots=True)
class EvictionConfig:
    """What the manager goes by. `max_pod_grace_period` in seconds, `transition_us` in microseconds."""

    thresholds: tuple[Threshold, ...]
    max_pod_grace_period: int = 0
    transition_us: int = 5 * 60 * 10**6
    pod_level: bool = True

    @staticmethod
    def of(config: KubeletConfig) -> EvictionConfig:
        """Read it from a kubelet's configuration; raises `InputError` for a bad threshold."""
        return EvictionConfig(
            parse_thresholds(config),
            config.eviction_max_pod_grace_period,
            config.eviction_pressure_transition_period,
            config.pod_level_resources,
        )


@dataclass(frozen=True, slots=True)
class EvictionState:
    """What the manager remembers between passes; times in microseconds."""

    met: tuple[Threshold, ...] = ()
    first_observed: Mapping[Threshold, int] = field(default_factory=dict)
    condition_last_observed: Mapping[str, int] = field(default_factory=dict)
    conditions: frozenset[str] = frozenset()
    signals: Mapping[str, SignalObservation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the node: signals by name, the active pods, and working sets in bytes by pod UID.

    `working_set` is `memory.current` − `inactive_file` of the pod's cgroup.
    """

    signals: Mapping[str, SignalObservation]
    pods: tuple[Pod, ...] = ()
    working_set: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Eviction:
    """Kill this pod with this grace (seconds), because of this threshold."""

    pod: Pod
    grace_seconds: int
    threshold: Threshold
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a pass decides: the node conditions to report, and the pod to evict, if any.

    `ranking` holds the pods in the order they were considered, critical ones included.
    """

    conditions: frozenset[str]
    eviction: Eviction | None = None
    ranking: tuple[Pod, ...] = ()


def synchronize(
    config: EvictionConfig, state: EvictionState, observation: Observation, now_us: int
) -> tuple[EvictionState, Decision]:
    """Make one pass of the eviction manager."""
    signals = observation.signals
    crossed = list(thresholds_met(config.thresholds, signals))
    for threshold in thresholds_met(state.met, signals, enforce_min_reclaim=True):
        if not any(threshold.same(other) for other in crossed):
            crossed.append(threshold)
    first = {threshold: state.first_observed.get(threshold, now_us) for threshold in crossed}
    raised = {NODE_CONDITIONS[threshold.signal]: now_us for threshold in crossed}
    last_observed = {**state.condition_last_observed, **raised}
    conditions = frozenset(name for name, at in last_observed.items() if now_us - at < config.transition_us)
    met = tuple(threshold for threshold, at in first.items() if now_us - at >= threshold.grace_us)
    after = EvictionState(met, first, last_observed, conditions, dict(signals))

    # of several memory thresholds the ordering below brings the last given to the front
    fresh = [threshold for threshold in met if _updated(threshold.signal, signals, state.signals)]
    act = by_eviction_priority([*_not_hard(fresh), *_hard(fresh)])
    if not act or act[0].signal not in MEMORY_SIGNALS:
        return after, Decision(conditions)
    ranking = rank(observation.pods, observation.working_set, pod_level=config.pod_level)
    victim = next((pod for pod in ranking if not is_critical_pod(pod)), None)
    if victim is None:
        return after, Decision(conditions, None, ranking)
    grace = IMMEDIATE_GRACE_SECONDS if act[0].hard else _soft_grace(config, victim)
    eviction = Eviction(victim, grace, act[0], _message(act[0], signals[act[0].signal]))
    return after, Decision(conditions, eviction, ranking)


def admit(conditions: frozenset[str], pod: Pod, *, pod_level: bool = True) -> bool:
    """Decide whether a new pod may start under these node conditions (`Admit`).

    Critical pods always may. Under memory pressure alone so may all but BestEffort ones, and those
    that tolerate the taint.
    """
    if not conditions or is_critical_pod(pod):
        return True
    if conditions != {"MemoryPressure"}:
        return False
    if pod_qos(pod, pod_level=pod_level) != "BestEffort":
        return True
    return any(_tolerates(toleration) for toleration in pod.tolerations)


def effective_grace_seconds(eviction: Eviction) -> int:
    """Seconds the pod really gets: never less than 1 (`calculateEffectiveGracePeriod`)."""
    return max(1, eviction.grace_seconds)


def _soft_grace(config: EvictionConfig, pod: Pod) -> int:
    if pod.termination_grace_period_seconds is None:
        return config.max_pod_grace_period
    return min(config.max_pod_grace_period, pod.termination_grace_period_seconds)


def _updated(
    signal: str, now: Mapping[str, SignalObservation], last: Mapping[str, SignalObservation]
) -> bool:
    time_us = now[signal].time_us
    if signal not in last or time_us is None:
        return True
    before = last[signal].time_us
    return before is None or time_us > before


def _hard(thresholds: list[Threshold]) -> list[Threshold]:
    return [threshold for threshold in reversed(thresholds) if threshold.hard]


def _not_hard(thresholds: list[Threshold]) -> list[Threshold]:
    return [threshold for threshold in reversed(thresholds) if not threshold.hard]


def _tolerates(toleration: Mapping[str, str]) -> bool:
    """Whether a toleration covers memory-pressure:NoSchedule (`Toleration.ToleratesTaint`)."""
    if toleration.get("effect") not in (None, "", "NoSchedule"):
        return False
    if toleration.get("key") not in (None, "", MEMORY_PRESSURE_TAINT):
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return not toleration.get("value")
    return False


def _message(threshold: Threshold, observed: SignalObservation) -> str:
    needed = threshold.value.of(observed.capacity).value
    return (
        "The node was low on resource: memory. "
        f"Threshold quantity: {_binary(needed)}, available: {_binary(observed.available)}. "
    )


def _binary(size: int) -> str:
    """Write bytes as a canonical quantity: the largest suffix that leaves a whole number."""
    suffixes = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
    power = 0
    while size and size % 1024 == 0 and power < len(suffixes) - 1:
        size, power = size // 1024, power + 1
    return f"{size}{suffixes[power]}"
