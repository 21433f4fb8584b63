"""The kubelet in the simulation: cgroups and limits for pods, restarts, the eviction manager.

What is written, where, and who is evicted comes from `memqos.kubelet`; this only carries it out on a
machine. Containers start as soon as their pod does (there are no images to pull), init containers one
after another. A container that ended starts again as restartPolicy says: at once, then after 10 s, twice
as long each time, at most 5 minutes; after 10 minutes of running from the beginning
(pkg/kubelet/kubelet.go `backOffPeriod`, `MaxCrashLoopBackOff`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from memqos.errors import NodeError
from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.cgroups import kubepods_path, pod_path, qos_path
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.eviction import MONITORING_PERIOD_US, EvictionConfig, EvictionState, admit, synchronize
from memqos.kubelet.knobs import oom_score_adjs, writes
from memqos.kubelet.signals import observe
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.sim.commands import Job, understand
from memqos.sim.kernels import layout as k
from memqos.sim.node import Event, SimNode
from memqos.sim.process import Files, Process
from memqos.workload.spec import Workload

BACKOFF, BACKOFF_MAX, BACKOFF_RESET = 10.0, 300.0, 600.0
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Happening:
    """Something worth telling: when (seconds), which pod and container, and what."""

    at: float
    pod: str
    container: str
    what: str


@dataclass(slots=True)
class Run:
    """One container's life: its processes, how often it started and was OOM-killed, what is next."""

    container: Container
    job: Job
    cgroup: str
    init: bool = False
    processes: list[Process] = field(default_factory=list)
    starts: int = 0
    oom_kills: int = 0
    exit_code: int | None = None
    started_at: float = 0.0
    ended_at: float = 0.0
    due: float | None = None
    backoff: float = 0.0

    @property
    def running(self) -> bool:
        """Whether any of its processes lives."""
        return any(process.alive for process in self.processes)

    @property
    def done(self) -> bool:
        """Whether it has ended and is not started again."""
        return self.exit_code is not None and self.due is None and not self.running


@dataclass(slots=True)
class Held:
    """A pod on the node."""

    pod: Pod
    cgroup: str
    runs: list[Run]
    phase: str = "Pending"
    reason: str = ""

    @property
    def placed(self) -> PlacedPod:
        """The pod with its cgroups; its phase as it is now."""
        containers = {run.container.name: run.cgroup for run in self.runs}
        return PlacedPod(replace(self.pod, phase=self.phase), self.cgroup, containers)


class SimKubelet:
    """Pods on a simulated node. Hand it every event of the machine and call `tick` as time passes."""

    def __init__(
        self,
        node: SimNode,
        config: KubeletConfig,
        files: Files,
        workloads: Mapping[str, Workload] | None = None,
    ) -> None:
        self.node, self.machine, self.files = node, node.machine, files
        self.config = replace(config, cgroup_driver="cgroupfs")
        self.workloads = workloads or {}
        spec = self.machine.spec
        self.capacity = NodeCapacity(memory=spec.memory, swap=spec.swap)
        self.held: dict[str, Held] = {}
        self.log: list[Happening] = []
        self._eviction = EvictionConfig.of(self.config)
        self._state = EvictionState()
        self._next_look = MONITORING_PERIOD_US
        for path in (
            kubepods_path(self.config),
            *(qos_path(q, self.config) for q in ("Burstable", "BestEffort")),
        ):
            self.machine.mkdir(path)
        self._write()

    @property
    def now(self) -> float:
        """Seconds since the node started."""
        return self.machine.now / SECOND

    def pods(self) -> tuple[PlacedPod, ...]:
        """Every pod with its place."""
        return tuple(held.placed for held in self.held.values())

    def start(self, pod: Pod) -> bool:
        """Admit a pod and start its containers; False when the node is under pressure and refuses it.

        Raises `ExperimentError` for a command that is not simulated.
        """
        jobs = [understand([*c.command, *c.args], self.workloads) for c in pod.all_containers]
        if not admit(self._state.conditions, pod, pod_level=self.config.pod_level_resources):
            self._tell(pod.key, "", "refused: the node is under memory pressure")
            return False
        cgroup = pod_path(pod, self.config)
        inits = len(pod.init_containers)
        runs = [
            Run(container, job, f"{cgroup}/{container.name}", i < inits and not container.is_sidecar)
            for i, (container, job) in enumerate(zip(pod.all_containers, jobs, strict=True))
        ]
        held = Held(pod, cgroup, runs, "Running")
        self.held[pod.key] = held
        for run in runs:
            self.machine.mkdir(run.cgroup)
        self._write()
        self._start_due(held)
        return True

    def stop(self, key: str, reason: str = "") -> None:
        """Kill a pod's processes and remove its cgroups."""
        held = self.held[key]
        if held.phase not in ("Running", "Pending"):
            return
        held.phase, held.reason = "Failed" if reason else "Succeeded", reason
        for run in held.runs:
            run.due = None
            for process in run.processes:
                self.machine.kill(process.task, 137 if reason else 143)
        self._write()

    def on_events(self, events: list[Event]) -> None:
        """Hear of what happened on the machine: batches done, processes ended, OOM kills."""
        for at, kind, task, _ in events:
            for held in self.held.values():
                for run in held.runs:
                    for process in run.processes:
                        if process.task == task:
                            self._on_event(held, run, process, kind, at / SECOND)
                            break

    def _on_event(self, held: Held, run: Run, process: Process, kind: int, at: float) -> None:
        if kind == k.EV_MARK and process.alive:
            process.go_on()
        elif kind == k.EV_OOM_KILL:
            run.oom_kills += 1
            self._tell(held.pod.key, run.container.name, "OOM-killed", at)
        elif kind == k.EV_EXIT and held.phase == "Running" and not run.running:
            if run.job.respawn and process.exit_code == 137 and not self.config_group(run):
                process.start()
                return
            self._ended(held, run, process.exit_code, at)
        elif kind == k.EV_EXIT and run.job.respawn and held.phase == "Running" and process.exit_code == 137:
            process.start()

    def config_group(self, run: Run) -> bool:
        """Whether an OOM kill takes the whole container (memory.oom.group)."""
        return bool(self.machine.m.cg[self.machine.cgroup(run.cgroup), k.OOM_GROUP])

    def _ended(self, held: Held, run: Run, code: int, at: float) -> None:
        run.exit_code, run.ended_at = code, at
        policy = run.container.restart_policy or held.pod.restart_policy
        if run.init:
            again = code != 0 and policy != "Never"
        else:
            again = policy == "Always" or (policy == "OnFailure" and code != 0)
        self._tell(held.pod.key, run.container.name, f"ended with {code}", at)
        if again:
            if at - run.started_at >= BACKOFF_RESET:
                run.backoff = 0.0
            run.due = at + run.backoff
            run.backoff = min(BACKOFF_MAX, run.backoff * 2) or BACKOFF
        self._start_due(held)
        apps = [each for each in held.runs if not each.init]
        failed = any(each.init and each.done and each.exit_code != 0 for each in held.runs)
        if failed or all(each.done for each in apps):
            good = not failed and all(each.exit_code == 0 for each in apps)
            held.phase = "Succeeded" if good else "Failed"
            self._write()

    def _start_due(self, held: Held) -> None:
        """Start every container whose turn has come."""
        for run in held.runs:
            if run.running or (run.exit_code == 0 and run.due is None and run.starts):
                continue
            wanted = run.starts == 0 or (run.due is not None and run.due <= self.now)
            if wanted and held.phase == "Running":
                self._start(held, run)
            if run.init:
                return

    def _start(self, held: Held, run: Run) -> None:
        run.due, run.exit_code = None, None
        run.starts += 1
        run.started_at = self.now
        adj = oom_score_adjs(held.pod, self.capacity, self.config)[run.container.name]
        run.processes = [
            Process(self.machine, self.files, run.cgroup, run.job, adj) for _ in range(run.job.processes)
        ]

    def tick(self) -> None:
        """Start what waited for its back-off; every 10 s look whether a pod must be evicted."""
        for held in self.held.values():
            if held.phase == "Running":
                self._start_due(held)
        while self.machine.now // 1000 >= self._next_look:
            self._next_look += MONITORING_PERIOD_US
            self._look()

    def _look(self) -> None:
        observation = observe(self.node.observe(), self.pods(), self.config)
        now_us = self.machine.now // 1000
        self._state, decision = synchronize(self._eviction, self._state, observation, now_us)
        if decision.eviction is not None:
            pod = decision.eviction.pod
            self._tell(pod.key, "", "evicted: " + decision.eviction.message.strip())
            self.stop(pod.key, "Evicted")

    def next_due(self, until: int) -> int:
        """The time (ns), at most `until`, of the next thing `tick` would do."""
        times = [until, self._next_look * 1000]
        for held in self.held.values():
            times += [round(run.due * SECOND) for run in held.runs if run.due is not None]
        return max(self.machine.now + 1, min(times))

    def _write(self) -> None:
        for write in writes(self.pods(), self.capacity, self.config):
            with contextlib.suppress(NodeError):
                self.node.apply(write)

    def _tell(self, pod: str, container: str, what: str, at: float | None = None) -> None:
        self.log.append(Happening(self.now if at is None else at, pod, container, what))
