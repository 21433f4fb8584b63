"""What became of a pod's containers: `ContainerStatus`, `ContainerEvent`, in the kubelet's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["waiting", "running", "terminated"]
Phase: TypeAlias = Literal["Pending", "Running", "Succeeded", "Failed"]
EventKind: TypeAlias = Literal["created", "started", "failed", "exited", "backoff", "evicted", "gone"]
"""`created`: the container's cgroup stands, with the kubelet's values, and the next `poll` may start
it; `failed`: it could not be started; `backoff`: it waits for its next start; `gone`: the pod ended
and its cgroups are removed (the container's name is empty, as it is for `evicted`)."""


@dataclass(frozen=True, slots=True)
class Termination:
    """How a run of a container ended. Times are microseconds of the monotonic clock.

    `exit_code` is 128 + the signal for a killed program. `reason` is the kubelet's: Completed, Error,
    OOMKilled or StartError. `oom_kills` is how often the OOM killer came for the run's cgroup.
    """

    exit_code: int
    reason: str
    started_us: int
    finished_us: int
    oom_kills: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """One container now. `restarts` counts its starts after the first; `pid` is 0 unless it runs.

    `reason` says why it waits (ContainerCreating, PodInitializing, CrashLoopBackOff) or how it ended.
    `oom_kills` is the sum over all its runs.
    """

    pod: str
    uid: str
    name: str
    kind: Literal["init", "sidecar", "container"]
    state: State
    reason: str
    restarts: int
    pid: int = 0
    started_us: int = 0
    last: Termination | None = None
    oom_kills: int = 0


@dataclass(frozen=True, slots=True)
class PodStatus:
    """One pod now; `reason` and `message` are those of whoever ended it (Evicted, Stopped), or empty."""

    pod: str
    uid: str
    phase: Phase
    reason: str
    containers: tuple[ContainerStatus, ...]
    message: str = ""


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """Something that happened, at `time_us` of the monotonic clock."""

    kind: EventKind
    time_us: int
    pod: str
    uid: str
    container: str = ""
    message: str = ""
    termination: Termination | None = None
