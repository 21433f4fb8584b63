"""Intentions and what became of them: `Write`, `Plan`, `Outcome`, `Tick`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from memqos.model.pods import PlacedPod
from memqos.model.snapshot import IoMax, Snapshot


@dataclass(frozen=True, slots=True)
class Reclaim:
    """An order to `memory.reclaim`: take back `size` bytes; `swappiness` as the kernel's, if given.

    201 is the kernel's `swappiness=max` (anonymous memory only).
    """

    size: int
    swappiness: int | None = None


Value: TypeAlias = int | bool | Reclaim | Mapping[str, IoMax]
"""What a knob takes: bytes, a switch, a reclaim order, or I/O limits by device."""


@dataclass(frozen=True, slots=True)
class Write:
    """One knob of one cgroup, with the reason, and the policy that wants it.

    `inode`, when not 0, names the very cgroup meant: a write never reaches another one that was
    born under the same path.
    """

    cgroup: str
    knob: str
    value: Value
    why: str
    policy: str = ""
    inode: int = 0

    @property
    def target(self) -> tuple[str, str]:
        """What two writes compete for."""
        return (self.cgroup, self.knob)


@dataclass(frozen=True, slots=True)
class Advice:
    """Something a person should know: which pod or cgroup (or the node), what, and the remedy."""

    subject: str
    problem: str
    remedy: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a policy wants, in no order: enforcing it orders the writes."""

    writes: tuple[Write, ...] = ()
    advice: tuple[Advice, ...] = ()


Status: TypeAlias = Literal["written", "kept", "dry-run", "failed", "gone", "overwritten"]
"""`kept`: the knob held the value already; `overwritten`: written, but it reads back as another."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one write: `before` and `after` are what the knob held; `error` why it failed."""

    write: Write
    status: Status
    before: Value | None = None
    after: Value | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of the loop, complete enough to be replayed."""

    snapshot: Snapshot
    pods: tuple[PlacedPod, ...]
    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    woken_by: str = ""
    decided_in_us: int = 0
    notes: tuple[str, ...] = field(default=())
