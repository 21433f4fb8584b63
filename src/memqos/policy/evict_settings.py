"""What the admin says about ending pods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from memqos.policy.setting import setting

EvictMode: TypeAlias = Literal["Evict", "Advise", "Off"]


@dataclass(frozen=True, slots=True)
class EvictSettings:
    """Ending pods, where nothing weaker helps."""

    mode: EvictMode = setting(
        "Evict",
        "Evict pods, only Advise whom memqos would evict, or Off.",
        "the kernel's OOM killer and the kubelet end pods too, later and with less to go by",
    )
    minimum_percent: float = setting(
        4.0,
        "Share of the node's memory that must be left to be had, swap counted; below it somebody goes.",
        "the kubelet's 100Mi on a node of 2.5Gi, and above the kernel's own watermarks on any",
        unit="percent",
        least=0.5,
    )
    lead_seconds: float = setting(
        2.0,
        "How far ahead the rate of the last second is looked: somebody goes before the minimum is reached. "
        "Up to three times as far where looks come late.",
        "a look, a decision and the end of a process that had to be killed",
        unit="seconds",
        least=0.0,
    )
    confirm_seconds: float = setting(
        0.3,
        "How long a shortage must last before somebody goes, unless half the minimum is gone.",
        "a second look, so that no single reading ends a pod",
        unit="seconds",
        least=0.0,
    )
    stall_percent: float = setting(
        20.0,
        "Share of time a pod waits for memory from which on a less important one may be ended for it.",
        "four times what counts as a disturbance: gentler remedies had their chance",
        unit="percent",
        least=1.0,
    )
    patience_seconds: float = setting(
        20.0,
        "How long such a pod waits while the rungs below act, before a less important one is ended for it.",
        "systemd-oomd takes 30 s; who has already been throttled for 20 will not be held",
        unit="seconds",
        least=1.0,
    )
    maximum_grace_seconds: float = setting(
        10.0,
        "The most grace a pod gets, whatever it asks for; the forecast may leave it less.",
        "the kubelet gives 1 s at its hard threshold; memqos decides earlier and can give more",
        unit="seconds",
        least=0.0,
    )
    cool_down_seconds: float = setting(
        3.0,
        "Time between two decisions; a third of it when half the minimum is gone.",
        "what was freed shows in the next look, what others do with it takes longer",
        unit="seconds",
        least=0.0,
    )
    at_once: int = setting(
        20,
        "The most pods that one decision ends.",
        "fifty small offenders are a large one; a wrong decision must still be small",
        least=1,
    )
    per_workload: int = setting(
        1,
        "The most pods of one workload (namespace and app label) ended in an hour.",
        "a PodDisruptionBudget's usual maxUnavailable",
        least=1,
    )
    users_may_refuse: bool = setting(
        False,
        'Whether the annotation memqos.dev/evictable: "false" spares a pod.',
        "priority is the admin's word on who matters; an annotation is anybody's",
    )
