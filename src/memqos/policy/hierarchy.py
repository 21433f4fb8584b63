"""Protection that holds: `memory.low` for the ancestors of protected pods.

A kubelet with TieredReservation writes `memory.low` to Burstable pods and to the burstable QoS
cgroup, but never to kubepods, whose own stays 0. Effective protection comes down from the parent
(`memqos.policy.protection`), so in reclaim that starts at the root, the node's own, every Burstable
pod's protection is void. This policy gives each ancestor of pods, from kubepods down, the
`memory.low` that its children are promised, never more than the node can give.

The repair is exact while pods use what they are promised. What they leave unused is, under
`memory_recursiveprot`, shared out among everything in kubepods, BestEffort pods included.
Measured: a pod with 48 MiB of page cache and 56 MiB of `memory.low`, a node pressed until an unprotected
pod lost half of its own; MiB the pod still held (tests/kernel/test_policies.py):

    kernel, LRU      as a kubelet writes it   repaired    memory.min instead
    6.1   classic    22.7-23.4                48.0        -
    6.1   MGLRU      -                        -           48.0
    6.12  classic    22.0                     48.0        -
    6.12  MGLRU      21.8                     14.8-24.5   48.0
    7.2   classic    19.8                     48.0        -
    7.2   MGLRU      24.0                     47.8-48.0   48.0

So with MGLRU on 6.12 the repair is true to the cgroup tree and yet does not hold. No file says which
MGLRU a node has, and `low` events do not tell (7.2 counts as many while it holds), so the policy gives no
advice on it. What helps there: `echo n > /sys/kernel/mm/lru_gen/enabled`, or `memory.min`.

`memory.min` is not repaired: a promise that can cause OOM kills is the admin's, who is told; where
`memqos.policy.protect` promises some, it carries it down from kubepods itself. This policy comes after the
ladder of remedies, so that what a rung promises by `memory.low` holds in the same turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from memqos.model.plan import Advice, Plan, Write
from memqos.model.snapshot import Cgroup
from memqos.model.view import View
from memqos.policy.protection import Protection, effective_protection
from memqos.policy.settings import HierarchySettings
from memqos.policy.theirs import Raised, Target, Theirs
from memqos.units import UNLIMITED, format_bytes, page_floor


@dataclass(frozen=True, slots=True)
class HierarchyPolicy:
    """Detect protection that is void or promised twice; repair `memory.low` from kubepods down."""

    settings: HierarchySettings = HierarchySettings()
    name: str = "hierarchy"

    def initial(self) -> Theirs:
        """Return a memory in which nothing was raised."""
        return Theirs()

    def decide(self, memory: Theirs, view: View) -> tuple[Theirs, Plan]:
        """Return the `memory.low` of every ancestor of pods that falls short of its children's."""
        tree = _Tree(view, memory)
        writes: list[Write] = []
        advice: list[Advice] = []
        raised: dict[Target, Raised] = {}
        for path in tree.ancestors:
            cgroup = tree.cgroups[path]
            if tree.promised(path, "min") > (cgroup.memory_min or 0):
                advice.append(self._hard(tree, path))
            promised, room, theirs = tree.promised(path, "low"), tree.room(path), cgroup.memory_low or 0
            if cgroup.memory_low is None or promised <= theirs:
                continue
            if promised > room:
                advice.append(self._overcommitted(path, promised, room))
            give = page_floor(min(promised, room), view.now.node.page_size)
            if give <= theirs:
                continue
            why = (
                f"its children are promised {format_bytes(promised)} of memory.low; with its own at "
                f"{format_bytes(theirs)}, {format_bytes(tree.holds(path))} of that would hold when the node "
                f"reclaims; the node can give {format_bytes(room)}"
            )
            if self.settings.repair:
                writes.append(Write(path, "memory.low", give, why, self.name, cgroup.inode))
                raised[path, "memory.low"] = Raised(cgroup.inode, theirs, give)
            else:
                remedy = f"set its memory.low to {format_bytes(give)}, or hierarchy.repair to true"
                advice.append(Advice(path, why, remedy, self.name))
        return Theirs(raised), Plan(tuple(writes), tuple(advice))

    def _overcommitted(self, path: str, promised: int, room: int) -> Advice:
        problem = (
            f"its children are promised {format_bytes(promised)} of memory.low and the node can give "
            f"{format_bytes(room)}, so all of them get less, in proportion"
        )
        return Advice(path, problem, "lower the pods' memory requests or move pods away", self.name)

    def _hard(self, tree: _Tree, path: str) -> Advice:
        problem = (
            f"its children are promised {format_bytes(tree.promised(path, 'min'))} of memory.min and it has "
            f"{format_bytes(tree.cgroups[path].memory_min or 0)} itself, so the rest is void"
        )
        return Advice(path, problem, "set its memory.min to the sum of its children's", self.name)


class _Tree:
    """The cgroups as somebody else set them, with sums over the ancestors of pods."""

    def __init__(self, view: View, memory: Theirs) -> None:
        pods = [placed.cgroup for placed in view.pods if placed.cgroup in view.now.cgroups]
        above: set[str] = set()
        for path in pods:
            parent = (path or "").rpartition("/")[0]
            while parent and parent not in above:
                above.add(parent)
                parent = parent.rpartition("/")[0]
        now = view.now.cgroups
        self.ancestors = [path for path in now if path in above]
        self.cgroups = dict(now)
        for path in self.ancestors:
            if now[path].memory_low is not None:
                self.cgroups[path] = msgspec.structs.replace(
                    now[path], memory_low=memory.of(now[path], "memory.low")
                )
        self.children: dict[str, list[Cgroup]] = {path: [] for path in ("", *self.ancestors)}
        for path, cgroup in self.cgroups.items():
            if path and (siblings := self.children.get(path.rpartition("/")[0])) is not None:
                siblings.append(cgroup)
        self._memory_total = view.now.node.meminfo.get("MemTotal", 0)
        self._recursive = "memory_recursiveprot" in view.now.features
        self._page_size = view.now.node.page_size

    def promised(self, path: str, kind: str) -> int:
        """What the children of an ancestor are promised together: its own promises are for it to keep."""
        total = 0
        for child in self.children.get(path, ()):
            own = getattr(child, f"memory_{kind}") or 0
            total += max(own, self.promised(child.path, kind)) if child.path in self.ancestors else own
        return min(total, UNLIMITED)

    def room(self, path: str) -> int:
        """What the node can promise softly below `path`: what fits in, less hard promises and others'."""
        top = path.partition("/")[0]
        others = sum(
            min(max(child.memory_min or 0, child.memory_low or 0), child.memory_max or 0)
            for child in self.children.get("", ())
            if child.path != top
        )
        fits, room = self._memory_total - others, UNLIMITED
        for cut in [*(index for index, sign in enumerate(path) if sign == "/"), len(path)]:
            limit = self.cgroups[path[:cut]].memory_max
            fits = fits if limit is None else min(fits, limit)
            room = min(room, fits - self.promised(path[:cut], "min"))
        return max(0, room)

    def holds(self, path: str) -> int:
        """How much of the soft promises below `path` holds as it stands."""
        children = self.children.get(path, ())
        return sum(min(self._effective[child.path].low, child.memory_low or 0) for child in children)

    @cached_property
    def _effective(self) -> Mapping[str, Protection]:
        """What holds of the ancestors' children; what is below these has no part in it."""
        near = {cgroup.path: cgroup for children in self.children.values() for cgroup in children}
        return effective_protection(near, recursiveprot=self._recursive, page_size=self._page_size)
