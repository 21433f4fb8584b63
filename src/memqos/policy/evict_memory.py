"""What the evict rung remembers: since when there is a cause, who was told to go, what each workload lost.

A workload, for the budget of evictions, is what a person thinks of as one: the pods of a namespace with the
same app label, or a pod without one by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from memqos.model.plan import Advice
from memqos.model.pods import Pod
from memqos.policy.rung import Situation
from memqos.policy.victims import Candidate

_HOUR_US: Final = 3_600_000_000
_WORKLOAD: Final = ("app.kubernetes.io/name", "app", "k8s-app", "job-name")


@dataclass(frozen=True, slots=True)
class Asked:
    """A pod that was told to go, why, and when its grace is over."""

    pod: str
    why: str
    deadline_us: int
    killed: bool = False


@dataclass(frozen=True, slots=True)
class EvictMemory:
    """Since when the cause stands, when somebody was chosen last, who was told to go, who lost a pod when.

    Times are the node's monotonic microseconds; mappings are by the pod's uid, and `lost` names workloads.
    `advised`: what a person was told at the last turn; `restarted`: when a container of a pod was killed.
    """

    since_us: int | None = None
    decided_us: int | None = None
    asked: Mapping[str, Asked] = field(default_factory=dict)
    lost: tuple[tuple[int, str], ...] = ()
    advised: Mapping[str, Advice] = field(default_factory=dict)
    restarted: Mapping[str, int] = field(default_factory=dict)


def forget(memory: EvictMemory, situation: Situation) -> EvictMemory:
    """Return the memory without who is gone or could not be ended, and without what is an hour old."""
    now, underway = situation.now_us, situation.view.underway
    here = {placed.pod.uid for placed in situation.view.pods}
    asked = {uid: one for uid, one in memory.asked.items() if uid in here and uid not in underway.refused}
    lost = tuple((at_us, workload) for at_us, workload in memory.lost if now - at_us < _HOUR_US)
    restarted = {
        uid: at_us for uid, at_us in memory.restarted.items() if uid in here and now - at_us < _HOUR_US
    }
    return replace(memory, asked=asked, lost=lost, restarted=restarted)


def within_budget(
    ranked: Iterable[Candidate], memory: EvictMemory, now_us: int, per_workload: int
) -> list[Candidate]:
    """Return those who may go, first come first served: a workload loses `per_workload` pods an hour."""
    spent: dict[str, int] = {}
    for at_us, workload in memory.lost:
        spent[workload] = spent.get(workload, 0) + (now_us - at_us < _HOUR_US)
    allowed = []
    for one in ranked:
        workload = workload_of(one.pod.placed.pod)
        if spent.get(workload, 0) < per_workload:
            spent[workload] = spent.get(workload, 0) + 1
            allowed.append(one)
    return allowed


def workload_of(pod: Pod) -> str:
    """Return what a budget counts by: namespace and app label, or the pod itself."""
    label = next((pod.labels[key] for key in _WORKLOAD if key in pod.labels), pod.name)
    return f"{pod.namespace}/{label}"
