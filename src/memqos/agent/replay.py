"""A recorded past as a node, so that other policies can be asked what they would do: `memqos journal`.

`observe` gives the recorded snapshots one after another, `wait` goes on to the next and ends with
"stop" after the last. The past does not change: `apply` answers as a kernel would, with the value
in whole pages, but the next snapshot holds what was recorded. An agent that replays should
therefore run dry, and what its plans would have led to is the simulator's business. Orders under way and
those that ended are the recorded ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from memqos.agent.loop import Agent
from memqos.agent.order import as_kept
from memqos.agent.originals import Originals
from memqos.errors import CgroupGone
from memqos.model.plan import Outcome, Reclaim, Tick, Value, Write
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Snapshot
from memqos.node import Wake
from memqos.policy.ladder import ladder
from memqos.policy.settings import Settings


def decided_anew(ticks: Iterable[Tick], settings: Settings) -> Iterator[Tick]:
    """Yield each recorded turn with what an agent with these settings would have decided in it.

    Raises `ValueError` when there is none.
    """
    past = ReplayNode(ticks)
    nowhere = Originals(None, past.tick.snapshot.boot_id)
    agent = Agent(past, ladder(settings), past.pods, nowhere, dry_run=True, io_limited=settings.io.enabled)
    while True:
        yield agent.tick(past.tick.woken_by)
        if past.wait(0).reason == "stop":
            return


@dataclass(slots=True)
class ReplayNode:
    """Plays back ticks, oldest first; `tick` is the one being played.

    Raises `ValueError` when there is none.
    """

    ticks: Iterable[Tick]
    tick: Tick = field(init=False)
    _rest: Iterator[Tick] = field(init=False)

    def __post_init__(self) -> None:
        self._rest = iter(self.ticks)
        first = next(self._rest, None)
        if first is None:
            raise ValueError("the journal holds no turn")
        self.tick = first

    def observe(self) -> Snapshot:
        """Return the recorded snapshot."""
        return self.tick.snapshot

    def pods(self, snapshot: Snapshot) -> tuple[PlacedPod, ...]:
        """Return the recorded pods: what an `Agent` takes as its pods."""
        return self.tick.pods if snapshot is self.tick.snapshot else ()

    def apply(self, write: Write) -> Value | None:
        """Return what the knob would hold; raises `CgroupGone` for what was not there."""
        cgroup = self.tick.snapshot.cgroups.get(write.cgroup)
        if cgroup is None or write.inode not in (0, cgroup.inode):
            raise CgroupGone("it was not there", cgroup=write.cgroup, knob=write.knob)
        if isinstance(write.value, Reclaim):
            return None
        return as_kept(write, self.tick.snapshot.node.page_size)

    def begin(self, order: Write) -> None:
        """Refuse what was not there; nothing is begun in the past."""
        self.apply(order)

    def cancel(self, cgroup: str) -> None:
        """Do nothing: what ran, ran."""

    def underway(self) -> frozenset[str]:
        """Return where an order ran."""
        return self.tick.underway.reclaiming

    def ended(self) -> tuple[Outcome, ...]:
        """Return the orders that had ended when this turn was played."""
        return self.tick.underway.ended

    def watch(self, cgroups: Sequence[str]) -> None:
        """Do nothing: what woke the agent is recorded."""

    def wait(self, seconds: float, quiet: float = 0.0) -> Wake:
        """Go on to the next turn, whatever the time between them was."""
        following = next(self._rest, None)
        if following is None:
            return Wake("stop")
        self.tick = following
        return Wake("timeout")

    def stop(self) -> None:
        """Leave what is left of the past unplayed."""
        self._rest = iter(())
