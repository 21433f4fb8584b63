"""A rung of the ladder, and the situation it decides on.

The rungs stand in one order, each a stronger remedy than the one below: protect, reclaim, ease, throttle,
those about a disk (queue, weight, reserve, io), relax, evict. A rung says of every subject where it stands
(`memqos.model.plan.Stand`): it watches, it acts, or it is spent. The rungs above read that in the same turn,
so that a remedy is used only when the milder ones are in force and have not helped.

A rung is a pure function with a memory, as a policy is. Its entry and exit conditions lie apart, and it keeps
to a choice for a least time (its dwell), so that it does not flutter. What it no longer asks for is undone by
itself, because a plan names everything that is to be controlled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias, TypeVar

from memqos.model.plan import Plan, Stand
from memqos.model.view import View
from memqos.policy.signals import Signals
from memqos.policy.trouble import Kind, Trouble, Troubles

M = TypeVar("M")


@dataclass(frozen=True)
class Situation:
    """One turn as a rung sees it.

    `view` is the node as the rungs below will leave it, `signals` are its figures, `stands` say
    where the rungs below stand now, and `held` which knobs of which cgroups they hold.
    """

    view: View
    signals: Signals
    troubles: Troubles
    stands: tuple[Stand, ...] = ()
    held: frozenset[tuple[str, str]] = frozenset()

    @property
    def now_us(self) -> int:
        """The node's clock."""
        return self.view.now.time_us

    def pressing(self, kind: Kind | None = None) -> tuple[Trouble, ...]:
        """Return the troubles that others may be the cause of, those of the most important pods first."""
        return self.troubles.pressing(kind)

    def stand(self, rung: str, subject: str) -> Stand | None:
        """Return where a lower rung stands about a subject; `None` when it is calm about it."""
        return self._standing.get((rung, subject))

    @cached_property
    def _standing(self) -> Mapping[tuple[str, str], Stand]:
        """A node has a hundred pods, and each rung asks about each of them."""
        return {(one.rung, one.subject): one for one in reversed(self.stands)}


class Rung(Protocol[M]):
    """One remedy; `M` is what it remembers from turn to turn, a frozen value."""

    @property
    def name(self) -> str:
        """What its writes, evictions and stands are signed with."""

    def initial(self) -> M:
        """Return the memory of a rung that has seen nothing."""

    def decide(self, memory: M, situation: Situation) -> tuple[M, Plan]:
        """Return the new memory and everything that shall be held or done."""


AnyRung: TypeAlias = Rung[Any]
