"""Bringing the original values back: when the agent ends, and by `memqos restore` after a `kill -9`.

Ordered, read back and reported as every write. A cgroup that is gone, or was reborn under the same
name, has nothing to bring back. A knob that holds what memqos did not write is left as it is, and
the outcome says so. What could not be restored stays remembered, for the next try.
"""

from __future__ import annotations

from memqos.agent.enforce import Enforcer
from memqos.agent.original import write_back
from memqos.agent.originals import Originals
from memqos.model.plan import Outcome, Plan
from memqos.node import Node


def restore(node: Node, originals: Originals, *, dry_run: bool = False) -> tuple[Outcome, ...]:
    """Bring every remembered knob back and forget it; `dry_run` only says what would be done."""
    snapshot = node.observe()
    gone = []
    for original in originals.all():
        cgroup = snapshot.cgroups.get(original.cgroup)
        if cgroup is None or cgroup.inode != original.inode:
            why = "the cgroup ended, and what was written there with it"
            gone.append(Outcome(write_back(original, original.value, why), "gone"))
    outcomes = Enforcer(node, originals, dry_run=dry_run).enforce(Plan(), snapshot)
    if not dry_run:
        originals.forget([(one.write.cgroup, one.write.inode, one.write.knob) for one in gone])
    return (*outcomes, *gone)
