"""Dividing a budget: by priority, then fairly, and never below what is already in use.

When wishes go beyond the budget, somebody gets less than was asked for. The rule:

1. What is in use comes first, in order of priority: lowering a swap limit below what a pod has
   swapped out frees nothing, so granting those bytes to another would overcommit the budget.
2. The rest goes to the highest priority, then to the next.
3. Within one priority everybody gets the same level, less only where less was wished (max-min
   fairness).

First come, first served was not taken: it rewards asking early and for `max`, and after a restart
of the agent nobody knows who came first. This rule needs no memory and no order: the same pods get
the same grants, however they arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish and what of it is in use already, in any one unit; the higher priority goes first."""

    key: str
    wish: int
    used: int = 0
    priority: int = 0


def divide(budget: int, claims: Iterable[Claim]) -> dict[str, int]:
    """Return each claim's grant: at most its wish, and at most `budget` together."""
    grants: dict[str, int] = {}
    classes = [
        tuple(members)
        for _, members in groupby(
            sorted(claims, key=lambda claim: (-claim.priority, claim.key)), lambda claim: claim.priority
        )
    ]
    left = max(0, budget)
    for members in classes:
        floors = _level(left, [(0, min(claim.used, claim.wish)) for claim in members])
        grants.update(zip((claim.key for claim in members), floors, strict=True))
        left -= sum(floors)
    for members in classes:
        floors = [grants[claim.key] for claim in members]
        left += sum(floors)
        whole = _level(left, [(floor, claim.wish) for floor, claim in zip(floors, members, strict=True)])
        grants.update(zip((claim.key for claim in members), whole, strict=True))
        left -= sum(whole)
    return grants


def _level(budget: int, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Fill all spans (least, most) to one common level; what does not divide evenly stays over."""
    if sum(most for _, most in spans) <= budget:
        return [most for _, most in spans]
    low, high = 0, max((most for _, most in spans), default=0)
    while low < high:
        level = (low + high + 1) // 2
        if sum(max(least, min(level, most)) for least, most in spans) <= budget:
            low = level
        else:
            high = level - 1
    return [max(least, min(low, most)) for least, most in spans]
