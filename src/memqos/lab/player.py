"""Play one variant of an experiment in a world, and record what the node showed.

A world is a real kernel (`play`, inside the guest) or a simulated one (`simulated`); pods run by the pod
runner under a kubelet's rules, managed by the agent where the variant has a policy. All else is here, so
that the same file means the same in both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import msgspec

from memqos.errors import Busy, LabError, NodeError
from memqos.lab.evictor import Evictor
from memqos.lab.experiment import Exec, ManagerName, Play, Sample, Step, Wait, WriteKnob
from memqos.lab.manage import Manager, kubelet_of, manager_of
from memqos.lab.manifests import manifests_of
from memqos.lab.recording import Executed, Happened, Look, PodLook, Recording, Written
from memqos.lab.watch import Share, Watcher
from memqos.model.plan import Reclaim, Write
from memqos.model.pods import Pod
from memqos.node import Node
from memqos.runner.pods import Runner
from memqos.runner.status import ContainerEvent, PodStatus
from memqos.units import UNLIMITED, parse_bytes
from memqos.workload.result import Result

_NAP = 0.25
"""Seconds between looks at what is waited for."""

TAIL = 4000
"""Characters kept of what a program printed."""


_REFUSED = PodLook(phase="Failed", running=0, restarts=0, oom_kills=0, reason="Evicted")
"""A pod that was not admitted (pkg/kubelet/eviction/eviction_manager.go `Admit`)."""

BROKEN = "broken"
"""The event that says why a variant was not played to its end."""


class Executing(Protocol):
    """A command of the timeline that runs."""

    def poll(self) -> int | None:
        """Return its exit status once it has ended."""

    def close(self) -> tuple[float, float, str]:
        """Return its seconds of the processor (user, kernel) and what it printed."""


class World(Protocol):
    """Where a variant is played."""

    @property
    def node(self) -> Node:
        """What the agent manages."""

    @property
    def runner(self) -> Runner:
        """What runs the pods."""

    @property
    def release(self) -> str:
        """The kernel's release."""

    @property
    def devices(self) -> Mapping[str, str]:
        """The disks, by name: their major:minor."""

    def now(self) -> float:
        """Seconds of the world's clock, the one its runner and node use."""

    def wait(self, seconds: float) -> str:
        """Let time pass until memory presses, a program ends or prints, something is due, or it is over.

        Says "pressure" and where, or nothing.
        """

    def rival(self, name: ManagerName) -> Manager | None:
        """A manager that only this world has, such as a real daemon."""

    def execute(self, pod: Pod, cgroup: str, name: str) -> Executing:
        """Start what the only container of `pod` says, in a cgroup; raises `LabError`."""

    def drop_caches(self) -> None:
        """Write everything back, then drop the clean page cache."""

    def logs(self) -> dict[str, str]:
        """What the containers printed last, by "pod/container"."""

    def close(self) -> list[str]:
        """Let go of the world; return the kernel's lines about killed processes."""


class Player:
    """Plays one variant."""

    def __init__(
        self,
        play: Play,
        world: World,
        say: Callable[[str], None],
        *,
        evictor: Evictor | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._play = play
        self._watcher = watcher or Watcher()
        self._share = Share(play.timeline)
        self._step, self._step_began = 0, 0.0
        self._world = world
        self._say = say
        self._evictor = evictor
        self._node, self._runner = world.node, world.runner
        self._refused: dict[str, PodLook] = {}
        self._pods: dict[str, Pod] = {pod.name: pod for pod in manifests_of(play).pods}
        if play.manager == "nobody":
            self._evictor = None
        elif play.manager is not None and evictor is None:
            self._evictor = Evictor(kubelet_of(play.kubelet), self._runner.now_us())
        rival = None if play.manager is None else world.rival(play.manager)
        self._manager: Manager | None = rival or manager_of(
            play.manager, play.policy, self._node, self._runner
        )
        self._woken = ""
        self._began = self._next_sample = self._next_turn = world.now()
        self._record = Recording(variant=play.name, release=world.release, devices=dict(world.devices))

    def run(self) -> Recording:
        """Play the timeline to its end and return the recording; raises `LabError`."""
        self._watcher.begins(self._play, self._record.cgroups)
        for index, step in enumerate(self._play.timeline):
            self._step, self._step_began = index, self._seconds
            if step.at is not None:
                self._pass(step.at - self._seconds)
            self._say(f"{self._play.name}: {_words(step)}")
            self._note(step.action, "timeline", _words(step))
            getattr(self, f"_{step.action}")(getattr(step, step.action))
        self._watcher.advanced(1.0)
        return self.end()

    def end(self, problem: str = "") -> Recording:
        """Look once more, end all pods and return the recording; `problem` is why it ended early."""
        if problem:
            self._note(BROKEN, "timeline", problem)
        if self._play.every > 0 or problem:
            self._look_at_all()
        seconds = self._seconds
        if self._manager is not None:
            self._manager.close()
        self._runner.stop(grace=1)
        # a workload that is told to stop prints what it has
        for name, text in self._world.logs().items():
            self._record.logs[name] = text[-TAIL:]
            self._record.results[name] = results_in(text)
        self._record.kernel_log.extend(self._world.close())
        return msgspec.structs.replace(self._record, seconds=seconds)

    def _end_pods(self) -> None:
        """End all pods; one that waits for a slow disk outlives its SIGKILL by a minute, no more."""
        deadline = self._world.now() + 60
        while True:
            try:
                self._runner.stop(grace=1)
            except Busy:
                if self._world.now() > deadline:
                    raise
            else:
                return

    def _group(self, name: str) -> list[Pod]:
        """Return the pod of this name, or all its copies."""
        found = [pod for each, pod in self._pods.items() if each == name or _copy_of(each) == name]
        return sorted(found, key=lambda pod: int(pod.name.rpartition("-")[2]) if len(found) > 1 else 0)

    def _start(self, name: str) -> None:
        began = self._seconds
        for number, pod in enumerate(self._group(name)):
            self._pass(began + number * self._play.stagger - self._seconds)
            self._start_one(pod.name)

    def _start_one(self, name: str) -> None:
        pod = self._pods[name]
        self._refused.pop(name, None)
        if self._evictor is not None and not self._evictor.admits(pod):
            self._record.cgroups[name] = self._runner.rules.pod_cgroup(pod)
            self._refused[name] = _REFUSED
            self._note("refused", pod.key, "the node is short of memory")
            return
        placed = self._runner.create(pod)
        assert placed.cgroup is not None
        self._record.cgroups[name] = placed.cgroup
        self._record.cgroups.update({f"{name}/{each}": path for each, path in placed.containers.items()})
        self._manage()
        self._runner.start(pod.uid)
        self._pass(0)

    def _stop(self, name: str) -> None:
        here = {each.pod.uid for each in self._runner.placed} & {pod.uid for pod in self._group(name)}
        for uid in here:
            self._runner.evict(uid, "Stopped", grace=1)
        self._until(
            lambda: not any(each.pod.uid in here for each in self._runner.placed), 30, f"{name} to go"
        )

    def _mark(self, name: str) -> None:
        self._record.marks[name] = self._look()

    def _sleep(self, seconds: float) -> None:
        self._pass(seconds)

    def _sample(self, sample: Sample) -> None:
        for _ in range(sample.count):
            self._pass(sample.every)
            self._record.samples.append(self._look())

    def _exec(self, step: Exec) -> None:
        pod, container = self._pods[step.pod], self._container(step.pod, step.container)
        name = step.name or f"exec{len(self._record.execs) + 1}"
        cgroup = self._record.cgroups[f"{step.pod}/{container}"]
        began = self._world.now()
        process = self._world.execute(_with_command(pod, container, step.command), cgroup, name)
        self._until(
            lambda: process.poll() is not None, step.timeout, f"{' '.join(step.command)} in {step.pod}"
        )
        real = self._world.now() - began
        user, sys, output = process.close()
        self._record.execs[name] = Executed(
            started=began - self._began,
            real=real,
            user=user,
            sys=sys,
            status=process.poll() or 0,
            output=output[-TAIL:],
        )

    def _wait(self, step: Wait) -> None:
        pods = self._group(step.pod)
        uids = {pod.uid for pod in pods}

        def said(name: str) -> bool:
            return any(
                step.word in text
                for each, text in self._world.logs().items()
                if each.partition("/")[0] == name
            )

        def reached() -> bool:
            if step.until == "said":
                return all(said(pod.name) for pod in pods)
            statuses = [each for each in self._runner.statuses() if each.uid in uids]
            if step.until == "running":
                return bool(statuses) and all(each.state == "running" for each in statuses)
            return bool(statuses) and all(each.state == "terminated" for each in statuses)

        if step.patient:
            self._pass(step.timeout, until=reached)
        else:
            self._until(reached, step.timeout, f"{step.pod} to have {step.until} {step.word}")

    def _write(self, step: WriteKnob) -> None:
        container = self._container(step.pod, step.container)
        path = self._record.cgroups[f"{step.pod}/{container}" if step.container else step.pod]
        size = UNLIMITED if step.value == "max" else parse_bytes(step.value)
        value = Reclaim(size) if step.knob == "memory.reclaim" else size
        status, why = "written", f"the timeline says so, {_words(Step(write=step))}"
        try:
            self._node.apply(Write(path, step.knob, value, why))
        except Busy as error:
            status, why = "failed", str(error)
        except NodeError as error:
            raise LabError(str(error)) from error
        self._record.writes.append(Written(self._seconds, path, step.knob, str(size), status, why))

    def _container(self, pod: str, name: str) -> str:
        return next(c.name for c in self._pods[pod].all_containers if name in ("", c.name))

    def _drop_caches(self, wanted: bool) -> None:
        if wanted:
            self._world.drop_caches()

    def _until(self, reached: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = self._world.now() + timeout
        while not reached():
            if self._world.now() > deadline:
                raise LabError(f"waited {timeout:g} s in vain for {what.strip()}")
            self._pass(_NAP, until=reached)

    def _pass(self, seconds: float, *, until: Callable[[], bool] | None = None) -> None:
        """Let time pass, or less `until` something: run what is due, manage, look as often as asked."""
        deadline = self._world.now() + seconds
        while True:
            events = self._runner.poll()
            for event in events:
                self._note(event.kind, f"{event.pod}/{event.container}".rstrip("/"), _how(event))
            self._turn_if_due(events)
            if self._evictor is not None:
                self._evictor.look(self._node, self._runner, self._note)
            now = self._world.now()
            self._watcher.advanced(self._share.at(self._step, self._seconds - self._step_began))
            if self._play.every > 0 and now >= self._next_sample:
                self._next_sample = now + self._play.every
                self._look_at_all()
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
            self._manage()

    def _look_at_all(self) -> None:
        if self._manager is not None and self._manager.interval is None:
            self._manage()
        self._record.samples.append(self._look())

    def _manage(self) -> None:
        if self._manager is None:
            return
        woken, self._woken = self._woken, ""
        for done in self._manager.turn(woken):
            written = Written(self._seconds, *done)
            self._record.writes.append(written)
            self._watcher.wrote(written)
            if done.knob == "evict" and done.status in ("written", "begun"):
                self._note("evicting", done.cgroup, done.why)
        while self._manager.notes:
            self._note(*self._manager.notes.pop(0))
        if self._manager.interval is not None:
            self._next_turn = self._world.now() + self._manager.interval

    def _look(self) -> Look:
        seconds, snapshot = self._seconds, self._node.observe()
        names = {pod.uid: pod.name for pod in self._pods.values()}
        held = {names[each.uid]: self._pod(each) for each in self._runner.pods()}
        return Look(seconds, snapshot, {**self._refused, **held})

    def _pod(self, status: PodStatus) -> PodLook:
        ends = [each.last for each in status.containers if each.last is not None]
        last = max(ends, key=lambda end: end.finished_us, default=None)
        return PodLook(
            phase=status.phase,
            running=sum(each.state == "running" for each in status.containers),
            restarts=sum(each.restarts for each in status.containers),
            oom_kills=sum(each.oom_kills for each in status.containers),
            exit_code=None if last is None else last.exit_code,
            reason=status.reason or ("" if last is None else last.reason),
        )

    @property
    def _seconds(self) -> float:
        return self._world.now() - self._began

    def _note(self, what: str, subject: str, text: str) -> None:
        event = Happened(self._seconds, what, subject, text)
        self._record.events.append(event)
        self._watcher.happened(event)


def _copy_of(name: str) -> str:
    """Return the name that a copy was made of."""
    stem, _, number = name.rpartition("-")
    return stem if number.isdigit() else ""


def _with_command(pod: Pod, container: str, command: tuple[str, ...]) -> Pod:
    """Return the pod with one container that runs another command: what exec runs, with its env."""
    found = next(each for each in pod.all_containers if each.name == container)
    return replace(pod, containers=(replace(found, command=command, args=()),), init_containers=())


def _how(event: ContainerEvent) -> str:
    """What an event says, and how a run ended."""
    ended = event.termination
    how = f"{ended.reason}, exit code {ended.exit_code}" if ended else ""
    return "; ".join(filter(None, (how, event.message)))


def _words(step: Step) -> str:
    value = getattr(step, step.action)
    detail = value if isinstance(value, (str, int, float)) else getattr(value, "pod", "")
    return f"{step.action.replace('_', ' ')} {detail}".strip()


def results_in(text: str) -> list[Result]:
    """The results that a workload has printed, one JSON line each; other lines are passed over."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            with contextlib.suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(line, type=Result))
    return found
