"""What a world offers the pod runner: cgroups, and programs started in them.

`memqos.linux.runner` is the real one, `memqos.sim.pods` the simulated one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from memqos.model.pods import Container, Pod


@dataclass(frozen=True, slots=True)
class NotStarted:
    """A program that could not be started; `exit_code` as a shell has it (126, 127), 128 for the rest."""

    message: str
    exit_code: int = 128


class Process(Protocol):
    """A started program."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Return its exit code, 128 + the signal that ended it, or `None` while it runs."""

    def send(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""

    def close(self) -> None:
        """Let go of what it takes to hold it."""


class Cgroups(Protocol):
    """The runner's part of the cgroup tree; paths are relative to the cgroup root."""

    def claim(self) -> None:
        """Make the topmost cgroup the runner's own; raises `NodeError` or `Unsupported`."""

    def make(self, cgroup: str) -> None:
        """Make a cgroup, and those above it, with the controllers on at each level above."""

    def kill(self, cgroup: str) -> None:
        """SIGKILL all that runs in a cgroup and below."""

    def remove(self, cgroup: str, seconds: float = 10.0) -> bool:
        """Kill all that runs in a cgroup and remove it; false if that was not over in `seconds`."""

    def oom_kills(self, cgroup: str) -> int:
        """How often the OOM killer came for a cgroup."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A container to start: in which cgroup, and how often it was started before."""

    pod: Pod
    container: Container
    cgroup: str
    oom_score_adj: int
    restarts: int


Start: TypeAlias = Callable[[Launch], "Process | NotStarted"]
