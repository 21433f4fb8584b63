"""The seam: everything memqos does to a node goes through these methods.

`LinuxNode` (`memqos.linux.node`) is a real kernel, `SimNode` the simulated one, `ReplayNode` a
journal. Typed values cross the seam, never text. One contract suite, `tests/contract`, holds
all of them to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from memqos.model.plan import Outcome, Value, Write
from memqos.model.snapshot import Snapshot

Reason: TypeAlias = Literal["timeout", "pressure", "stop", "ready", "pods", "start"]
"""Of every node: `timeout`, `pressure` and `stop`. Where a caller waits for more: `ready`, a descriptor of
its own is readable; `pods`, a pod's cgroup was made. `start` is the agent's first turn."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Why `wait` returned; `cgroups` where memory pressed, for the reason `pressure`."""

    reason: Reason
    cgroups: tuple[str, ...] = ()


class Node(Protocol):
    """One node: observe it, write to it, let time pass on it."""

    def observe(self) -> Snapshot:
        """Return everything the policies may look at, in one pass.

        A cgroup that vanishes meanwhile is left out; a file that cannot be read counts as not there, and
        `Snapshot.unread` says so. Raises `Unsupported` where there is no
        cgroup v2 memory controller.
        """

    def apply(self, write: Write) -> Value | None:
        """Write one knob of one cgroup and return what it holds now, read back.

        The kernel may round, and a value it keeps to itself (`memory.reclaim`) reads as `None`.
        Raises `NodeError`: `CgroupGone` when the path is no longer there or has another inode than
        `write.inode`; `KnobMissing`, `Refused`, `Busy`, `InvalidValue` as the kernel answers.
        """

    def begin(self, order: Write) -> None:
        """Start an order (a `Reclaim` to `memory.reclaim`) and return at once; the node carries it out.

        One order at a time in a cgroup: a second is `Busy`. `CgroupGone` and `InvalidValue` as `apply`
        raises them; what the kernel answers later is an outcome of `ended`.
        """

    def cancel(self, cgroup: str) -> None:
        """Have the order in `cgroup` stopped at its next piece (a few MiB); nothing when none runs."""

    def underway(self) -> frozenset[str]:
        """Return the cgroups whose order has not ended, as of the last `ended`."""

    def ended(self) -> tuple[Outcome, ...]:
        """Return the orders that ended since the last call.

        Their status is "written" (all was taken), "partial", "stopped", "gone" or "failed"; `after` holds
        the bytes that surely were taken: the kernel does not say how much it took of a piece that it broke
        off.
        """

    def watch(self, cgroups: Sequence[str]) -> None:
        """Name the pods' cgroups whose pressure ends `wait`, the most important first.

        A node may watch only the first of them; its own pressure always counts.
        """

    def wait(self, seconds: float, quiet: float = 0.0) -> Wake:
        """Let time pass, at most `seconds`; return early when memory presses somewhere.

        Pressure ends it after `quiet` seconds at the earliest, also what pressed before they were over.
        """

    def stop(self) -> None:
        """End a `wait` under way and every later one at once; safe in a signal handler."""
