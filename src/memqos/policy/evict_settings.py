"""What the admin says about ending pods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from memqos.policy.setting import setting

EvictMode: TypeAlias = Literal["Evict", "Advise", "Off"]
EvictUnit: TypeAlias = Literal["Pod", "Container"]


@dataclass(frozen=True, slots=True)
class EvictSettings:
    """Ending pods, where nothing weaker helps."""

    mode: EvictMode = setting(
        "Evict",
        "Evict pods, only report which pod memqos would evict (Advise), or neither (Off).",
        "the kernel's OOM killer and the kubelet end pods, too, but later and knowing less",
    )
    unit: EvictUnit = setting(
        "Pod",
        "What is ended: the pod, or first the one container that holds most of what the pod's end would "
        "free (Container). It is started again as restartPolicy says; if it was not enough, the pod goes.",
        "as the kubelet does; a container that is started again on the same node mostly grows again",
    )
    minimum_percent: float = setting(
        4.0,
        "Share of the node's memory that must stay available, swap counted; below it a pod is evicted.",
        "the kubelet's 100Mi on a node of 2.5Gi, and above the kernel's own watermarks on any",
        unit="percent",
        least=0.5,
    )
    lead_seconds: float = setting(
        2.0,
        "How far ahead the rate of the last second is extrapolated: a pod is evicted before the minimum is "
        "reached. Up to three times as far where looks come late.",
        "time for a look, a decision, and the end of a process that has to be killed",
        unit="seconds",
        least=0.0,
    )
    confirm_seconds: float = setting(
        0.3,
        "How long a shortage must last before a pod is evicted, unless half the minimum is gone or nothing "
        "would be left by then.",
        "a second look, so that no single reading ends a pod",
        unit="seconds",
        least=0.0,
    )
    stall_percent: float = setting(
        20.0,
        "How much of its time a pod must wait for memory before a less important one may be evicted for it.",
        "four times what counts as a disturbance: milder remedies have had their chance",
        unit="percent",
        least=1.0,
    )
    patience_seconds: float = setting(
        20.0,
        "For how long it must do so, while milder remedies act, before a less important pod is evicted.",
        "systemd-oomd waits for 30 s; what throttling has not stopped within 20 s, it will not stop",
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
        "what was freed shows at the next look; what others do with it takes longer",
        unit="seconds",
        least=0.0,
    )
    at_once: int = setting(
        20,
        "The most pods that one decision evicts.",
        "fifty small offenders are a large one; a wrong decision must still be small",
        least=1,
    )
    per_workload: int = setting(
        1,
        "The most pods of one workload (namespace and app label) that are evicted in an hour.",
        "a PodDisruptionBudget's usual maxUnavailable",
        least=1,
    )
    users_may_refuse: bool = setting(
        False,
        'Whether the annotation memqos.dev/evictable: "false" spares a pod.',
        "priorities are bounded by the admin; anybody can write an annotation",
    )
