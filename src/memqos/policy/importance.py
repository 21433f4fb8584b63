"""How important a pod is, compared with others: the one order that every rung of the ladder uses.

Critical pods first, then by priority, then by QoS class. The kubelet ranks by priority, too. The class breaks
ties, because a Guaranteed pod promises to stay within its request and a BestEffort pod promises nothing.
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


_KNOWN: Final[dict[int, tuple[Pod, Importance]]] = {}
_MOST_KNOWN: Final = 4096


def importance(pod: Pod) -> Importance:
    """Return a pod's place in the order; a pod is frozen, so it is worked out once."""
    known = _KNOWN.get(id(pod))
    if known is not None and known[0] is pod:
        return known[1]
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    found = Importance(is_critical_pod(pod), pod.priority or 0, _CLASSES.index(pod_qos(pod)))
    _KNOWN[id(pod)] = (pod, found)
    return found
