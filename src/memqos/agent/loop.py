"""The agent: observe, decide, enforce, record; again when memory presses or the interval is over.

No single failure ends the loop. A policy that raises is left out of that turn and nothing it holds
is given back meanwhile; a node that cannot be observed is looked at again at the next turn; pods
that cannot be listed are those of the last turn. Each is a note of the turn's `Tick`, and so is, once, a
file that does not read.

`run` ends on `stop`, on SIGTERM or on SIGINT, at once when it is waiting, and brings the original
values back.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Final, Protocol, TypeAlias

from memqos.agent.enforce import Enforcer
from memqos.agent.evict import Evictions, Evictor
from memqos.agent.originals import Originals
from memqos.agent.restore import restore
from memqos.errors import MemqosError, NodeError
from memqos.linux.signals import handled
from memqos.model.plan import Outcome, Plan, Tick, Underway
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Snapshot
from memqos.model.view import View
from memqos.node import Node, Wake
from memqos.policy import AnyPolicy
from memqos.policy.compose import foresee, overlay
from memqos.policy.guard import refuse
from memqos.policy.importance import importance
from memqos.policy.settings import AgentSettings

Pods: TypeAlias = Callable[[Snapshot], tuple[PlacedPod, ...]]
"""The pods on the node and where they live, as of a snapshot."""


class Recorder(Protocol):
    """Where ticks go; a `Journal` is one. It never raises."""

    def append(self, tick: Tick) -> bool:
        """Record one turn; false when it was dropped."""


_SOONEST: Final = 0.1
"""Seconds: no policy makes the loop turn faster, so that looking costs a known share of one core."""
_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class Agent:
    """The loop over one node. Without an `evictor` nobody is evicted, and a person is told who would be.

    `on_tick` sees every tick, after it was recorded. With `dry_run` no knob is written. `ended_in_us`
    is how long `run` took from being told to stop until the original values were back.

    `guarded`: dangerous writes are refused (`memqos.policy.guard`); rivals in an experiment are carried out
    as they are. `io_limited`: the policies limit the I/O of whoever disturbs. `next_look` is how many seconds
    the last turn lets pass at most.
    """

    def __init__(
        self,
        node: Node,
        policies: tuple[AnyPolicy, ...],
        pods: Pods,
        originals: Originals,
        *,
        journal: Recorder | None = None,
        settings: AgentSettings | None = None,
        dry_run: bool = False,
        on_tick: Callable[[Tick], None] | None = None,
        evictor: Evictor | None = None,
        guarded: bool = True,
        io_limited: bool = True,
    ) -> None:
        self.node = node
        self.policies = policies
        self.settings = settings or AgentSettings()
        self.enforcer = Enforcer(node, originals, dry_run=dry_run)
        self.evictions = Evictions(evictor, dry_run)
        self._guarded = guarded
        self._io_limited = io_limited
        self.ticks = 0
        self.next_look = self.settings.interval_seconds
        self.failed_looks = 0
        self.restored: tuple[Outcome, ...] = ()
        self._pods = pods
        self._journal = journal
        self._on_tick = on_tick
        self._memories = [policy.initial() for policy in policies]
        self._last: Snapshot | None = None
        self._placed: tuple[PlacedPod, ...] = ()
        self._watched: list[PlacedPod] | None = None
        self._notes: list[str] = []
        self.ended_in_us: int | None = None
        self._stopping = False
        self._told_ns = 0

    def tick(self, woken_by: str = "") -> Tick:
        """Turn once. Raises `NodeError` or `Unsupported` when the node cannot be observed."""
        snapshot = self.node.observe()
        notes, self._notes = self._notes, []
        known = self._last.unread if self._last else ()
        notes += [f"not read: {line}" for line in snapshot.unread if line not in known]
        try:
            self._placed = self._pods(snapshot)
            listed = True
        except Exception as error:  # noqa: BLE001 - pods come from outside, and the loop lives
            notes.append(f"pods: {_name(error)}; the pods of the last turn are taken")
            listed = False
        ended = self.node.ended()
        evictions = self.evictions
        evictions.look(self._placed, snapshot.time_us)
        underway = Underway(self.node.underway(), ended, evictions.leaving, dict(evictions.refused))
        self._watch()
        begun = time.perf_counter_ns()
        plan, whole = self._decide(View(snapshot, self._last, self._placed, underway), notes)
        decided_in_us = (time.perf_counter_ns() - begun) // 1000
        outcomes = self.enforcer.enforce(plan, snapshot, release=whole and listed)
        evicted, advice = evictions.carry_out(plan.evictions)
        if advice:
            plan = replace(plan, advice=(*plan.advice, *advice))
        notes += self.enforcer.notes
        tick = Tick(
            snapshot=snapshot,
            pods=self._placed,
            plan=plan,
            outcomes=outcomes,
            woken_by=woken_by,
            decided_in_us=decided_in_us,
            notes=tuple(notes),
            underway=underway,
            evicted=evicted,
        )
        self._last = snapshot
        self.next_look = self._until_next(plan)
        self.ticks += 1
        if self._journal is not None:
            self._journal.append(tick)
        if self._on_tick is not None:
            self._on_tick(tick)
        return tick

    def run(self, turns: int | None = None) -> None:
        """Turn until stopped, or `turns` times; then bring the original values back.

        `restored` says what became of each. Raises `NodeError` when the node cannot be observed for
        that (what is remembered stays so, for `memqos restore`), `Unsupported` as `observe` does.
        """
        # only the main thread may set handlers
        numbers = _ENDING if threading.current_thread() is threading.main_thread() else ()
        with handled(self._on_signal, *numbers):
            try:
                self._loop(turns)
            finally:
                if self.settings.restore_on_exit and not self.enforcer.dry_run:
                    self.restored = restore(self.node, self.enforcer.originals)
                if self._stopping:
                    self.ended_in_us = (time.monotonic_ns() - self._told_ns) // 1000

    def stop(self) -> None:
        """End `run` after this turn, from any thread and in a signal handler; a wait ends at once."""
        self._told_ns = self._told_ns or time.monotonic_ns()
        self._stopping = True
        self.node.stop()

    def _loop(self, turns: int | None) -> None:
        wake, done = Wake("start"), 0
        while not self._stopping and wake.reason != "stop":
            try:
                self.tick(", ".join((wake.reason, *wake.cgroups)))
            except NodeError as error:
                self.failed_looks += 1
                self._notes.append(f"the node could not be observed: {error}")
            done += 1
            if turns is not None and done >= turns:
                break
            wake = self._wait()

    def _decide(self, view: View, notes: list[str]) -> tuple[Plan, bool]:
        """Ask each policy in turn; true when all answered."""
        plans: list[Plan] = []
        now = view.now
        for index, policy in enumerate(self.policies):
            try:
                memory, plan = policy.decide(self._memories[index], view)
                view = foresee(view, plan)
            except Exception as error:  # noqa: BLE001 - a policy's bug must not take the others down
                notes.append(f"policy {policy.name}: {_name(error)}; it is left out of this turn")
                continue
            self._memories[index] = memory
            plans.append(plan)
        plan = overlay(plans)
        if self._guarded:
            plan = refuse(plan, now, view.now, io_limited=self._io_limited)
        return plan, len(plans) == len(self.policies)

    def _until_next(self, plan: Plan) -> float:
        """Return the seconds until the next look, if nothing presses: sooner where a policy asks for it."""
        asked = self.settings.interval_seconds if plan.look_in is None else plan.look_in
        return min(self.settings.interval_seconds, max(_SOONEST, asked))

    def _watch(self) -> None:
        """Have the node listen to the pods that are here, the most important first."""
        here = [placed for placed in self._placed if placed.cgroup is not None]
        if here != self._watched:
            ranked = sorted(here, key=lambda placed: importance(placed.pod), reverse=True)
            self.node.watch([placed.cgroup or "" for placed in ranked])
            self._watched = here

    def _wait(self) -> Wake:
        try:
            return self.node.wait(self.next_look, self.settings.least_interval_seconds)
        except NodeError as error:
            self._notes.append(f"waiting for pressure failed: {error}")
            time.sleep(min(1.0, self.settings.interval_seconds))
            return Wake("timeout")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop()


def _name(error: Exception) -> str:
    return str(error) if isinstance(error, MemqosError) else f"{type(error).__name__}: {error}"
