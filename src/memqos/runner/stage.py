"""The cgroups of the runner's pods, with the kubelet's values in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from memqos.errors import CgroupGone, KnobMissing
from memqos.model.plan import Write
from memqos.model.pods import PlacedPod, Pod
from memqos.runner.rules import Rules
from memqos.runner.world import Cgroups

PATIENCE = 0.2
"""Seconds that one call may wait for killed processes to be gone."""


class Stage:
    """Makes the cgroups that the rules name, and writes what the rules say."""

    def __init__(self, tree: Cgroups, rules: Rules, write: Callable[[Write], object]) -> None:
        """Take the tree; see `Cgroups.claim` for what it raises."""
        self.tree = tree
        self.rules = rules
        self._write = write
        tree.claim()
        for cgroup in rules.shared:
            tree.make(cgroup)
        self.configure(set(rules.shared), ())

    def place(self, pod: Pod) -> PlacedPod:
        """Say where a pod goes: a container's cgroup is named after it."""
        cgroup = self.rules.pod_cgroup(pod)
        return PlacedPod(pod, cgroup, {each.name: f"{cgroup}/{each.name}" for each in pod.all_containers})

    def make_pod(self, cgroup: str, pods: Sequence[PlacedPod]) -> None:
        """Make a pod's cgroup; the shared ones count its requests from here on."""
        self.tree.make(cgroup)
        self.configure({*self.rules.shared, cgroup}, pods)

    def make_container(self, cgroup: str, pods: Sequence[PlacedPod]) -> bool:
        """Make a container's cgroup, a new one if there was one; false while processes in it are dying."""
        if not self.tree.remove(cgroup, PATIENCE):
            return False
        self.tree.make(cgroup)
        self.configure({cgroup}, pods)
        return True

    def configure(self, cgroups: set[str], pods: Sequence[PlacedPod]) -> None:
        """Write the kubelet's values of some cgroups, as far as this kernel has the knobs."""
        # the others only count for the shared cgroups: what would be written to theirs need not be known
        asked = [
            each if _is_of(each, cgroups) else replace(each, cgroup=None, containers={}) for each in pods
        ]
        for write in self.rules.writes(asked):
            if write.cgroup not in cgroups:
                continue
            try:
                self._write(write)
            except KnobMissing:
                continue
            except CgroupGone:
                if write.cgroup not in self.rules.shared:
                    raise


def _is_of(placed: PlacedPod, cgroups: set[str]) -> bool:
    """Whether one of the cgroups is the pod's, or a container's of it."""
    return placed.cgroup in cgroups or not cgroups.isdisjoint(placed.containers.values())
