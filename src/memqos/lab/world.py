"""Where a variant is played: a real kernel (`play`, inside the guest) or a simulated one (`simulated`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from memqos.lab.experiment import ManagerName
from memqos.lab.manage import Manager
from memqos.model.pods import Pod
from memqos.node import Node
from memqos.runner.pods import Runner


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
