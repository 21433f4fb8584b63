"""Who is reclaimed from: priorities, the walk over the cgroups, memory.low."""

from __future__ import annotations

from abc import abstractmethod

from memqos.sim.twin.state import Group
from memqos.sim.twin.swap import Swapping


class Reclaiming(Swapping):
    """A subtree that is over its limit is walked."""

    partial_walk = False

    @abstractmethod
    def begin_pass(self, target: Group, priority: int, force: bool) -> None:
        """Look at the target once before its subtree is walked."""

    @abstractmethod
    def end_reclaim(self, target: Group) -> None:
        """A reclaim of this target has ended."""

    @abstractmethod
    def shrink(self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool) -> None:
        """Reclaim from one cgroup; adds to `freed`."""

    def reclaim(self, target: Group, wanted: int) -> int:
        """try_to_free_mem_cgroup_pages."""
        self.freed = 0
        self.skipped = self.low_skipped = False
        force = low_reclaim = full_walk = False
        while True:
            for priority in range(12, -1, -1):
                self.begin_pass(target, priority, force)
                self._walk(target, priority, wanted, low_reclaim, self.partial_walk and not full_walk)
                self.end_writes()
                if self.freed >= wanted:
                    break
            self.end_reclaim(target)
            if self.freed:
                return self.freed
            if self.partial_walk and not full_walk:
                full_walk = True
            elif self.skipped:
                force, self.skipped = True, False
            elif self.low_skipped and not low_reclaim:
                force, low_reclaim, self.low_skipped = False, True, False
            else:
                return 0

    def _walk(self, target: Group, priority: int, wanted: int, low_reclaim: bool, partial: bool) -> None:
        if not partial:
            for each in target.down():
                self._one(target, each, priority, wanted, low_reclaim)
            return
        group: Group | None = self._next(target) or self._next(target)
        while group is not None:
            self._one(target, group, priority, wanted, low_reclaim)
            if self.freed >= wanted:
                return
            group = self._next(target)

    def _next(self, target: Group) -> Group | None:
        """The shared walk's next cgroup; None once at the end of each round."""
        order = target.down()
        at = order.index(target.position) + 1 if target.position is not None else 0
        target.position = order[at] if at < len(order) else None
        return target.position

    def _one(self, target: Group, group: Group, priority: int, wanted: int, low_reclaim: bool) -> None:
        self._protect(target, group)
        if group is not target and group.effective_low and group.effective_low >= group.usage:
            if not low_reclaim:
                self.low_skipped = True
                return
            for each in group.up():
                each.counts["low"] += 1
        self.shrink(target, group, priority, wanted, low_reclaim)

    def _protect(self, target: Group, group: Group) -> None:
        """effective_protection of memory.low, with memory_recursiveprot."""
        if group is target or group.usage == 0:
            return
        parent = group.parent
        assert parent is not None
        if parent is target:
            group.effective_low = group.low
            return
        claimed = sum(min(child.usage, child.low) for child in parent.children)
        mine = min(group.usage, group.low)
        given = parent.effective_low
        if claimed > given:
            group.effective_low = mine * given // claimed
            return
        group.effective_low = mine
        if given > claimed and parent.usage > claimed and group.usage > mine:
            group.effective_low += (given - claimed) * (group.usage - mine) // (parent.usage - claimed)

    def shielded(self, target: Group, group: Group, size: int, low_reclaim: bool) -> int:
        """What of a list memory.low leaves to be looked at (2.4)."""
        if group is target or not group.effective_low:
            return size
        shield = 0
        if not low_reclaim:
            shield, self.low_skipped = group.effective_low, True
        return max(size - size * shield // (max(group.usage, shield) + 1), 32)
