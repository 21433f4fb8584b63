"""One run of the agent on this machine, put together: lock, shelter, node, pods, policies, journal.

`Session.run_pods` runs pods itself (`memqos.linux.runner`) and manages them; `Session.manage` manages what a
kubelet runs. Either ends on SIGTERM, SIGINT or after `seconds`, puts back what it changed, and returns
a `Report`. A signal never leaves half a tree behind: before the agent's first turn it waits for that
turn, and while the pods of `run_pods` end, a second one ends them at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

from memqos.agent.account import Account, Report
from memqos.agent.beside import Beside
from memqos.agent.evict import Evictor, RunnerEvictor
from memqos.agent.journal import Journal
from memqos.agent.lock import Lock
from memqos.agent.loop import Agent, Pods
from memqos.agent.originals import Originals
from memqos.agent.runner_node import RunnerNode
from memqos.agent.thrift import thrifty
from memqos.errors import AgentError
from memqos.linux.facts import capacity
from memqos.linux.features import check_supported, check_writable
from memqos.linux.node import LinuxNode
from memqos.linux.runner import ContainerEvent, KubeletRules, PodRunner
from memqos.linux.shelter import Shelter
from memqos.linux.signals import handled
from memqos.model.plan import Advice, Tick
from memqos.model.pods import Pod
from memqos.node import Node
from memqos.policy.ladder import ladder
from memqos.policy.settings import Settings

_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
_SLOW_DISK: Final = Advice(
    "memqos itself",
    "its journal's disk cannot keep up, so turns are missing in the journal",
    "name a state directory on tmpfs, as /run, or on a faster disk",
    "agent",
)


class Session:
    """A session over the cgroup tree at `cgroup_root`, keeping what must survive it in `state`.

    `on_event` sees what happens to containers, `on_tick` every turn of the agent, `on_advice` each
    advice once. With `dry_run` no knob of the policies is written (the pod runner still writes the
    kubelet's, or nothing could run).
    """

    def __init__(
        self,
        cgroup_root: str,
        settings: Settings,
        state: Path,
        *,
        on_event: Callable[[ContainerEvent], None] = lambda event: None,
        on_tick: Callable[[Tick], None] = lambda tick: None,
        on_advice: Callable[[Advice], None] = lambda advice: None,
        dry_run: bool = False,
        seconds: float | None = None,
    ) -> None:
        self._root = cgroup_root
        self._settings = settings
        self._state = state
        self._on_event = on_event
        self._on_tick = on_tick
        self._account = Account(on_advice)
        self._dry_run = dry_run
        self._seconds = seconds
        self._shelter: Shelter | None = None
        self._beside: Beside | None = None
        self._signals = 0

    def run_pods(
        self, pods: Sequence[Pod], logs: Path, *, until_done: bool = False, grace: float | None = None
    ) -> Report:
        """Run `pods` and manage them; `grace` bounds their termination, in seconds, at the end.

        The report shows the pods as they were when the time was over, before they were stopped.
        Raises `LockHeld`, `Unsupported`, and `NodeError` when the tree cannot be made.
        """
        with Lock(self._state), self._sheltered(), LinuxNode(self._root) as node, self._ending(node):
            rules = KubeletRules(self._settings.kubelet.config, capacity(node.observe().node))
            runner = PodRunner(rules, logs, cgroup_root=Path(self._root))
            with_pods = RunnerNode(node, runner, on_event=self._on_event, until_done=until_done)
            try:
                with_pods.add(pods)
                report = self._run(with_pods, with_pods.pods, RunnerEvictor(runner))
                report = replace(report, pods=runner.pods())
            finally:
                before = self._signals
                for event in runner.stop(grace, hurried=lambda: self._signals > before):
                    self._on_event(event)
        return report

    def manage(self, pods: Pods) -> Report:
        """Manage the pods that `pods` finds in each snapshot. Raises `LockHeld`, `Unsupported`."""
        with Lock(self._state), self._sheltered(), LinuxNode(self._root) as node, self._ending(node):
            return self._run(node, pods, beside=True)

    def _run(self, node: Node, pods: Pods, evictor: Evictor | None = None, *, beside: bool = False) -> Report:
        settings = self._settings.agent
        originals = Originals(None if self._dry_run else self._state, node.observe().boot_id)
        self._account.advise(originals.damage())
        journal: Journal | Beside | None = None
        if settings.journal_size and (opened := self._open_journal(settings.journal_size)) is not None:
            journal = opened
            if beside:
                journal = self._beside = Beside(opened)
        agent = Agent(
            node,
            ladder(self._settings, may_evict=evictor is not None, alone=not beside),
            pods,
            originals,
            journal=journal,
            settings=settings,
            dry_run=self._dry_run,
            on_tick=self._see,
            evictor=evictor,
            io_limited=self._settings.io.enabled,
        )
        try:
            with thrifty():
                agent.run()
        finally:
            if journal is not None:
                journal.close()
        return self._account.report(agent, journal.dropped if journal else 0)

    def _open_journal(self, size: int) -> Journal | None:
        """Open the journal; where there can be none a person is told, and the pods are managed without."""
        try:
            return Journal(self._state / "journal", size)
        except OSError as error:
            where = error.filename or self._state / "journal"
            problem = f"it keeps no journal: {where}: {error.strerror}"
            remedy = f"make room for it in {self._state}, or set agent.journalSize to 0"
            self._account.advise([Advice("memqos itself", problem, remedy, "agent")])
            return None

    def _see(self, tick: Tick) -> None:
        self._account.see(tick)
        self._on_tick(tick)
        self._account.advise(tick.plan.advice)
        if self._shelter is not None:
            self._shelter.measure()
        if self._beside is not None and self._beside.overflowed:
            self._account.advise([_SLOW_DISK])

    @contextmanager
    def _sheltered(self) -> Iterator[None]:
        """Protect this process while the session lasts; a dry run changes nothing.

        Raises `Unsupported` first: where nothing can be managed nothing is to be protected.
        """
        check_supported(self._root)
        if not self._dry_run:
            check_writable(self._root)
        if self._dry_run or not self._settings.agent.protect_itself:
            yield
            return
        self._shelter = Shelter(self._root)
        self._account.advise(self._shelter.enter())
        try:
            yield
        finally:
            self._shelter.leave()
            self._shelter = None

    @contextmanager
    def _ending(self, node: LinuxNode) -> Iterator[None]:
        """End the node's waiting on a signal, and when the session's time is over."""

        def told(number: int, frame: FrameType | None) -> None:
            self._signals += number != signal.SIGALRM
            node.stop()

        if threading.current_thread() is not threading.main_thread():
            raise AgentError("a session runs in a process's main thread, where signals come")
        with handled(told, *_ENDING):
            # a timer of the kernel's, not a thread: programs are born in their cgroup by a single thread
            signal.setitimer(signal.ITIMER_REAL, 0.0 if self._seconds is None else max(1e-6, self._seconds))
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
