"""Carries each pod of a `Runner` one step on: its cgroups, starts, ends, and what there is to say of them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import Final

from memqos.errors import NodeError
from memqos.model.pods import PlacedPod
from memqos.runner import lifecycle
from memqos.runner.held import Held
from memqos.runner.lifecycle import Run
from memqos.runner.rules import Rules
from memqos.runner.stage import PATIENCE, Stage
from memqos.runner.status import ContainerEvent, EventKind, Termination
from memqos.runner.world import Cgroups, Launch, NotStarted, Start

_AGAIN_US: Final = 10**6
"""How long to wait before what did not end by SIGKILL gets it once more."""


class Steps:
    """The steps of one pod at a time. Events are kept until `said` takes them.

    `clock` is microseconds; `scale` shortens the crash loop's waiting (0.01: 100 ms instead of 10 s).
    """

    def __init__(
        self,
        rules: Rules,
        cgroups: Cgroups,
        stage: Stage,
        *,
        start: Start,
        clock: Callable[[], int],
        scale: float,
    ) -> None:
        self._rules = rules
        self._cgroups = cgroups
        self._stage = stage
        self._start = start
        self._clock = clock
        self._scale = scale
        self._events: list[ContainerEvent] = []

    def said(self) -> list[ContainerEvent]:
        """Return what happened since the last call."""
        events, self._events = self._events, []
        return events

    def stand(self, held: Held, run: Run, placed: Sequence[PlacedPod]) -> None:
        """Make the cgroup of a container's first run; raises what `Stage.make_container` raises."""
        if self._stage.make_container(held.path(run), placed):
            held.standing.add(run.container.name)
            self.say("created", held, run)

    def stand_again(self, held: Held, run: Run, placed: Sequence[PlacedPod]) -> None:
        """Make the cgroup for the next run; a refusal counts as a run that failed, and is tried again."""
        if run.due_us > self._clock() and run.container.name in held.refused:
            return
        try:
            self.stand(held, run, placed)
            held.refused.discard(run.container.name)
        except NodeError as error:
            held.refused.add(run.container.name)
            now = self._clock()
            how = Termination(128, "CreateContainerError", now, now, message=str(error))
            self._ended(held, run, how, "failed")

    def launch(self, held: Held, run: Run) -> None:
        """Start a container whose cgroup stands."""
        pod, container = held.pod, run.container
        adjust = self._rules.oom_score_adj(pod, container)
        process = self._start(Launch(pod, container, held.path(run), adjust, run.starts))
        now = self._clock()
        if isinstance(process, NotStarted):
            how = Termination(process.exit_code, "StartError", now, now, message=process.message)
            self._ended(held, run, how, "failed")
        else:
            held.processes[container.name] = process
            run.started(now)
            self.say("started", held, run)

    def reap(self, held: Held, run: Run) -> None:
        """Take note of a container that ended."""
        process = held.processes.get(run.container.name)
        code = None if process is None else process.poll()
        if process is None or code is None:
            return
        held.processes.pop(run.container.name).close()
        message = held.killed.pop(run.container.name, "")
        cgroup = held.path(run)
        self._cgroups.kill(cgroup)  # the rest ends with the first process, as in a container's pid namespace
        kills = self._cgroups.oom_kills(cgroup)
        reason = "OOMKilled" if kills else "Error" if code else "Completed"
        how = Termination(code, reason, run.started_us, self._clock(), kills, message)
        self._ended(held, run, how, "exited")

    def _ended(self, held: Held, run: Run, how: Termination, kind: EventKind) -> None:
        run.ended(how, self._scale, for_good=held.over)
        self.say(kind, held, run, message=how.message, termination=how)
        if run.state == "waiting":
            held.standing.discard(run.container.name)
            if run.due_us > how.finished_us:
                seconds = (run.due_us - how.finished_us) / 1e6
                self.say("backoff", held, run, message=f"back-off {seconds:g}s restarting the container")

    def end(self, held: Held) -> bool:
        """Carry on the end of a pod that leaves, and of the sidecars of one whose containers are done.

        Returns true once it is gone, with its cgroups.
        """
        if not held.leaving and not (held.processes and lifecycle.over(held.runs)):
            return False
        if held.deadline_us is None:
            held.deadline_us = self._clock() + held.grace_us()
        for run in lifecycle.to_terminate(held.runs):
            if run.container.name not in held.signalled:
                held.signalled.add(run.container.name)
                held.processes[run.container.name].send(signal.SIGTERM)
        if self._clock() >= held.deadline_us:
            for name in held.processes:
                self._cgroups.kill(held.placed.containers[name])
            held.deadline_us = self._clock() + _AGAIN_US
        if held.processes:
            return False
        if not held.leaving:
            held.deadline_us = None
        elif self._cgroups.remove(held.cgroup, PATIENCE):
            self.say("gone", held, message=held.reason)
            return True
        return False

    def say(
        self,
        kind: EventKind,
        held: Held,
        run: Run | None = None,
        *,
        message: str = "",
        termination: Termination | None = None,
    ) -> None:
        """Add an event."""
        pod, name = held.pod, run.container.name if run else ""
        event = ContainerEvent(kind, self._clock(), pod.key, pod.uid, name, message, termination)
        self._events.append(event)
