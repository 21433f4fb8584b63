"""`RunnerNode`: a node whose pods memqos runs itself, in one loop with the agent that manages them.

The pod runner does nothing by itself; somebody must poll it. `RunnerNode` polls it whenever the agent
waits, is woken by the end of a container as by memory pressure, and ends the wait when a cgroup was
made, so that the agent decides about it before its program starts. The agent drives a `RunnerNode` as
any other node.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from memqos.linux.runner import ContainerEvent, PodRunner
from memqos.model.plan import Outcome, Value, Write
from memqos.model.pods import PlacedPod, Pod
from memqos.model.snapshot import Snapshot
from memqos.node import Node, Wake


class WaitingNode(Node, Protocol):
    """A node that waits for descriptors as well; `LinuxNode` is one."""

    def wait(self, seconds: float, quiet: float = 0.0, also: Collection[int] = ()) -> Wake:
        """See `Node.wait`; "ready" when a descriptor of `also` is readable."""


class RunnerNode:
    """`node` with the pods of `runner`. `on_event` sees what happens to containers.

    With `until_done`, `wait` says "stop" once every pod has ended for good.
    """

    def __init__(
        self,
        node: WaitingNode,
        runner: PodRunner,
        *,
        on_event: Callable[[ContainerEvent], None] = lambda event: None,
        until_done: bool = False,
    ) -> None:
        self.node = node
        self.runner = runner
        self._on_event = on_event
        self._until_done = until_done
        self._unstarted: list[str] = []

    def add(self, pods: Sequence[Pod]) -> None:
        """Make the cgroups of pods; they start at the first `wait`, after the agent's first turn."""
        for pod in pods:
            self.runner.create(pod)
            self._unstarted.append(pod.uid)

    def pods(self, snapshot: Snapshot) -> tuple[PlacedPod, ...]:
        """Return the pods and where they live, for the agent."""
        return self.runner.placed

    def observe(self) -> Snapshot:
        """See `Node.observe`."""
        return self.node.observe()

    def apply(self, write: Write) -> Value | None:
        """See `Node.apply`."""
        return self.node.apply(write)

    def begin(self, order: Write) -> None:
        """See `Node.begin`."""
        self.node.begin(order)

    def cancel(self, cgroup: str) -> None:
        """See `Node.cancel`."""
        self.node.cancel(cgroup)

    def underway(self) -> frozenset[str]:
        """See `Node.underway`."""
        return self.node.underway()

    def ended(self) -> tuple[Outcome, ...]:
        """See `Node.ended`."""
        return self.node.ended()

    def watch(self, cgroups: Sequence[str]) -> None:
        """See `Node.watch`."""
        self.node.watch(cgroups)

    def wait(self, seconds: float, quiet: float = 0.0) -> Wake:
        """Run what is due until memory presses, a cgroup was made ("pods"), or the time is over."""
        while self._unstarted:
            self.runner.start(self._unstarted.pop(0))
        end = time.monotonic() + seconds
        while True:
            events = self.runner.poll()
            for event in events:
                self._on_event(event)
            if self._over():
                return Wake("stop")
            if any(event.kind == "created" for event in events):
                return Wake("pods")
            left = end - time.monotonic()
            if left <= 0:
                return Wake("timeout")
            wake = self.node.wait(min(left, self._until_due()), quiet, self.runner.descriptors())
            if wake.reason in ("pressure", "stop"):
                return wake

    def stop(self) -> None:
        """See `Node.stop`."""
        self.node.stop()

    def _until_due(self) -> float:
        due = self.runner.next_due_us()
        return float("inf") if due is None else max(0.0, due / 1e6 - time.monotonic())

    def _over(self) -> bool:
        phases = {pod.phase for pod in self.runner.pods()}
        return self._until_done and phases <= {"Succeeded", "Failed"}
