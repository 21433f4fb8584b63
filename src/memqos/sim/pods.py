"""Pods on a simulated node: the world of `memqos.runner` made of a `Machine`.

Cgroups are rows of the machine, programs its tasks; the clock is the machine's. Everything about when a
container starts, starts again and goes away is `Runner`'s, the same as on a real kernel. What a program
prints is kept in `SimPods.logs`: a workload's results, line by line as the real one writes them.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from memqos.errors import ExperimentError
from memqos.model.plan import Write
from memqos.runner.pods import Runner
from memqos.runner.rules import Rules
from memqos.runner.world import Launch, NotStarted
from memqos.sim.commands import understand
from memqos.sim.files import Files
from memqos.sim.job import Job
from memqos.sim.kernels import control
from memqos.sim.kernels import layout as k
from memqos.sim.machine import SECOND, Machine
from memqos.sim.node import Event, SimNode
from memqos.sim.process import Process
from memqos.sim.stat import Look
from memqos.workload.spec import Sleep, Workload


@dataclass(slots=True)
class Program:
    """A container's program: one process or several, the first of which stands for all.

    `log` grows with what it prints. When its `timer` ends it ends.
    """

    machine: Machine
    job: Job
    members: list[Process]
    timer: Process | None = None
    log: list[str] = field(default_factory=list)
    ended: bool = False
    code: int = 0
    _told: list[int] = field(default_factory=list)
    _touched: int = 0

    @property
    def pid(self) -> int:
        """The number of its first task."""
        return self.members[0].task

    @property
    def processes(self) -> list[Process]:
        """Its members, and its timer if it has one."""
        return self.members if self.timer is None else [*self.members, self.timer]

    def poll(self) -> int | None:
        """Return its exit code once it has ended."""
        return self.code if self.ended else None

    def send(self, number: int) -> None:
        """Be told to end. A workload ends with 0, as the real one does, any other by the signal."""
        if number in (signal.SIGTERM, signal.SIGKILL):
            if self.job.results and number == signal.SIGTERM and not self.ended:
                for process in self.members:
                    process.interrupted()
                self._listen()
            self.kill(0 if self.job.results and number == signal.SIGTERM else 128 + number)

    def close(self) -> None:
        """Nothing is held."""

    def kill(self, code: int = 137) -> None:
        """End all of it."""
        if not self.ended:
            self.ended, self.code = True, code
            for process in self.processes:
                self.machine.kill(process.task, code)

    def hear(self, process: Process, kind: int, *, group: bool) -> bool:
        """Hear of an event of one of its processes; `group`: an OOM kill takes the whole cgroup.

        True when it ended or printed something.
        """
        if self.ended:
            return False
        lines = len(self.log)
        if kind == k.EV_MARK and process.alive:
            process.go_on()
            self._listen()
        elif kind == k.EV_EXIT and process is self.timer and process.exit_code == 0:
            self.kill(0)
        elif kind == k.EV_EXIT:
            if self.job.respawn and process.exit_code == 137 and not group:
                process.start()
            elif not any(each.alive for each in self.members):
                self._listen()
                self.kill(process.exit_code)
        return self.poll() is not None or len(self.log) > lines

    def used(self) -> tuple[float, float]:
        """Seconds of the processor: of the programs themselves, and of the kernel for them."""
        rows = self.machine.m.task
        user, sys = (sum(int(rows[each.task, at]) for each in self.members) for at in (k.T_USER, k.T_SYS))
        return user / SECOND, sys / SECOND

    def _listen(self) -> None:
        """Write down what the phases that ended since the last time print."""
        self._told = self._told or [0] * len(self.members)
        for index, process in enumerate(self.members):
            for result in process.results[self._told[index] :]:
                if self.job.results:
                    self.log.append(result.line().decode())
                elif self.job.says is not None and result.kind == "touch":
                    self.log.append(self.job.says(self._touched))
                    self._touched += 1
            self._told[index] = len(process.results)


class SimCgroups:
    """The runner's cgroups on a machine, and the programs in them."""

    def __init__(self, machine: Machine, top: str) -> None:
        self.machine = machine
        self.programs: dict[str, list[Program]] = {}
        self._top = top
        self._killed: set[str] = set()

    def claim(self) -> None:
        """Make the topmost cgroup."""
        self.machine.mkdir(self._top)

    def make(self, cgroup: str) -> None:
        """Make a cgroup and those above it; each is charged to its parent (mem_cgroup_css_alloc)."""
        missing = []
        path = cgroup
        while path and path not in self.machine.paths:
            missing.append(path)
            path = path.rpartition("/")[0]
        self.machine.mkdir(cgroup)
        for path in reversed(missing):
            if above := path.rpartition("/")[0]:
                self.machine.order(control.CHARGE_AHEAD, self.machine.cgroup(above))

    def kill(self, cgroup: str) -> None:
        """SIGKILL all that runs in a cgroup and below."""
        below = self._below(cgroup)
        self._killed.update(below)
        for program in [each for path, row in self.programs.items() if path in below for each in row]:
            program.kill()

    def remove(self, cgroup: str, seconds: float = 10.0) -> bool:
        """Kill all that runs in a cgroup and remove it, at once."""
        self.kill(cgroup)
        for path in sorted(self._below(cgroup), key=len, reverse=True):
            self.machine.rmdir(path)
            self.programs.pop(path, None)
            self._killed.discard(path)
        return True

    def _below(self, cgroup: str) -> list[str]:
        return [path for path in self.machine.paths if path == cgroup or path.startswith(f"{cgroup}/")]

    def was_killed(self, cgroup: str) -> bool:
        """Whether a cgroup was killed since it was made: what is started in it then is killed, too.

        kernel/cgroup/cgroup.c `cgroup_post_fork`, `kill_seq`: so it was in guests, five times of five (7.2).
        """
        return cgroup in self._killed

    def oom_kills(self, cgroup: str) -> int:
        """How often the OOM killer came for a cgroup (see the real `Tree.oom_kills`)."""
        if cgroup not in self.machine.paths:
            return 0
        events = Look(self.machine).memory_events(self.machine.paths[cgroup])
        return events.get("oom_group_kill") or events.get("oom_kill", 0)


class SimPods(Runner):
    """Runs pods on a simulated node, in virtual time. `files` are the node's."""

    def __init__(
        self, node: SimNode, rules: Rules, files: Files, workloads: Mapping[str, Workload] | None = None
    ) -> None:
        self.node, self.machine, self.files = node, node.machine, files
        self.workloads = workloads or {}
        self.cgroups = SimCgroups(self.machine, rules.shared[0])
        self.logs: dict[str, list[Program]] = {}
        self.killed: list[str] = []
        super().__init__(rules, self.cgroups, start=self._launched, write=self._written, clock=self._now_us)
        node.on_events = self.hear

    def wait(self, seconds: float) -> None:
        """Let time pass until a program ends or prints, something is due, or `seconds` went by."""
        due = self.next_due_us()
        now = self.machine.now
        # a difference of two times that is less than they are exact must not stand still
        end = now + (max(1000, round(seconds * SECOND)) if seconds > 0 else 0)
        if due is not None:
            end = min(end, max(now, due * 1000))
        while self.machine.now < end:
            if self.hear(self.machine.advance(min(end, self.node.orders.work()))):
                return

    def hear(self, events: list[Event]) -> bool:
        """Pass the machine's events on to their programs; true when one of them ended or printed."""
        noticed = False
        for at, kind, task, row in events:
            if kind == k.EV_OOM_KILL:
                where = next((path for path, c in self.machine.paths.items() if c == row), "a removed cgroup")
                self.killed.append(f"{at / SECOND:.6f} out of memory: killed task {task} of {where}")
            for cgroup, programs in self.cgroups.programs.items():
                for program in programs:
                    for process in program.processes:
                        if process.task == task:
                            group = self._group(cgroup)
                            noticed = program.hear(process, kind, group=group) or noticed
        return noticed

    def run(self, cgroup: str, argv: list[str], oom_score_adj: int = 0) -> Program:
        """Start a program in a cgroup; raises `ExperimentError` for one that is not simulated."""
        job = understand(argv, self.workloads)
        start = partial(Process, self.machine, self.files, cgroup, oom_score_adj=oom_score_adj)
        program = Program(self.machine, job, [start(job=job) for _ in range(job.processes)])
        if job.timeout is not None:
            program.timer = start(job=Job(Workload((Sleep(job.timeout),))))
        self.cgroups.programs.setdefault(cgroup, []).append(program)
        return program

    def _launched(self, launch: Launch) -> Program | NotStarted:
        container = launch.container
        argv = [*container.command, *container.args]
        try:
            program = self.run(launch.cgroup, argv, launch.oom_score_adj)
        except ExperimentError as error:
            raise error.at(field=f"{launch.pod.name}/{container.name}") from None
        self.logs.setdefault(f"{launch.pod.name}/{container.name}", []).append(program)
        return program

    def _written(self, write: Write) -> None:
        self.node.apply(write)

    def _group(self, cgroup: str) -> bool:
        return bool(self.machine.m.cg[self.machine.cgroup(cgroup), k.OOM_GROUP])

    def _now_us(self) -> int:
        return self.machine.now // 1000
