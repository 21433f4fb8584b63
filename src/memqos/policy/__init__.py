"""What to do about a node: one policy a file, each a pure function of what was seen.

A policy gets a `View` and its own memory of the last turn, and returns a new memory and a `Plan`.
It reads no clock and no file and draws no random numbers, so the same decisions run on a real kernel, on a
simulated one and on a recorded past.

A plan is *complete*: at every turn it names every knob that the policy wants to control, including those that
already have the wanted value. A knob that is no longer in the plan goes back to the value it had before
memqos.

`ladder` chooses the policies and their order from an admin's settings; `compose` merges their plans.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, TypeVar

from memqos.model.plan import Plan
from memqos.model.view import View

M = TypeVar("M")


class Policy(Protocol[M]):
    """One policy; `M` is what it remembers from turn to turn, a frozen value."""

    @property
    def name(self) -> str:
        """What its writes and its advice are signed with."""

    def initial(self) -> M:
        """Return the memory of a policy that has seen nothing."""

    def decide(self, memory: M, view: View) -> tuple[M, Plan]:
        """Return the new memory and every knob that shall be held."""


AnyPolicy: TypeAlias = Policy[Any]
