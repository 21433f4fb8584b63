"""What a knob would hold without memqos: needed by policies that raise a value somebody else set.

A policy that only ever adds to a value has to know what it adds to. A snapshot shows what the knob holds now,
which may be memqos's own value of the last turn, or somebody's newer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from memqos.model.snapshot import Cgroup
from memqos.policy.compose import field_of

Target: TypeAlias = tuple[str, str]
"""A cgroup's path and a knob."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What a knob was, `theirs`, and what was asked for, `ours`; bytes."""

    inode: int
    theirs: int
    ours: int


@dataclass(frozen=True, slots=True)
class Theirs:
    """The knobs that were raised: a policy's memory of the last turn."""

    raised: Mapping[Target, Raised] = field(default_factory=dict)

    def of(self, cgroup: Cgroup, knob: str) -> int:
        """Return the bytes that somebody else wrote; 0 where there is no such knob."""
        name = field_of(knob)
        now = getattr(cgroup, name) if name else None
        known = self.raised.get((cgroup.path, knob))
        if known and known.inode == cgroup.inode and known.ours == now:
            return known.theirs
        return now or 0
