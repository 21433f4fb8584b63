"""One run of the agent on this machine, put together: lock, node, pods, policies, journal.

`Session.run_pods` runs pods itself (`memqos.linux.runner`) and manages them; `Session.manage` manages what a
kubelet runs. Either ends on SIGTERM, SIGINT or after `seconds`, puts back what it changed, and returns
a `Report`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from memqos.agent.journal import Journal
from memqos.agent.lock import Lock
from memqos.agent.loop import Agent, Pods
from memqos.agent.originals import Originals
from memqos.agent.runner_node import RunnerNode
from memqos.kubelet.allocatable import NodeCapacity
from memqos.linux.node import LinuxNode
from memqos.linux.runner import ContainerEvent, KubeletRules, PodRunner, PodStatus
from memqos.model.plan import Advice, Outcome, Tick
from memqos.model.pods import Pod
from memqos.node import Node
from memqos.policy.ladder import ladder
from memqos.policy.settings import Settings

_REMEMBERED: Final = 1000
"""Writes and advice that a report holds at most: an agent runs for months."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a session did: the pods it ran, its last writes, what it put back, its last advice."""

    pods: tuple[PodStatus, ...]
    writes: tuple[Outcome, ...]
    restored: tuple[Outcome, ...]
    advice: tuple[Advice, ...]
    ticks: int
    dropped: int


class Session:
    """A session over the cgroup tree at `cgroup_root`, keeping what must survive it in `state`.

    `on_event` sees what happens to containers, `on_tick` every turn of the agent. With `dry_run` no
    knob of the policies is written (the pod runner still writes the kubelet's, or nothing could run).
    """

    def __init__(
        self,
        cgroup_root: str,
        settings: Settings,
        state: Path,
        *,
        on_event: Callable[[ContainerEvent], None] = lambda event: None,
        on_tick: Callable[[Tick], None] = lambda tick: None,
        dry_run: bool = False,
        seconds: float | None = None,
    ) -> None:
        self._root = cgroup_root
        self._settings = settings
        self._state = state
        self._on_event = on_event
        self._on_tick = on_tick
        self._dry_run = dry_run
        self._seconds = seconds
        self._writes: deque[Outcome] = deque(maxlen=_REMEMBERED)
        self._advice: deque[Advice] = deque(maxlen=_REMEMBERED)

    def run_pods(
        self, pods: Sequence[Pod], logs: Path, *, until_done: bool = False, grace: float | None = None
    ) -> Report:
        """Run `pods` and manage them; `grace` bounds their termination, in seconds, at the end.

        Raises `LockHeld`, `Unsupported`, and `NodeError` when the tree cannot be made.
        """
        with Lock(self._state), LinuxNode(self._root) as node, self._ending(node):
            meminfo = node.observe().node.meminfo
            capacity = NodeCapacity(memory=meminfo.get("MemTotal", 0), swap=meminfo.get("SwapTotal", 0))
            rules = KubeletRules(self._settings.kubelet.config, capacity)
            runner = PodRunner(rules, logs, cgroup_root=Path(self._root))
            with_pods = RunnerNode(node, runner, on_event=self._on_event, until_done=until_done)
            try:
                with_pods.add(pods)
                report = self._run(with_pods, with_pods.pods)
            finally:
                for event in runner.stop(grace):
                    self._on_event(event)
        return replace(report, pods=runner.pods())

    def manage(self, pods: Pods) -> Report:
        """Manage the pods that `pods` finds in each snapshot. Raises `LockHeld`, `Unsupported`."""
        with Lock(self._state), LinuxNode(self._root) as node, self._ending(node):
            return self._run(node, pods)

    def _run(self, node: Node, pods: Pods) -> Report:
        settings = self._settings.agent
        originals = Originals(None if self._dry_run else self._state, node.observe().boot_id)
        journal = Journal(self._state / "journal", settings.journal_size) if settings.journal_size else None
        agent = Agent(
            node,
            ladder(self._settings),
            pods,
            originals,
            journal=journal,
            settings=settings,
            dry_run=self._dry_run,
            on_tick=self._see,
        )
        try:
            agent.run()
        finally:
            if journal is not None:
                journal.close()
        dropped = journal.dropped if journal else 0
        return Report((), tuple(self._writes), agent.restored, tuple(self._advice), agent.ticks, dropped)

    def _see(self, tick: Tick) -> None:
        self._writes.extend(outcome for outcome in tick.outcomes if outcome.status != "kept")
        self._advice.extend(advice for advice in tick.plan.advice if advice not in self._advice)
        self._on_tick(tick)

    @contextmanager
    def _ending(self, node: LinuxNode) -> Iterator[None]:
        """End the node's waiting when the session's time is over."""
        if self._seconds is None:
            yield
            return
        timer = threading.Timer(self._seconds, node.stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
