"""How much a pod matters beside the others: the one order that every rung of the ladder uses.

Critical pods first, then by priority, then by QoS class. The kubelet ranks by priority too; the
class breaks ties here, because a Guaranteed pod promised to stay within what it requested and a
BestEffort pod promised nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from memqos.kubelet.critical import is_critical_pod
from memqos.kubelet.qos import QosClass, pod_qos
from memqos.model.pods import Pod

_CLASSES: Final[tuple[QosClass, ...]] = ("BestEffort", "Burstable", "Guaranteed")


class Importance(NamedTuple):
    """Compared from left to right; the greater one matters more."""

    critical: bool
    priority: int
    qos: int
    """0 BestEffort, 1 Burstable, 2 Guaranteed."""

    def __str__(self) -> str:
        """Write it for people: `critical`, or `priority 1000, Burstable`."""
        return "critical" if self.critical else f"priority {self.priority}, {_CLASSES[self.qos]}"


def importance(pod: Pod) -> Importance:
    """Return a pod's place in the order."""
    return Importance(is_critical_pod(pod), pod.priority or 0, _CLASSES.index(pod_qos(pod)))
