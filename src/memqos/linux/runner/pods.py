"""`PodRunner`: pods on plain Linux."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, cast

from memqos.linux.apply import apply_write
from memqos.linux.runner.command import command_of, default_environment
from memqos.linux.runner.spawn import Launch, Process, spawn
from memqos.linux.runner.tree import Tree
from memqos.model.plan import Write
from memqos.runner import world
from memqos.runner.pods import Runner
from memqos.runner.rules import Rules
from memqos.runner.world import NotStarted

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")


class PodRunner(Runner):
    """Runs pods on this machine; see `Runner`.

    `environment` is what every program gets before its container's own `env`; see
    `default_environment`. A container's output goes to
    `logs`/NAMESPACE_NAME_UID/CONTAINER/RESTARTS.log, as a kubelet arranges it.
    """

    def __init__(
        self,
        rules: Rules,
        logs: Path,
        *,
        cgroup_root: Path = CGROUP_ROOT,
        scale: float = 1.0,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], int] = lambda: time.monotonic_ns() // 1000,
        start: Callable[[Launch], Process | NotStarted] = spawn,
        write: Callable[[str, Write], object] = apply_write,
    ) -> None:
        """Take the tree: see `Tree.claim` for what it raises."""
        self.logs = logs
        self.environment = default_environment() if environment is None else environment
        self.tree = Tree(cgroup_root, rules.shared[0])
        self._spawn = start
        super().__init__(
            rules,
            self.tree,
            start=self._launched,
            write=partial(write, str(cgroup_root)),
            clock=clock,
            scale=scale,
        )

    def wait(self, seconds: float) -> None:
        """Sleep until a container ends, a back-off or grace period is over, or `seconds` went by."""
        poller = select.poll()
        for descriptor in self.descriptors():
            poller.register(descriptor, select.POLLIN)
        due = self.next_due_us()
        if due is not None:
            seconds = min(seconds, max(0.0, (due - self._clock()) / 1e6))
        poller.poll(-(-seconds * 1000 // 1))

    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that become readable when a container ends, to wait on with others."""
        processes = (each for held in self._pods.values() for each in held.processes.values())
        return tuple(cast(Process, each).fileno() for each in processes)

    def _launched(self, launch: world.Launch) -> Process | NotStarted:
        pod, container = launch.pod, launch.container
        command = command_of(pod, container, self.environment)
        if isinstance(command, NotStarted):
            return command
        log = self.logs / f"{pod.namespace}_{pod.name}_{pod.uid}" / container.name / f"{launch.restarts}.log"
        return self._spawn(Launch(command, self.tree.directory(launch.cgroup), launch.oom_score_adj, log))
