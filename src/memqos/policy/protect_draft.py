"""What `memqos.policy.protect` writes in one turn: it never lowers what somebody else wrote."""

from __future__ import annotations

from memqos.model.plan import Write
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.policy.theirs import Raised, Target, Theirs
from memqos.policy.workingset import WorkingSet
from memqos.units import UNLIMITED, format_bytes


class Draft:
    """The writes of one turn, and what they raised (`raised`, to know what was somebody else's)."""

    def __init__(self, situation: Situation, theirs: Theirs, name: str) -> None:
        self._cgroups = situation.view.now.cgroups
        self._recursive = "memory_recursiveprot" in situation.view.now.features
        self._theirs = theirs
        self._name = name
        self._below: dict[str, tuple[int, int]] = {}
        self.writes: list[Write] = []
        self.raised: dict[Target, Raised] = {}

    def protect(self, pod: PodSignals, low: int, hard: int, needs: WorkingSet, request: int) -> None:
        """Raise a pod's `memory.low` and `memory.min` to at least `low` and `hard` bytes."""
        why = (
            f"{pod.importance}: of its {format_bytes(pod.current)} it needs {format_bytes(needs.need)}, "
            f"and requested {format_bytes(request)}; "
            f"{format_bytes(needs.earned)} of page cache came back after it was taken"
        )
        self._raise(pod.path, "memory.low", low, why)
        if not self._recursive:
            for path in pod.placed.containers.values():
                self._raise(
                    path,
                    "memory.low",
                    low,
                    f"without memory_recursiveprot a pod's does not reach its containers; {why}",
                )
        more = self._raise(pod.path, "memory.min", hard, f"the kernel may overrule memory.low here; {why}")
        for cut in (index for index, sign in enumerate(pod.path) if more and sign == "/"):
            raised, whole = self._below.get(pod.path[:cut], (0, 0))
            self._below[pod.path[:cut]] = raised + more, whole + hard

    def carry_down(self) -> None:
        """Give every ancestor what its pods got of `memory.min` beyond what they had.

        At least all that they were raised to: what they had may be void, as what a kubelet left in pods is
        once its reservation policy is None.
        """
        for path, (more, whole) in self._below.items():
            cgroup = self._cgroups.get(path)
            if cgroup is not None:
                theirs = self._theirs.of(cgroup, "memory.min")
                why = f"the memory.min of the pods below it was raised by {format_bytes(more)}"
                self._raise(path, "memory.min", min(UNLIMITED, max(theirs + more, whole)), why)

    def _raise(self, path: str, knob: str, ours: int, why: str) -> int:
        """Ask for a value if it is more than somebody else's; return by how much it is more."""
        cgroup = self._cgroups.get(path)
        if cgroup is None or getattr(cgroup, knob.replace(".", "_")) is None:
            return 0
        theirs = self._theirs.of(cgroup, knob)
        if ours <= theirs:
            return 0
        self.writes.append(Write(path, knob, ours, why, self._name, cgroup.inode))
        self.raised[path, knob] = Raised(cgroup.inode, theirs, ours)
        return ours - theirs
