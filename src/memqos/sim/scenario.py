"""A scenario, and what comes of it: pods on a simulated node for a while, with or without policies.

::

    scenario = Scenario(node=NodeSpec(memory=GIB), files={"/data/a": 400 * MIB}, pods=pods, seconds=60)
    result = simulate(scenario, kernel="6.12", policies=ladder(Settings()), seed=1)
    result.pods["default/batch"].oom_kills

`Simulation` is the same step by step, for whoever puts an agent of its own between `run` calls:
`simulation.node` is a `Node`, `simulation.pods()` are the pods with their cgroups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from memqos.errors import ExperimentError, NodeError
from memqos.kubelet.config import KubeletConfig
from memqos.model.plan import Plan, Reclaim, Write
from memqos.model.pods import PlacedPod, Pod
from memqos.model.snapshot import Snapshot
from memqos.model.view import View
from memqos.policy import AnyPolicy
from memqos.policy.compose import foresee, overlay
from memqos.sim.kernels import layout as k
from memqos.sim.kubelet import Happening, SimKubelet
from memqos.sim.machine import Machine
from memqos.sim.node import SimNode
from memqos.sim.process import Files
from memqos.sim.profiles import Profile, profile
from memqos.sim.spec import Costs, NodeSpec
from memqos.workload.result import Result as PhaseResult
from memqos.workload.spec import Workload

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens: a node, files (bytes by path), pods and when each starts and stops (seconds; 0: at once).

    `workloads` are the files that `memqos workload FILE` commands name; `data_disk` holds the files.
    It lasts `seconds`, or less when every pod has ended.
    """

    node: NodeSpec = field(default_factory=NodeSpec)
    files: Mapping[str, int] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    starts: Mapping[str, float] = field(default_factory=dict)
    stops: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 60.0
    kubelet: KubeletConfig = KubeletConfig(fail_swap_on=False)
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    data_disk: str = ""
    costs: Costs = field(default_factory=Costs)

    def check(self) -> None:
        """Raise `ExperimentError` naming the first field that makes no sense."""
        if self.seconds <= 0:
            raise ExperimentError(
                f"{self.seconds:g} is not a time", field="seconds", remedy="write more than 0"
            )
        keys = {pod.key for pod in self.pods}
        if len(keys) < len(self.pods):
            raise ExperimentError("two pods have the same name", field="pods", remedy="name them apart")
        for name, times in (("starts", self.starts), ("stops", self.stops)):
            for key, at in times.items():
                if key not in keys:
                    raise ExperimentError(f"there is no pod {key}", field=name, remedy="name one of pods")
                if at < 0:
                    raise ExperimentError(
                        f"{at:g} is before the start", field=f"{name}.{key}", remedy="write 0 or more"
                    )
        for path, size in self.files.items():
            if size <= 0:
                raise ExperimentError(
                    f"{size} is not a size", field=f"files.{path}", remedy="write more than 0 bytes"
                )
        self.node.check()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodResult:
    """What became of one pod: bytes, pages, microseconds; `phases` by container."""

    phase: str
    reason: str
    exit_codes: Mapping[str, int | None]
    restarts: int
    oom_kills: int
    read: int
    written: int
    swapped_in: int
    swapped_out: int
    refaults: int
    major_faults: int
    memory_stall_us: int
    io_stall_us: int
    peak: int
    ended_at: float | None
    phases: Mapping[str, tuple[PhaseResult, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a scenario under one kernel: per pod, what happened when, and the node at the end."""

    kernel: str
    seed: int
    seconds: float
    pods: Mapping[str, PodResult]
    happenings: tuple[Happening, ...]
    end: Snapshot
    writes: int = 0


class Simulation:
    """A scenario in progress."""

    def __init__(self, scenario: Scenario, kernel: str | Profile = "6.12", seed: int = 1) -> None:
        scenario.check()
        self.scenario = scenario
        self.profile = profile(kernel) if isinstance(kernel, str) else kernel
        self.machine = Machine(self.profile, replace(scenario.node, seed=seed), scenario.costs)
        self.node = SimNode(self.machine)
        files = Files(self.machine, scenario.files, scenario.data_disk)
        self.kubelet = SimKubelet(self.node, scenario.kubelet, files, scenario.workloads)
        self.node.on_events = self.kubelet.on_events
        self._starts = sorted(
            ((scenario.starts.get(pod.key, 0.0), i, pod) for i, pod in enumerate(scenario.pods)), reverse=True
        )
        self._stops = sorted(((at, key) for key, at in scenario.stops.items()), reverse=True)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.machine.now / SECOND

    @property
    def over(self) -> bool:
        """Whether time is up or every pod has ended."""
        ended = all(held.phase in ("Succeeded", "Failed") for held in self.kubelet.held.values())
        return self.now >= self.scenario.seconds or (not self._starts and ended)

    def pods(self) -> tuple[PlacedPod, ...]:
        """The pods that have been started, with their cgroups."""
        return self.kubelet.pods()

    def run(self, seconds: float) -> None:
        """Let time pass: pods start and stop when they should, the kubelet does its rounds."""
        end = min(self.machine.now + round(seconds * SECOND), round(self.scenario.seconds * SECOND))
        while True:
            while self._starts and self._starts[-1][0] <= self.now:
                self.kubelet.start(self._starts.pop()[2])
            while self._stops and self._stops[-1][0] <= self.now:
                self.kubelet.stop(self._stops.pop()[1])
            self.kubelet.tick()
            if self.machine.now >= end:
                return
            until = self.kubelet.next_due(end)
            for times in (self._starts, self._stops):
                if times:
                    until = min(until, max(self.machine.now + 1, round(times[-1][0] * SECOND)))
            events = self.machine.advance(until)
            if events:
                self.kubelet.on_events(events)

    def result(self, writes: int = 0) -> Result:
        """What came of it so far."""
        end = self.node.observe()
        return Result(
            kernel=self.profile.name,
            seed=self.machine.spec.seed,
            seconds=self.now,
            pods={key: self._pod(key, end) for key in self.kubelet.held},
            happenings=tuple(self.kubelet.log),
            end=end,
            writes=writes,
        )

    def _pod(self, key: str, end: Snapshot) -> PodResult:
        held = self.kubelet.held[key]
        cgroup = end.cgroups[held.cgroup]
        stat: Mapping[str, int] = cgroup.memory_stat or {}
        io = (cgroup.io_stat or {}).values()
        rows = [self.machine.paths[run.cgroup] for run in held.runs]
        swapped = [sum(int(self.machine.m.cg[c, column]) for c in rows) for column in (k.PSWPIN, k.PSWPOUT)]
        ended = [run.ended_at for run in held.runs if run.exit_code is not None]
        return PodResult(
            phase=held.phase,
            reason=held.reason,
            exit_codes={run.container.name: run.exit_code for run in held.runs},
            restarts=sum(max(0, run.starts - 1) for run in held.runs),
            oom_kills=sum(run.oom_kills for run in held.runs),
            read=sum(line.rbytes for line in io),
            written=sum(line.wbytes for line in io),
            swapped_in=swapped[0],
            swapped_out=swapped[1],
            refaults=stat.get("workingset_refault_file", 0) + stat.get("workingset_refault_anon", 0),
            major_faults=stat.get("pgmajfault", 0),
            memory_stall_us=cgroup.memory_pressure.some.total if cgroup.memory_pressure else 0,
            io_stall_us=cgroup.io_pressure.some.total if cgroup.io_pressure else 0,
            peak=cgroup.memory_peak or 0,
            ended_at=max(ended) if held.phase in ("Succeeded", "Failed") and ended else None,
            phases={
                run.container.name: tuple(result for process in run.processes for result in process.results)
                for run in held.runs
            },
        )


class Deciding:
    """The policies' turn: look, decide, write what is not so already.

    A knob that drops out of the plans keeps its value here; giving it back its first value is the
    agent's business (`memqos.agent`), which runs on `simulation.node` unchanged.
    """

    def __init__(self, simulation: Simulation, policies: Iterable[AnyPolicy]) -> None:
        self.simulation = simulation
        self.policies = tuple(policies)
        self.memory = [policy.initial() for policy in self.policies]
        self.last: Snapshot | None = None
        self.writes = 0

    def turn(self) -> Plan:
        """Take one turn and return what was wanted."""
        now = self.simulation.node.observe()
        view = View(now, self.last, self.simulation.pods())
        self.last = now
        plans = []
        for i, policy in enumerate(self.policies):
            self.memory[i], plan = policy.decide(self.memory[i], view)
            view = foresee(view, plan)
            plans.append(plan)
        whole = overlay(plans)
        for write in whole.writes:
            self._apply(write, now)
        return whole

    def _apply(self, write: Write, now: Snapshot) -> None:
        cgroup = now.cgroups.get(write.cgroup)
        held = getattr(cgroup, write.knob.replace(".", "_"), None)
        if held == write.value and not isinstance(write.value, Reclaim):
            return
        try:
            self.simulation.node.apply(write)
        except NodeError:
            return
        self.writes += 1


def simulate(
    scenario: Scenario,
    kernel: str | Profile = "6.12",
    policies: Iterable[AnyPolicy] = (),
    seed: int = 1,
    *,
    interval: float = 1.0,
    progress: Callable[[Simulation], None] | None = None,
) -> Result:
    """Play a scenario to its end; the policies decide every `interval` seconds.

    Same scenario, kernel, policies and seed: the same result, to the byte. Raises `ExperimentError` for a
    scenario that makes no sense, and for a command that is not simulated.
    """
    simulation = Simulation(scenario, kernel, seed)
    deciding = Deciding(simulation, policies)
    while not simulation.over:
        simulation.run(interval)
        if deciding.policies:
            deciding.turn()
        if progress is not None:
            progress(simulation)
    return simulation.result(deciding.writes)
