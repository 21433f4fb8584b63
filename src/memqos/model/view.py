"""What a policy sees: two snapshots of one node and the pods on it, with the rates between them.

A rate is `None` when it cannot be known: there is no earlier snapshot, the cgroup was reborn in
between (its inode changed), the kernel has no such counter, or the clock did not advance.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from memqos.model.plan import Underway
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Cgroup, Snapshot


@dataclass(frozen=True, slots=True)
class View:
    """`last` and `now` of one node and boot; `last` is `None` at the first look.

    `underway` is what the loop began at earlier turns and has not ended, or only now has.
    """

    now: Snapshot
    last: Snapshot | None = None
    pods: tuple[PlacedPod, ...] = ()
    underway: Underway = field(default_factory=Underway)

    @property
    def elapsed_us(self) -> int:
        """Microseconds between the two snapshots; 0 when there is no earlier one of this boot."""
        if self.last is None or self.last.boot_id != self.now.boot_id:
            return 0
        return max(0, self.now.time_us - self.last.time_us)

    def earlier(self, cgroup: Cgroup) -> Cgroup | None:
        """The same cgroup, by inode, in the earlier snapshot."""
        if self.last is None or self.elapsed_us == 0:
            return None
        before = self.last.cgroups.get(cgroup.path)
        return before if before is not None and before.inode == cgroup.inode else None

    def delta(self, cgroup: Cgroup, file: str, key: str) -> int | None:
        """How far one counter of a flat-keyed file went: `delta(cg, "memory_events", "max")`."""
        before = self.earlier(cgroup)
        counters, old = getattr(cgroup, file), getattr(before, file, None)
        if counters is None or old is None or key not in counters or key not in old:
            return None
        return int(counters[key]) - int(old[key])

    def stall_us(self, cgroup: Cgroup, resource: str = "memory", kind: str = "some") -> int | None:
        """Microseconds stalled between the snapshots, from the pressure file's `total`."""
        before = self.earlier(cgroup)
        new = getattr(getattr(cgroup, f"{resource}_pressure"), kind, None)
        old = getattr(getattr(before, f"{resource}_pressure", None), kind, None)
        return None if new is None or old is None else new.total - old.total
