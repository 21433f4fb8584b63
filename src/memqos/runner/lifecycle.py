"""When a container is started, and started again: the kubelet's rules, without a clock or a process.

- Init containers run one after another, each to success; a sidecar (an init container that restarts
  always, KEP-753) only has to have started. Then all containers start.
- restartPolicy Always starts a container again whatever it ended with, OnFailure when that was not
  0, Never not at all. An init container is started again until it succeeds, unless Never: then the pod
  failed. A sidecar is always started again, until the containers are done. A container's own
  restartPolicy goes before the pod's (KEP-5307).
- The first restart is at once; before the second are 10 s, then twice as long each time, at most 5
  minutes, counted from the end of the run (pkg/kubelet/kubelet.go `backOffPeriod`,
  `MaxCrashLoopBackOff`, kuberuntime_manager.go `doBackOff`). After 10 minutes without a crash it starts
  over. `scale` shortens all three for experiments.
- A pod succeeded when all its containers ended with 0, failed when one did not, and never
  before none of them is to be started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from memqos.model.pods import Container, Pod
from memqos.runner.status import ContainerStatus, Phase, State, Termination

BACKOFF_US: Final = 10 * 10**6
BACKOFF_MAX_US: Final = 300 * 10**6
BACKOFF_RESET_US: Final = 600 * 10**6

Kind = Literal["init", "sidecar", "container"]


@dataclass(slots=True)
class Run:
    """The life of one container: what it is, and where it stands."""

    container: Container
    kind: Kind
    policy: str
    state: State = "waiting"
    starts: int = 0
    started_us: int = 0
    last: Termination | None = None
    backoff_us: int = 0
    due_us: int = 0
    oom_kills: int = 0
    was_up: bool = False

    def started(self, now: int) -> None:
        """It runs."""
        self.state, self.started_us, self.was_up = "running", now, True
        self.starts += 1

    def ended(self, how: Termination, scale: float = 1.0, *, for_good: bool = False) -> None:
        """It ended, or could not be started; from here it waits, or is done for good."""
        if self.state != "running":
            self.starts += 1
        self.last = how
        self.oom_kills += how.oom_kills
        if for_good or not self.wanted_again:
            self.state = "terminated"
            return
        if how.finished_us - how.started_us >= BACKOFF_RESET_US * scale:
            self.backoff_us = 0
        self.state, self.due_us = "waiting", how.finished_us + self.backoff_us
        doubled = max(self.backoff_us * 2, int(BACKOFF_US * scale))
        self.backoff_us = min(doubled, int(BACKOFF_MAX_US * scale))

    @property
    def wanted_again(self) -> bool:
        """Whether it is started again after how it ended."""
        assert self.last is not None
        return self.policy == "Always" or (self.policy == "OnFailure" and self.last.exit_code != 0)

    @property
    def done(self) -> bool:
        """Whether it succeeded, for an init container, or is up, for a sidecar."""
        if self.kind == "sidecar":
            return self.state == "running"
        return self.state == "terminated" and self.last is not None and self.last.exit_code == 0

    def waiting_for(self, initialized: bool) -> str:
        """The reason of the state, as the kubelet gives it."""
        if self.state == "running":
            return ""
        if self.state == "terminated":
            return self.last.reason if self.last else ""
        if self.last is not None and self.due_us > self.last.finished_us:
            return "CrashLoopBackOff"
        return "ContainerCreating" if initialized or self.kind != "container" else "PodInitializing"


def runs_of(pod: Pod) -> tuple[Run, ...]:
    """The containers of a pod in the order they start, none of them started."""
    inits = (
        Run(each, "sidecar", "Always")
        if each.is_sidecar
        else Run(
            each, "init", each.restart_policy or ("Never" if pod.restart_policy == "Never" else "OnFailure")
        )
        for each in pod.init_containers
    )
    apps = (Run(each, "container", each.restart_policy or pod.restart_policy) for each in pod.containers)
    return (*inits, *apps)


def to_start(runs: Sequence[Run], now: int) -> list[Run]:
    """The containers whose time has come."""
    if all(run.state != "waiting" for run in runs) or over(runs):
        return []
    starting: list[Run] = []
    for run in runs:
        if run.kind == "container" or (run.kind == "sidecar" and run.was_up):
            continue
        if run.state == "waiting" and run.due_us <= now:
            starting.append(run)
        if not run.done:
            break
    # a sidecar that was up once is kept up, and holds nothing back when it falls
    again = [run for run in runs if run.kind == "sidecar" and run.was_up]
    apps = [run for run in runs if run.kind == "container"] if initialized(runs) else []
    return starting + [run for run in again + apps if run.state == "waiting" and run.due_us <= now]


def initialized(runs: Sequence[Run]) -> bool:
    """Whether the init containers are through, and the containers may start."""
    inits = [run for run in runs if run.kind != "container"]
    return all(run.was_up if run.kind == "sidecar" else run.done for run in inits)


def phase(runs: Sequence[Run]) -> Phase:
    """The pod's phase (pkg/kubelet/kubelet_pods.go `getPhase`)."""
    if any(run.kind == "init" and run.state == "terminated" and not run.done for run in runs):
        return "Failed"
    if not initialized(runs):
        return "Pending"
    apps = [run for run in runs if run.kind == "container"]
    if all(run.state == "terminated" for run in apps):
        return "Succeeded" if all(run.done for run in apps) else "Failed"
    return "Running" if any(run.starts for run in apps) else "Pending"


def over(runs: Sequence[Run]) -> bool:
    """Whether nothing of the pod is to be started any more."""
    return phase(runs) in ("Succeeded", "Failed")


def to_terminate(runs: Sequence[Run]) -> list[Run]:
    """Whose turn it is to get SIGTERM: all containers, then the sidecars one by one, the last first."""
    alive = [run for run in runs if run.state == "running"]
    sidecars = [run for run in alive if run.kind == "sidecar"]
    return [run for run in alive if run.kind != "sidecar"] or sidecars[-1:]


def next_due(runs: Sequence[Run]) -> int | None:
    """The time at which a waiting container's back-off ends; `None` when nothing waits for time."""
    due = [run.due_us for run in runs if run.state == "waiting" and run.last is not None]
    return min(due) if due and not over(runs) else None


def status_of(pod: Pod, run: Run, initialized: bool, pid: int) -> ContainerStatus:
    """One container's status."""
    return ContainerStatus(
        pod=pod.key,
        uid=pod.uid,
        name=run.container.name,
        kind=run.kind,
        state=run.state,
        reason=run.waiting_for(initialized),
        restarts=max(0, run.starts - 1),
        pid=pid,
        started_us=run.started_us if run.state == "running" else 0,
        last=run.last,
        oom_kills=run.oom_kills,
    )
