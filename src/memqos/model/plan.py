"""Intentions and what became of them: `Write`, `Plan`, `Outcome`, `Tick`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from memqos.model.pods import PlacedPod
from memqos.model.snapshot import IoMax, Snapshot
from memqos.units import MIB


@dataclass(frozen=True, slots=True)
class Reclaim:
    """An order to `memory.reclaim`: take back `size` bytes; `swappiness` as the kernel's, if given.

    201 is the kernel's `swappiness=max` (anonymous memory only).
    """

    size: int
    swappiness: int | None = None


RECLAIM_PIECE: Final = 4 * MIB
"""Bytes of one write to `memory.reclaim`: a tenth of a second at most where 50 MiB/s can be swapped out."""


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A limit of the processor (`cpu.max`): microseconds of it in each period of so many."""

    quota: int
    period: int = 100_000

    def __str__(self) -> str:
        return f"{self.quota / self.period:g} CPU"


Value: TypeAlias = int | bool | Reclaim | Bandwidth | Mapping[str, IoMax | str]
"""What a knob takes: bytes, a weight, a switch, a reclaim order, processor time; by device I/O limits, or
words (io.cost, queues)."""


def unset(knob: str) -> IoMax | str:
    """Return what a device is written as in a knob of several devices, so that it is as if never named."""
    return IoMax() if knob == "io.max" else ""


class Write(Struct, frozen=True):
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
class Eviction:
    """A pod that shall go, or one of its containers; `uid` is the pod's.

    `grace` is in seconds, `None` for the pod's own terminationGracePeriodSeconds; 0 kills at once.
    A killed container is started again as the pod's restartPolicy says; an evicted pod is not.
    """

    uid: str
    pod: str
    why: str
    policy: str = ""
    container: str | None = None
    grace: float | None = None


Step: TypeAlias = Literal["watch", "act", "spent"]
"""`watch`: a cause is seen, not long enough to act on; `act`: the rung holds something; `spent`: it has
done what it can, or cannot help here, and the trouble goes on: the next rung may begin."""


class Stand(Struct, frozen=True):
    """Where one rung of the ladder stands about one subject (a pod's key, a cgroup, or `node`).

    `since_us` is the snapshot's clock when this step began, `why` the cause in words with its figures.
    A rung that is calm about a subject has no stand.
    """

    rung: str
    subject: str
    step: Step
    since_us: int
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a policy wants, in no order: enforcing it orders the writes.

    Writes are to be held; orders (`Reclaim`) and evictions are done once and asked for anew when
    they are wanted again. `stands` explains, and changes nothing. `look_in` asks for another look after so
    many seconds, sooner than the loop would take it.
    """

    writes: tuple[Write, ...] = ()
    advice: tuple[Advice, ...] = ()
    evictions: tuple[Eviction, ...] = ()
    stands: tuple[Stand, ...] = ()
    look_in: float | None = None


Status: TypeAlias = Literal[
    "written",
    "kept",
    "dry-run",
    "failed",
    "gone",
    "overwritten",
    "waiting",
    "begun",
    "partial",
    "stopped",
]
"""`kept`: the knob held the value already, or the order still runs; `overwritten`: written, but it reads
back as another; `waiting`: failed, gone or overwritten before, told then, and left alone since.
Of an order (`Reclaim`): `begun`, and when it ended `written` (all of it was taken), `partial` (the kernel
found no more) or `stopped` (no longer wanted)."""


class Outcome(Struct, frozen=True):
    """What became of one write: `before` and `after` are what the knob held; `error` why it failed.

    Of an order that ended, `after` is a `Reclaim` of the bytes that surely were taken.
    """

    write: Write
    status: Status
    before: Value | None = None
    after: Value | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Evicted:
    """What became of one eviction; `leaving`: it was begun at an earlier turn, and the pod is still here."""

    eviction: Eviction
    status: Literal["begun", "leaving", "dry-run", "refused"]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Underway:
    """What the loop began and did not wait for.

    `reclaiming` are the cgroups in which an order to `memory.reclaim` still runs; `ended` the orders that
    ended since the last turn, with what became of them; `leaving` the uids of pods that were told
    to go and are still here; `refused` what the evictor would not do within the last minute, by pod uid, with
    its reason.
    """

    reclaiming: frozenset[str] = frozenset()
    ended: tuple[Outcome, ...] = ()
    leaving: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)


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
    underway: Underway = field(default_factory=Underway)
    evicted: tuple[Evicted, ...] = ()
