"""Which policies run, and in which order: kubelet, reserved, swap, the ladder of remedies, hierarchy.

Each policy sees the node as those before it will leave it, and when two write the same knob, the later one
wins (`memqos.policy.compose`). The order is: what Kubernetes prescribes, what users chose, what the situation
calls for (`memqos.policy.manager`), and last what makes the protection hold down the cgroup tree.
"""

from __future__ import annotations

from memqos.policy import AnyPolicy
from memqos.policy.ease import Ease
from memqos.policy.evict import Evict
from memqos.policy.hierarchy import HierarchyPolicy
from memqos.policy.kubelet import KubeletPolicy
from memqos.policy.limit_io import LimitIo
from memqos.policy.manager import Manager
from memqos.policy.protect import Protect
from memqos.policy.reclaim import ReclaimEarly
from memqos.policy.relax import Relax
from memqos.policy.reserve_io import ReserveIo
from memqos.policy.reserved import ReservedPolicy
from memqos.policy.rung import AnyRung
from memqos.policy.settings import Settings
from memqos.policy.shape_queue import ShapeQueue
from memqos.policy.swap import SwapPolicy
from memqos.policy.throttle import Throttle
from memqos.policy.weigh_io import WeighIo


def ladder(settings: Settings, *, may_evict: bool = True, alone: bool = False) -> tuple[AnyPolicy, ...]:
    """Return the policies that the settings call for, lowest first.

    `may_evict`: somebody ends pods here; `alone`: there is no kubelet beside, memqos runs the pods itself.
    """
    config = settings.kubelet.config
    kubelet: tuple[AnyPolicy, ...] = (KubeletPolicy(config),) if settings.kubelet.write else ()
    if alone:
        kubelet = (*kubelet, ReservedPolicy(config))
    manager = Manager(rungs(settings, may_evict=may_evict), settings.watch)
    return (*kubelet, SwapPolicy(settings.swap), manager, HierarchyPolicy(settings.hierarchy))


def rungs(settings: Settings, *, may_evict: bool = True) -> tuple[AnyRung, ...]:
    """Return the remedies that the settings allow, the weakest first."""
    found: list[AnyRung] = []
    if settings.protect.enabled:
        found.append(Protect(settings.protect, settings.watch.calm_seconds))
    if settings.reclaim.enabled:
        found.append(ReclaimEarly(settings.reclaim))
    if settings.ease.enabled:
        found.append(Ease(settings.ease))
    if settings.throttle.enabled:
        found.append(Throttle(settings.throttle))
    if settings.io.enabled:
        found.append(ShapeQueue(settings.io.disks))
        found.append(WeighIo(settings.io.disks))
        found.append(ReserveIo(settings.io))
        found.append(LimitIo(settings.io))
    if settings.relax.enabled:
        swap = settings.swap
        found.append(Relax(settings.relax, swap.maximum_per_pod, swap.budget, swap.reserve))
    if settings.evict.mode != "Off":
        found.append(Evict(settings.evict, may_evict))
    return tuple(found)
