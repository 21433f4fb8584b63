"""The course of a play: while time passes, run what is due, manage the node, and record what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from memqos.errors import LabError
from memqos.lab.evictor import Evictor
from memqos.lab.experiment import Play
from memqos.lab.manage import Manager, kubelet_of, manager_of
from memqos.lab.recording import Happened, Look, PodLook, Recording, Written
from memqos.lab.watch import Share, Watcher
from memqos.lab.world import World
from memqos.model.pods import Pod
from memqos.runner.status import ContainerEvent, PodStatus

_NAP = 0.25
"""Seconds between looks at what is waited for."""

_REFUSED = PodLook(phase="Failed", running=0, restarts=0, oom_kills=0, reason="Evicted")
"""A pod that was not admitted (pkg/kubelet/eviction/eviction_manager.go `Admit`)."""


class Course:
    """Time, in one world, for one play; `record` is what it has shown so far."""

    def __init__(
        self, play: Play, world: World, pods: Mapping[str, Pod], evictor: Evictor | None, watcher: Watcher
    ) -> None:
        self._play, self._world, self._watcher = play, world, watcher
        self._node, self._runner = world.node, world.runner
        self._names = {pod.uid: pod.name for pod in pods.values()}
        self._share = Share(play.timeline)
        self._step, self._step_began = 0, 0.0
        self._refused: set[str] = set()
        self._evictor = evictor
        if play.manager == "nobody":
            self._evictor = None
        elif play.manager is not None and evictor is None:
            self._evictor = Evictor(kubelet_of(play.kubelet), self._runner.now_us())
        rival = None if play.manager is None else world.rival(play.manager)
        self._manager: Manager | None = rival or manager_of(
            play.manager, play.policy, self._node, self._runner, play.law
        )
        self._woken = ""
        self._began = self._next_sample = self._next_turn = world.now()
        self.record = Recording(variant=play.name, release=world.release, devices=dict(world.devices))

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return self._world.now() - self._began

    @property
    def refused(self) -> frozenset[str]:
        """The names of the pods that were not admitted when they were started last."""
        return frozenset(self._refused)

    def step(self, index: int) -> None:
        """The timeline comes to its step `index`: what is shown of its progress counts from there."""
        self._step, self._step_began = index, self.seconds

    def end(self, *, look: bool) -> float:
        """Let go of the node, after a last look if one is wanted; return the seconds it took in all."""
        if look:
            self._sample()
        seconds = self.seconds
        if self._manager is not None:
            self._manager.close()
        return seconds

    def admits(self, pod: Pod) -> bool:
        """Whether the kubelet would take the pod now; one that it refuses is shown as failed from then on."""
        self._refused.discard(pod.name)
        if self._evictor is None or self._evictor.admits(pod):
            return True
        self._refused.add(pod.name)
        self.note("refused", pod.key, "the node is short of memory")
        return False

    def pass_time(self, seconds: float, *, until: Callable[[], bool] | None = None) -> None:
        """Let time pass, or less `until` something: run what is due, manage, look as often as asked."""
        deadline = self._world.now() + seconds
        while True:
            events = self._runner.poll()
            for event in events:
                self.note(event.kind, f"{event.pod}/{event.container}".rstrip("/"), _how(event))
            self._turn_if_due(events)
            if self._evictor is not None:
                self._evictor.look(self._node, self._runner, self.note)
            now = self._world.now()
            self._watcher.advanced(self._share.at(self._step, self.seconds - self._step_began))
            if self._play.every > 0 and now >= self._next_sample:
                self._next_sample = now + self._play.every
                self._sample()
            if now >= deadline or (until is not None and until()):
                return
            self._let_go_by(0.0 if until is not None and events else max(0.0, self._due(deadline) - now))

    def _due(self, deadline: float) -> float:
        """When there is something to do next, in the world's seconds."""
        times = [deadline]
        if self._play.every > 0:
            times.append(self._next_sample)
        if self._evictor is not None:
            times.append(self._evictor.next_us / 1e6)
        if self._manager is not None and self._manager.interval is not None:
            times.append(self._next_turn)
        return min(times)

    def _let_go_by(self, seconds: float) -> None:
        if self._manager is not None and self._manager.woken:
            self._woken = self._world.wait(seconds)
        else:
            self._runner.wait(seconds)

    def _turn_if_due(self, events: list[ContainerEvent]) -> None:
        if self._manager is None:
            return
        timed = self._manager.interval is not None and self._world.now() >= self._next_turn
        if timed or self._woken or any(event.kind == "created" for event in events):
            self.manage()

    def _sample(self) -> None:
        if self._manager is not None and self._manager.interval is None:
            self.manage()
        self.record.samples.append(self.look())

    def manage(self) -> None:
        """Let the manager take its turn, and write down what it did."""
        if self._manager is None:
            return
        woken, self._woken = self._woken, ""
        for done in self._manager.turn(woken):
            written = Written(self.seconds, *done)
            self.record.writes.append(written)
            self._watcher.wrote(written)
            if done.knob == "evict" and done.status in ("written", "begun"):
                self.note("evicting", done.cgroup, done.why)
        while self._manager.notes:
            self.note(*self._manager.notes.pop(0))
        if self._manager.interval is not None:
            self._next_turn = self._world.now() + self._manager.interval

    def until(self, reached: Callable[[], bool], timeout: float, what: str) -> None:
        """Let time pass until it is reached; raises `LabError` after `timeout` seconds in vain."""
        deadline = self._world.now() + timeout
        while not reached():
            if self._world.now() > deadline:
                raise LabError(f"waited {timeout:g} s in vain for {what.strip()}")
            self.pass_time(_NAP, until=reached)

    def look(self) -> Look:
        """Look at the node and its pods."""
        seconds, snapshot = self.seconds, self._node.observe()
        held = {self._names[each.uid]: _pod(each) for each in self._runner.pods()}
        return Look(seconds, snapshot, {**dict.fromkeys(self._refused, _REFUSED), **held})

    def note(self, what: str, subject: str, text: str) -> None:
        """Write down what happened."""
        event = Happened(self.seconds, what, subject, text)
        self.record.events.append(event)
        self._watcher.happened(event)


def _pod(status: PodStatus) -> PodLook:
    # how a pod ended is how its own containers did: a sidecar is told to end after them
    ended = [(each.kind == "container", each.last) for each in status.containers if each.last is not None]
    last = max(ended, key=lambda each: (each[0], each[1].finished_us), default=(False, None))[1]
    return PodLook(
        phase=status.phase,
        running=sum(each.state == "running" for each in status.containers),
        restarts=sum(each.restarts for each in status.containers),
        oom_kills=sum(each.oom_kills for each in status.containers),
        exit_code=None if last is None else last.exit_code,
        reason=status.reason or ("" if last is None else last.reason),
    )


def _how(event: ContainerEvent) -> str:
    """What an event says, and how a run ended."""
    ended = event.termination
    how = f"{ended.reason}, exit code {ended.exit_code}" if ended else ""
    return "; ".join(filter(None, (how, event.message)))
