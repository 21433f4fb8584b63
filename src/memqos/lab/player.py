"""Play one variant of an experiment in a world, and record what the node showed.

Pods run by the pod runner under a kubelet's rules, managed by whoever the variant names. The same file
means the same on a real kernel and on a simulated one: all that differs is in their `World`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import msgspec

from memqos.errors import Busy, LabError, NodeError
from memqos.lab.course import Course
from memqos.lab.evictor import Evictor
from memqos.lab.experiment import Play
from memqos.lab.manifests import manifests_of
from memqos.lab.recording import Executed, Recording, Written
from memqos.lab.steps import Exec, Sample, Step, Wait, WriteKnob
from memqos.lab.variant import members_of
from memqos.lab.watch import Watcher
from memqos.lab.world import World
from memqos.model.plan import Reclaim, Write
from memqos.model.pods import Pod
from memqos.units import UNLIMITED, parse_bytes
from memqos.workload.result import Result

TAIL = 4000
"""Characters kept of what a program printed."""

BROKEN = "broken"
"""The event that says why a variant was not played to its end."""


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
        self._play, self._world, self._say = play, world, say
        self._watcher = watcher or Watcher()
        self._node, self._runner = world.node, world.runner
        self._pods: dict[str, Pod] = {pod.name: pod for pod in manifests_of(play).pods}
        self._course = Course(play, world, self._pods, evictor, self._watcher)

    def run(self) -> Recording:
        """Play the timeline to its end and return the recording; raises `LabError`."""
        self._watcher.begins(self._play, self._course.record.cgroups)
        for index, step in enumerate(self._play.timeline):
            self._course.step(index)
            if step.at is not None:
                self._course.pass_time(step.at - self._course.seconds)
            self._say(f"{self._play.name}: {_words(step)}")
            self._course.note(step.action, "timeline", _words(step))
            getattr(self, f"_{step.action}")(getattr(step, step.action))
        self._watcher.advanced(1.0)
        return self.end()

    def end(self, problem: str = "") -> Recording:
        """Look once more, end all pods and return the recording; `problem` is why it ended early."""
        if problem:
            self._course.note(BROKEN, "timeline", problem)
        seconds = self._course.end(look=self._play.every > 0 or bool(problem))
        self._end_pods()
        record = self._course.record
        # a workload that is told to stop prints what it has
        for name, text in self._world.logs().items():
            record.logs[name] = text[-TAIL:]
            record.results[name] = results_in(text)
        record.kernel_log.extend(self._world.close())
        return msgspec.structs.replace(record, seconds=seconds)

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
        found = [self._pods[each] for each in members_of(name, self._pods)]
        return sorted(found, key=lambda pod: int(pod.name.rpartition("-")[2]) if len(found) > 1 else 0)

    def _start(self, name: str) -> None:
        began = self._course.seconds
        for number, pod in enumerate(self._group(name)):
            self._course.pass_time(began + number * self._play.stagger - self._course.seconds)
            self._start_one(pod.name)

    def _start_one(self, name: str) -> None:
        pod, cgroups = self._pods[name], self._course.record.cgroups
        if not self._course.admits(pod):
            cgroups[name] = self._runner.rules.pod_cgroup(pod)
            return
        placed = self._runner.create(pod)
        assert placed.cgroup is not None
        cgroups[name] = placed.cgroup
        cgroups.update({f"{name}/{each}": path for each, path in placed.containers.items()})
        self._course.manage()
        self._runner.start(pod.uid)
        self._course.pass_time(0)

    def _stop(self, name: str) -> None:
        here = {each.pod.uid for each in self._runner.placed} & {pod.uid for pod in self._group(name)}
        for uid in here:
            self._runner.evict(uid, "Stopped", grace=1)
        self._course.until(
            lambda: not any(each.pod.uid in here for each in self._runner.placed), 30, f"{name} to go"
        )

    def _mark(self, name: str) -> None:
        self._course.record.marks[name] = self._course.look()

    def _sleep(self, seconds: float) -> None:
        self._course.pass_time(seconds)

    def _sample(self, sample: Sample) -> None:
        for _ in range(sample.count):
            self._course.pass_time(sample.every)
            self._course.record.samples.append(self._course.look())

    def _exec(self, step: Exec) -> None:
        pod, container = self._pods[step.pod], self._container(step.pod, step.container)
        name = step.name or f"exec{len(self._course.record.execs) + 1}"
        cgroup = self._cgroup(f"{step.pod}/{container}")
        started = self._course.seconds
        try:
            process = self._world.execute(_with_command(pod, container, step.command), cgroup, name)
        except NodeError as error:
            raise LabError(f"nothing can be run in {step.pod}: {error}") from error
        self._course.until(
            lambda: process.poll() is not None, step.timeout, f"{' '.join(step.command)} in {step.pod}"
        )
        real = self._course.seconds - started
        user, sys, output = process.close()
        self._course.record.execs[name] = Executed(
            started=started,
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
            statuses = [each for each in self._runner.statuses() if each.uid in uids]
            if step.until == "said":
                heard = (
                    {each.uid for each in statuses if each.state != "terminated"} if step.patient else uids
                )
                return all(said(pod.name) for pod in pods if pod.uid in heard)
            if step.until == "running":
                return bool(statuses) and all(each.state == "running" for each in statuses)
            # a pod that was not admitted has failed: there is nothing more to come of it
            known = bool(statuses) or all(pod.name in self._course.refused for pod in pods)
            return known and all(each.state == "terminated" for each in statuses)

        if step.patient:
            self._course.pass_time(step.timeout, until=reached)
        else:
            self._course.until(reached, step.timeout, f"{step.pod} to have {step.until} {step.word}")

    def _write(self, step: WriteKnob) -> None:
        container = self._container(step.pod, step.container)
        path = self._cgroup(f"{step.pod}/{container}" if step.container else step.pod)
        size = UNLIMITED if step.value == "max" else parse_bytes(step.value)
        value = Reclaim(size) if step.knob == "memory.reclaim" else size
        status, why = "written", f"the timeline says so, {_words(Step(write=step))}"
        try:
            self._node.apply(Write(path, step.knob, value, why))
        except Busy as error:
            status, why = "failed", str(error)
        except NodeError as error:
            raise LabError(str(error)) from error
        self._course.record.writes.append(
            Written(self._course.seconds, path, step.knob, str(size), status, why)
        )

    def _cgroup(self, name: str) -> str:
        """Return the cgroup of a pod or a `pod/container`; raises `LabError` for one that was never made."""
        if name not in self._course.record.cgroups:
            raise LabError(f"{name} has no cgroup: the pod was not admitted")
        return self._course.record.cgroups[name]

    def _container(self, pod: str, name: str) -> str:
        return next(c.name for c in self._pods[pod].all_containers if name in ("", c.name))

    def _drop_caches(self, wanted: bool) -> None:
        if wanted:
            self._world.drop_caches()


def _with_command(pod: Pod, container: str, command: tuple[str, ...]) -> Pod:
    """Return the pod with one container that runs another command: what exec runs, with its env."""
    found = next(each for each in pod.all_containers if each.name == container)
    return replace(pod, containers=(replace(found, command=command, args=()),), init_containers=())


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
