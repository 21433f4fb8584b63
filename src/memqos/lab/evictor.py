"""The kubelet's eviction manager, looking at a node every 10 s of the world's clock.

What it decides is `memqos.kubelet.eviction`'s; here it is carried out: one pod at a time, which gets
`Evicted` as its reason, and after one the next look is at once when that pod is gone. While the node is
short of memory new pods may be refused (`admits`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.eviction import (
    MONITORING_PERIOD_US,
    POD_CLEANUP_TIMEOUT_US,
    EvictionConfig,
    EvictionState,
    admit,
    effective_grace_seconds,
    synchronize,
)
from memqos.kubelet.signals import observe
from memqos.model.pods import PlacedPod, Pod
from memqos.node import Node
from memqos.runner.pods import Runner


class Evictor:
    """The manager's state between looks. `now_us` is when it starts."""

    def __init__(self, config: KubeletConfig, now_us: int) -> None:
        self.config = config
        self.next_us = now_us + MONITORING_PERIOD_US
        self._rules = EvictionConfig.of(config)
        self._state = EvictionState()
        self._leaving = ""

    def admits(self, pod: Pod) -> bool:
        """Whether the kubelet lets a new pod start under the node's present conditions."""
        return admit(self._state.conditions, pod, pod_level=self.config.pod_level_resources)

    def look(self, node: Node, runner: Runner, note: Callable[[str, str, str], None]) -> None:
        """Look if it is time to, and begin to evict the pod that must go; `note` hears of conditions."""
        snapshot_due = runner.now_us() >= self.next_us
        if self._leaving and not any(each.pod.uid == self._leaving for each in runner.placed):
            self._leaving, snapshot_due = "", True
        if not snapshot_due:
            return
        self.next_us = runner.now_us() + MONITORING_PERIOD_US
        before = self._state.conditions
        phases = {each.uid: each.phase for each in runner.pods()}
        pods = tuple(
            PlacedPod(replace(each.pod, phase=phases[each.pod.uid]), each.cgroup, each.containers)
            for each in runner.placed
        )
        observation = observe(node.observe(), pods, self.config)
        self._state, decision = synchronize(self._rules, self._state, observation, runner.now_us())
        for condition in sorted(decision.conditions ^ before):
            note("condition", condition, "True" if condition in decision.conditions else "False")
        if decision.eviction is not None:
            gone = decision.eviction
            self._leaving = gone.pod.uid
            self.next_us = runner.now_us() + POD_CLEANUP_TIMEOUT_US
            note("evicting", gone.pod.key, gone.message.strip())
            runner.evict(gone.pod.uid, "Evicted", effective_grace_seconds(gone))
