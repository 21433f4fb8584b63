"""`Runner`: pods in a world, each in the cgroups that a kubelet would give it."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable

from memqos.errors import Busy, InputError, NodeError
from memqos.model.plan import Write
from memqos.model.pods import PlacedPod, Pod
from memqos.runner import lifecycle
from memqos.runner.held import Held
from memqos.runner.rules import Rules
from memqos.runner.stage import Stage
from memqos.runner.status import ContainerEvent, ContainerStatus, PodStatus
from memqos.runner.steps import Steps
from memqos.runner.world import Cgroups, Start


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
        self._clock = clock
        self._pods: dict[str, Held] = {}
        self._gone: dict[str, PodStatus] = {}
        self._cgroups = cgroups
        self._stage = Stage(cgroups, rules, write)
        self._steps = Steps(rules, cgroups, self._stage, start=start, clock=clock, scale=scale)

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
                self._steps.stand(held, run, self.placed)
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
            self._steps.launch(holder, run)
        for held in list(self._pods.values()):
            for run in held.runs:
                self._steps.reap(held, run)
            for run in held.runs:
                if held.wanted and run.state == "waiting" and run.container.name not in held.standing:
                    self._steps.stand_again(held, run, self.placed)
            self._end(held)
        return self._steps.said()

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
            self._steps.say("evicted", held, message=f"{reason}: {message}" if message else reason)
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

    def _end(self, held: Held) -> None:
        if not self._steps.end(held):
            return
        self._gone[held.pod.uid] = held.status()
        del self._pods[held.pod.uid]
        with contextlib.suppress(NodeError):  # the next create writes them again, and says why not
            self._stage.configure(set(self.rules.shared), self.placed)
