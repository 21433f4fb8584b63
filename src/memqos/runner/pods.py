"""`Runner`: pods in a world, each in the cgroups that a kubelet would give it."""

from __future__ import annotations

import contextlib
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from memqos.errors import Busy, InputError, NodeError
from memqos.model.plan import Write
from memqos.model.pods import PlacedPod, Pod
from memqos.runner import lifecycle
from memqos.runner.held import Held
from memqos.runner.lifecycle import Run
from memqos.runner.rules import Rules
from memqos.runner.stage import PATIENCE, Stage
from memqos.runner.status import ContainerEvent, ContainerStatus, EventKind, PodStatus, Termination
from memqos.runner.world import Cgroups, Launch, NotStarted, Start

_AGAIN_US: Final = 10**6
"""How long to wait before what did not end by SIGKILL gets it once more."""


class Runner(ABC):
    """Runs pods. Nothing happens by itself: `poll` does what is due and says what happened.

    `scale` shortens the crash loop's waiting (0.01: 100 ms instead of 10 s).
    """

    def __init__(
        self,
        rules: Rules,
        cgroups: Cgroups,
        *,
        start: Start,
        write: Callable[[Write], object],
        clock: Callable[[], int],
        scale: float = 1.0,
    ) -> None:
        """Take the tree: see `Cgroups.claim` for what it raises. `clock` is microseconds."""
        self.rules = rules
        self.scale = scale
        self._clock = clock
        self._start = start
        self._pods: dict[str, Held] = {}
        self._gone: dict[str, PodStatus] = {}
        self._events: list[ContainerEvent] = []
        self._cgroups = cgroups
        self._stage = Stage(cgroups, rules, write)

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Sleep until a container ends, a back-off or grace period is over, or `seconds` went by."""

    def create(self, pod: Pod) -> PlacedPod:
        """Make a pod's cgroups and write the kubelet's values; nothing runs before `start`.

        Raises `InputError` for a pod that is here already, `NodeError` when the kernel refuses.
        """
        if pod.uid in self._pods:
            raise InputError(f"pod {pod.key} runs already", field="metadata.uid")
        placed = self._stage.place(pod)
        cgroup = placed.cgroup or ""
        held = self._pods[pod.uid] = Held(placed, cgroup, lifecycle.runs_of(pod))
        try:
            self._stage.make_pod(cgroup, self.placed)
            for run in held.runs:
                self._stand(held, run)
        except BaseException:
            del self._pods[pod.uid]
            self._cgroups.remove(cgroup)
            raise
        self._gone.pop(pod.uid, None)
        return placed

    def start(self, uid: str) -> None:
        """Let a created pod run: the next `poll` starts what comes first."""
        self._held(uid).wanted = True

    def poll(self) -> list[ContainerEvent]:
        """Do what is due now, without waiting for it, and return what happened since the last call.

        A container that is to be started again has its cgroup made anew here, with the kubelet's
        values, and is started by the next call at the earliest, so that whoever manages the node can
        write to it first.
        """
        due = [(held, run) for held in self._pods.values() for run in held.due(self._clock())]
        for holder, run in due:
            self._launch(holder, run)
        for held in list(self._pods.values()):
            for run in held.runs:
                self._reap(held, run)
            for run in held.runs:
                if held.wanted and run.state == "waiting" and run.container.name not in held.standing:
                    self._stand_again(held, run)
            self._end(held)
        events, self._events = self._events, []
        return events

    def next_due_us(self) -> int | None:
        """When (monotonic clock) `poll` has something to do, if no container ends before."""
        times = [held.deadline_us for held in self._pods.values()]
        times += [lifecycle.next_due(held.runs) for held in self._pods.values() if held.wanted]
        now = self._clock()
        if any(held.due(now) or (held.leaving and not held.processes) for held in self._pods.values()):
            times.append(now)
        return min((each for each in times if each is not None), default=None)

    def now_us(self) -> int:
        """Microseconds of the runner's clock."""
        return self._clock()

    @property
    def placed(self) -> tuple[PlacedPod, ...]:
        """The pods that have cgroups."""
        return tuple(held.placed for held in self._pods.values())

    def pods(self) -> tuple[PodStatus, ...]:
        """Every pod's status, those that are gone included."""
        return (*self._gone.values(), *(held.status() for held in self._pods.values()))

    def statuses(self) -> tuple[ContainerStatus, ...]:
        """Every container's status, those of gone pods included."""
        return tuple(status for pod in self.pods() for status in pod.containers)

    def evict(
        self, uid: str, reason: str = "Evicted", grace: float | None = None, *, message: str = ""
    ) -> None:
        """Begin to end a pod: SIGTERM now, SIGKILL after `grace` seconds; `poll` carries it on.

        `reason` and `message` become the pod's status, unless it had ended by itself.
        Without `grace` it is the pod's terminationGracePeriodSeconds. Sidecars get their SIGTERM when
        the containers are gone, the last of them first (KEP-753). When all is over the pod's cgroups
        are removed and a `gone` event says so. Raises `InputError` for a pod that is not here.
        """
        held = self._held(uid)
        if not held.leaving:
            held.leaving, held.wanted, held.deadline_us = True, False, None
            if not lifecycle.over(held.runs):
                held.reason, held.message = reason, message
            self._say("evicted", held, message=f"{reason}: {message}" if message else reason)
        deadline = self._clock() + held.grace_us(grace)
        held.deadline_us = min(deadline, held.deadline_us or deadline)
        self._end(held)

    def kill(self, uid: str, container: str, message: str = "") -> None:
        """SIGKILL all of one container; whether it is started again is its restartPolicy's business.

        Its termination gets `message`. Raises `InputError` for a pod that is not here or a container that
        does not run.
        """
        held = self._held(uid)
        if container not in held.processes:
            raise InputError(f"container {container!r} of {held.pod.key} does not run")
        held.killed[container] = message
        self._cgroups.kill(held.placed.containers[container])

    def stop(
        self, grace: float | None = None, *, hurried: Callable[[], bool] = lambda: False
    ) -> list[ContainerEvent]:
        """End all pods, wait for it, and remove the whole tree; returns what happened meanwhile.

        Once `hurried` is true nobody gets any more grace; it is asked twice a second. Raises `Busy`
        when processes outlive SIGKILL by 10 seconds.
        """
        for uid in list(self._pods):
            self.evict(uid, "Stopped", grace)
        latest = max((held.deadline_us or 0 for held in self._pods.values()), default=0) + 10 * 10**6
        events = self.poll()
        while self._pods:
            if self._clock() > latest:
                raise Busy("processes do not end", cgroup=next(iter(self._pods.values())).cgroup)
            if hurried():
                for uid in list(self._pods):
                    self.evict(uid, "Stopped", 0)
            self.wait(0.5)
            events += self.poll()
        self._cgroups.remove(self.rules.shared[0])
        return events

    def _held(self, uid: str) -> Held:
        if uid not in self._pods:
            raise InputError(f"there is no pod with uid {uid!r} here", remedy="create it first")
        return self._pods[uid]

    def _stand(self, held: Held, run: Run) -> None:
        if self._stage.make_container(held.path(run), self.placed):
            held.standing.add(run.container.name)
            self._say("created", held, run)

    def _stand_again(self, held: Held, run: Run) -> None:
        """Make the cgroup for the next run; a refusal counts as a run that failed, and is tried again."""
        if run.due_us > self._clock() and run.container.name in held.refused:
            return
        try:
            self._stand(held, run)
            held.refused.discard(run.container.name)
        except NodeError as error:
            held.refused.add(run.container.name)
            now = self._clock()
            how = Termination(128, "CreateContainerError", now, now, message=str(error))
            self._ended(held, run, how, "failed")

    def _launch(self, held: Held, run: Run) -> None:
        pod, container = held.pod, run.container
        adjust = self.rules.oom_score_adj(pod, container)
        process = self._start(Launch(pod, container, held.path(run), adjust, run.starts))
        now = self._clock()
        if isinstance(process, NotStarted):
            how = Termination(process.exit_code, "StartError", now, now, message=process.message)
            self._ended(held, run, how, "failed")
        else:
            held.processes[container.name] = process
            run.started(now)
            self._say("started", held, run)

    def _reap(self, held: Held, run: Run) -> None:
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
        run.ended(how, self.scale, for_good=held.over)
        self._say(kind, held, run, message=how.message, termination=how)
        if run.state == "waiting":
            held.standing.discard(run.container.name)
            if run.due_us > how.finished_us:
                seconds = (run.due_us - how.finished_us) / 1e6
                self._say("backoff", held, run, message=f"back-off {seconds:g}s restarting the container")

    def _end(self, held: Held) -> None:
        """Carry on the end of a pod that leaves, and of the sidecars of one whose containers are done."""
        if not held.leaving and not (held.processes and lifecycle.over(held.runs)):
            return
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
            return
        if not held.leaving:
            held.deadline_us = None
        elif self._cgroups.remove(held.cgroup, PATIENCE):
            self._gone[held.pod.uid] = held.status()
            del self._pods[held.pod.uid]
            self._say("gone", held, message=held.reason)
            with contextlib.suppress(NodeError):  # the next create writes them again, and says why not
                self._stage.configure(set(self.rules.shared), self.placed)

    def _say(
        self,
        kind: EventKind,
        held: Held,
        run: Run | None = None,
        *,
        message: str = "",
        termination: Termination | None = None,
    ) -> None:
        pod, name = held.pod, run.container.name if run else ""
        event = ContainerEvent(kind, self._clock(), pod.key, pod.uid, name, message, termination)
        self._events.append(event)
