"""A pod in the runner's hands."""

from __future__ import annotations

from dataclasses import dataclass, field

from memqos.model.pods import PlacedPod, Pod
from memqos.runner import lifecycle
from memqos.runner.lifecycle import Run
from memqos.runner.status import PodStatus
from memqos.runner.world import Process


@dataclass(slots=True)
class Held:
    """A pod, its containers' runs, and where it is on its way.

    `standing` are the containers whose cgroup is ready for a start, `refused` those whose cgroup could
    not be made, `signalled` those that got their SIGTERM. `wanted` says it may start containers,
    `leaving` that it goes away, at `deadline_us` by force. `killed` are the containers that were killed on
    purpose and have not been found ended yet, with the reason.
    """

    placed: PlacedPod
    cgroup: str
    runs: tuple[Run, ...]
    processes: dict[str, Process] = field(default_factory=dict)
    standing: set[str] = field(default_factory=set)
    signalled: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    wanted: bool = False
    leaving: bool = False
    reason: str = ""
    message: str = ""
    killed: dict[str, str] = field(default_factory=dict)
    deadline_us: int | None = None

    @property
    def pod(self) -> Pod:
        """The pod itself."""
        return self.placed.pod

    @property
    def over(self) -> bool:
        """Whether nothing of it is to be started any more."""
        return not self.wanted or lifecycle.over(self.runs)

    def path(self, run: Run) -> str:
        """The path of a container's cgroup."""
        return self.placed.containers[run.container.name]

    def due(self, now: int) -> list[Run]:
        """The containers to start now."""
        ready = lifecycle.to_start(self.runs, now) if self.wanted else []
        return [run for run in ready if run.container.name in self.standing]

    def grace_us(self, seconds: float | None = None) -> int:
        """The time it has to end in, `seconds` or its terminationGracePeriodSeconds or 30."""
        if seconds is None:
            seconds = self.pod.termination_grace_period_seconds
        return int(max(0.0, 30.0 if seconds is None else seconds) * 1e6)

    def status(self) -> PodStatus:
        """What to tell about it."""
        up = lifecycle.initialized(self.runs)
        containers = tuple(
            lifecycle.status_of(self.pod, run, up, process.pid if process else 0)
            for run in self.runs
            for process in (self.processes.get(run.container.name),)
        )
        phase = "Failed" if self.reason else lifecycle.phase(self.runs)
        return PodStatus(self.pod.key, self.pod.uid, phase, self.reason, containers, self.message)
