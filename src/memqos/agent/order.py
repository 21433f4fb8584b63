"""In which order to write knobs, so that no state in between is worse than both ends.

1. `memory.oom.group`: whom a kill takes must be right before a limit can kill.
2. Limits that rise, parents before children: a child's new room is there when it gets it.
   `memory.max` before `memory.high`.
3. Protection that falls, children before parents: a parent that falls first would dilute what its
   children are still promised.
4. Protection that rises, parents before children, for the same reason.
5. Orders to reclaim: they begin to make room before a limit falls.
6. Limits that fall, children before parents: a child is squeezed by its own limit, not by its
   parent's. `memory.high` before `memory.max`, so that reclaim throttles before it may kill, and
   both before `memory.swap.max`, so that what is squeezed may still go to swap.

Restoring original values is ordered by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memqos.model.plan import Reclaim, Value, Write
from memqos.model.snapshot import Cgroup
from memqos.policy.compose import field_of
from memqos.units import UNLIMITED, page_floor

_PROTECTION = ("memory.min", "memory.low")
_FALLING = ("memory.high", "memory.max", "memory.swap.high", "memory.swap.max")


def held(cgroup: Cgroup | None, knob: str) -> Value | None:
    """Return what a knob holds as last seen; `None` when there is no such knob, or none can see it."""
    field = field_of(knob)
    return None if cgroup is None or field is None else getattr(cgroup, field)


def as_kept(write: Write, page_size: int) -> Value:
    """Return what a write asks for as the kernel keeps it: sizes in whole pages, at most `UNLIMITED`."""
    value = write.value
    if write.knob.startswith("memory.") and isinstance(value, int) and not isinstance(value, bool):
        return page_floor(min(value, UNLIMITED), page_size)
    return value


def ordered(writes: Iterable[Write], cgroups: Mapping[str, Cgroup]) -> list[Write]:
    """Sort writes into a safe order, given what the knobs hold now."""
    return sorted(writes, key=lambda write: _rank(write, held(cgroups.get(write.cgroup), write.knob)))


def _rank(write: Write, before: Value | None) -> tuple[int, int, int, str, str]:
    depth = write.cgroup.count("/") + 1 if write.cgroup else 0
    rises = not isinstance(before, int) or not isinstance(write.value, int) or write.value >= before
    step = _FALLING.index(write.knob) if write.knob in _FALLING else len(_FALLING)
    if isinstance(write.value, Reclaim):
        place = (5, -depth, 0)
    elif write.knob in _PROTECTION:
        place = (4, depth, 0) if rises else (3, -depth, 0)
    elif isinstance(write.value, bool):
        place = (1, depth, 0)
    else:
        place = (2, depth, -step) if rises else (6, -depth, step)
    return (*place, write.cgroup, write.knob)
