"""Carrying out a plan: in a safe order, each write remembered first, read back, and kept up.

* A knob that holds its value already is left (`kept`).
* The original is in a file before the first write (`memqos.agent.originals`); when the disk does not
  take it the knob is not written, and the outcome says so.
* A value that somebody overwrote is noticed at the next turn and written again, with patience
  (`memqos.agent.contest`).
* What cannot be written, because the knob or the cgroup is not there, is told once and then waits.
* A knob that drops out of the plan goes back to its original, unless it holds somebody's newer value.
* An order to reclaim is begun and not waited for; one that still runs is left to run as long as the plan asks
  for it (whatever its size now), and is cancelled as soon as the plan does not.

No `NodeError` leaves this module: each write ends in an `Outcome`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import structs

from memqos.agent.contest import Contests
from memqos.agent.order import as_kept, held, ordered
from memqos.agent.original import SIGNATURE, Intent, Key, brings_back, holds, write_back
from memqos.agent.originals import Originals
from memqos.errors import CgroupGone, NodeError
from memqos.model.knobtext import knob_text
from memqos.model.plan import Outcome, Plan, Reclaim, Status, Value, Write
from memqos.model.snapshot import Snapshot
from memqos.node import Node


@dataclass(slots=True)
class Enforcer:
    """Carries out plans on one node, turn after turn.

    `overwritten` counts the values that somebody wrote over; `notes` is about the last turn.
    """

    node: Node
    originals: Originals
    dry_run: bool = False
    overwritten: int = 0
    notes: list[str] = field(default_factory=list)
    _ours: dict[Key, Value] = field(default_factory=dict)
    _contests: Contests = field(default_factory=Contests)
    _missing: set[Key] = field(default_factory=set)
    _told: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    _telling: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    _kept: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    """The last turn's: what holds its value still is told by the same outcome."""

    def enforce(self, plan: Plan, snapshot: Snapshot, *, release: bool = True) -> tuple[Outcome, ...]:
        """Carry out a plan made for this snapshot.

        `release` also gives back what the plan no longer holds; leave it off for a plan that is
        known to lack something.
        """
        self.notes = []
        self._told, self._telling = self._telling, {}
        wanted = {write.target for write in plan.writes}
        writes, outcomes = list(plan.writes), []
        if release:
            released, left = self._released(wanted, snapshot)
            writes += released
            outcomes += left
        due: list[Write] = []
        kept: dict[tuple[str, str], Outcome] = {}
        for write in writes:
            settled = self._settled(write, snapshot)
            if settled is None:
                due.append(write)
                continue
            outcomes.append(settled)
            if settled.status == "kept" and settled.before is not None:
                kept[write.target] = settled
        self._kept = kept
        due = ordered(due, snapshot.cgroups)
        if not self._remember(due, snapshot):
            error = "its original value cannot be kept on disk, so it is not written"
            unwritten = [write for write in due if _lasts(write)]
            outcomes += [
                self._cannot(write, "failed", snapshot.cgroups[write.cgroup].inode, error)
                for write in unwritten
            ]
            due = [write for write in due if not _lasts(write)]
        outcomes += [self._apply(write, snapshot) for write in due]
        self._forget(outcomes, snapshot)
        for cgroup in sorted(self.node.underway()):
            if (cgroup, "memory.reclaim") not in wanted:
                self.node.cancel(cgroup)
        return tuple(outcomes)

    def _settled(self, write: Write, snapshot: Snapshot) -> Outcome | None:
        """What becomes of a write without writing; `None` when it has to be written."""
        cgroup = snapshot.cgroups.get(write.cgroup)
        if cgroup is None or write.inode not in (0, cgroup.inode):
            return self._cannot(write, "gone", 0, "the cgroup is not there any more")
        if isinstance(write.value, Reclaim):
            if self.dry_run:
                return Outcome(write, "dry-run")
            return Outcome(write, "kept") if write.cgroup in self.node.underway() else None
        before, key = held(cgroup, write.knob), (write.cgroup, cgroup.inode, write.knob)
        if before is None:
            error = "there is no such knob here, or none that reads back"
            return self._cannot(write, "failed", cgroup.inode, error)
        known = self._kept.get(write.target)
        if known is not None and known.before == before and (known.write is write or known.write == write):
            self._contests.holds(key)
            return known
        if holds(before, as_kept(write, snapshot.node.page_size)):
            self._contests.holds(key)
            return Outcome(write, "kept", before, before)
        if self.dry_run:
            return Outcome(write, "dry-run", before)
        if key in self._ours and not holds(before, self._ours[key]):
            self._overwrite(write, key, before)
        contest = self._contests.waiting(key)
        if contest is None:
            return None
        left = contest.wait + 1
        if left == contest.turns:
            error = f"{contest.error}; left alone for {left} turns"
            return Outcome(write, contest.status, before, before, error)
        return Outcome(write, "waiting", before, before, f"{contest.error}; left alone for {left} more turns")

    def _cannot(self, write: Write, status: Status, inode: int, error: str) -> Outcome:
        """Tell once that a write cannot be; then it waits, until something about that changes."""
        known = self._told.get(write.target) == (inode, error)
        self._telling[write.target] = (inode, error)
        return Outcome(write, "waiting" if known else status, error=error)

    def _overwrite(self, write: Write, key: Key, found: Value) -> None:
        ours = knob_text(write.knob, self._ours.pop(key))
        theirs = knob_text(write.knob, found)
        times = self._contests.lose(key, "overwritten", f"somebody wrote {theirs} over {ours}")
        self.overwritten += 1
        self.notes.append(f"{write.cgroup}: {write.knob}: somebody wrote {theirs} over {ours}, time {times}")

    def _remember(self, due: Iterable[Write], snapshot: Snapshot) -> bool:
        intents = []
        for write in due:
            cgroup = snapshot.cgroups[write.cgroup]
            before = held(cgroup, write.knob)
            if _lasts(write) and before is not None:
                value = as_kept(write, snapshot.node.page_size)
                intents.append(Intent(write.cgroup, cgroup.inode, write.knob, before, value))
        try:
            self.originals.remember(intents)
        except OSError as error:
            self.notes.append(
                f"{self.originals.path}: {error.strerror}: nothing new is written; make room there, or name "
                "another state directory"
            )
            return False
        return True

    def _apply(self, write: Write, snapshot: Snapshot) -> Outcome:
        cgroup = snapshot.cgroups[write.cgroup]
        before, key = held(cgroup, write.knob), (write.cgroup, cgroup.inode, write.knob)
        try:
            if isinstance(write.value, Reclaim):
                self.node.begin(structs.replace(write, inode=cgroup.inode))
                return Outcome(write, "begun")
            after = self.node.apply(structs.replace(write, inode=cgroup.inode))
        except CgroupGone as error:
            return Outcome(write, "gone", before, error=str(error))
        except NodeError as error:
            if not isinstance(write.value, Reclaim):
                self._contests.lose(key, "failed", str(error))
            return Outcome(write, "failed", before, error=str(error))
        value = as_kept(write, snapshot.node.page_size)
        if after is None or holds(after, value):
            if _lasts(write):
                self._ours[key] = value
            return Outcome(write, "written", before, after)
        self.overwritten += 1
        error_text = f"it reads back as {knob_text(write.knob, after)}"
        self._contests.lose(key, "overwritten", error_text)
        return Outcome(write, "overwritten", before, after, error_text)

    def _released(
        self, wanted: set[tuple[str, str]], snapshot: Snapshot
    ) -> tuple[list[Write], list[Outcome]]:
        """Return the writes that bring back what is no longer wanted, and what is left as it is."""
        writes, left = [], []
        missing, self._missing = self._missing, set()
        for original in self.originals.all():
            cgroup = snapshot.cgroups.get(original.cgroup)
            if cgroup is None or cgroup.inode != original.inode:
                self._missing.add(original.key)
                if original.key in missing:
                    self._drop([original.key])
                continue
            if (original.cgroup, original.knob) in wanted:
                continue
            found = held(cgroup, original.knob)
            value = brings_back(original, found)
            before = original.value if value is None else value
            why = f"no policy asks for it; it held {knob_text(original.knob, before)} before memqos"
            write = write_back(original, before, why)
            if value is None:
                error = (
                    f"it holds {knob_text(original.knob, found)}, which memqos did not write: left as it is"
                )
                left.append(Outcome(write, "overwritten", found, found, error))
            else:
                writes.append(write)
        return writes, left

    def _forget(self, outcomes: Iterable[Outcome], snapshot: Snapshot) -> None:
        """Drop the originals of knobs that are back at them, or that somebody else took over."""
        ended = []
        for outcome in outcomes:
            write = outcome.write
            if write.policy == SIGNATURE and outcome.status in ("written", "kept", "overwritten"):
                ended.append((write.cgroup, snapshot.cgroups[write.cgroup].inode, write.knob))
        self._drop(ended)

    def _drop(self, keys: list[Key]) -> None:
        if self.dry_run:
            return
        for key in keys:
            self._ours.pop(key, None)
            self._contests.forget(key)
        try:
            self.originals.forget(keys)
        except OSError as error:
            self.notes.append(f"{self.originals.path}: {error.strerror}: it keeps more than needed")


def _lasts(write: Write) -> bool:
    """True for a value a knob keeps, and that can be brought back: not an order, not a bring-back."""
    return not isinstance(write.value, Reclaim) and write.policy != SIGNATURE
