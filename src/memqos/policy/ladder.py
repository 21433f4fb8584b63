"""Which policies run, and in which order: kubelet, then hierarchy, then swap.

Each rung sees the node as the rungs before it will leave it, and of two writes to one knob the
later rung's stands (`memqos.policy.compose`): first what Kubernetes prescribes, then what makes
that hold, then what users chose.
"""

from __future__ import annotations

from memqos.policy import AnyPolicy
from memqos.policy.hierarchy import HierarchyPolicy
from memqos.policy.kubelet import KubeletPolicy
from memqos.policy.settings import Settings
from memqos.policy.swap import SwapPolicy


def ladder(settings: Settings) -> tuple[AnyPolicy, ...]:
    """Return the policies that the settings call for, lowest first."""
    kubelet = (KubeletPolicy(settings.kubelet.config),) if settings.kubelet.write else ()
    return (*kubelet, HierarchyPolicy(settings.hierarchy), SwapPolicy(settings.swap))
