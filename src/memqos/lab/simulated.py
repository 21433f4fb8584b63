"""Experiments on the simulated kernel: the same file, the same player, virtual time.

Files lie at /data as in the guest; a `memqos workload FILE` is read from this machine's FILE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from memqos.errors import ExperimentError, LabError
from memqos.kubelet.allocatable import NodeCapacity
from memqos.lab.evictor import Evictor
from memqos.lab.experiment import Experiment, ManagerName, Play
from memqos.lab.manage import Manager, kubelet_of
from memqos.lab.player import BROKEN, Player
from memqos.lab.recording import Recording
from memqos.lab.results import SIMULATED, ExperimentResult, VariantResult, check, evaluate_variant, median_of
from memqos.lab.simulated_commands import check_commands, workloads_of
from memqos.lab.simulated_machine import guest_holds, node_of
from memqos.lab.watch import Watcher
from memqos.model.pods import Pod
from memqos.policy.settings import AgentSettings
from memqos.runner.rules import KubeletRules
from memqos.sim.files import Files
from memqos.sim.machine import PAGE, SECOND, Machine
from memqos.sim.marks import marks_of
from memqos.sim.node import SimNode
from memqos.sim.pods import Program, SimPods
from memqos.sim.profiles import profile
from memqos.sim.spec import Costs
from memqos.sim.stat import Look
from memqos.units import format_bytes

KERNELS: Final = ("6.1", "6.12", "7.2")

_SHORT: Final = 0.1
"""Seconds that a managed world waits at a time: as often as the kernel looks at its triggers."""

_QUIET_S: Final = AgentSettings().least_interval_seconds

_BURST_US: Final = 100_000
"""What QEMU's throttle lets pass at once: a tenth of a second's worth (util/throttle.c, `bkt->avg / 10`)."""

_DISK: Final[dict[str, Any]] = {
    "burst_us": _BURST_US,
    "read_latency_us": 80,
    "write_latency_us": 80,
    "spread_us": 160,
    "under_way": 0,
}
"""A guest's disk. Beside the processor's own time for it a read from swap was waited for 25 µs on 7.2, 39 on
6.12 and 72 on 6.1 (io pressure by requests, last pass of k2). As many rounds of reclaim began before the
writes of the round before ended as after (vmscan tracepoints): a latency always the same would make it all of
them or none."""

_EMULATED: Final = Costs(
    fault=10_000,
    scan=1500,
    steal=3000,
    swap_out=12_400,
    round=12_000,
    request=140_000,
    read_miss=8000,
    copy=4000,
    syscall=15_000,
    exit=800,
    writeback=4000,
    program=25,
)
"""What an emulated processor takes (QEMU's `max` without cmpxchg16b and enhanced rep movsb), from recordings.
A kill without swap goes through some 450 rounds of reclaim that find nothing on 6.1, twice as many on 6.12
and 7.2, in 6 to 9 ms of memory pressure (k2): a round. A pass over memory that is in swap and clean: two
looks at a page and its freeing, 4.8 to 9.4 µs (k2, last pass); what writing passes stalled beyond that goes
by pages and, 132 µs each, by requests (dwios). A swap-in of one page takes 147 to 178 µs of the processor, of
eight 225: requests again (k3, served less again; k2). Fresh memory is filled at 16 µs a page, a third of it
the program's own; cached file pages are read in 2 to 6 µs, and in 14 to 16 where they come from the disk, 32
by a request (k10). After a kill 18 to 25 more charges were refused on 6.12 than simulated with memory that is
free at once (k13): a turn of 17 and some, some 10 ms for the 8,300 to 16,400 pages of a victim. When a
limit was full of dirty pages for the first time, 9 to 40 tries of 0.23 to 0.43 ms, 4 to 12 ms in all, went by
until the first 2,048 of them were written (k10 on 7.2): a page's writeback. Pressure
and phases' times come out as recorded within a tenth, as a rule."""


class SimWorld:
    """One variant's simulated node as a world to play in."""

    def __init__(
        self,
        experiment: Experiment,
        variant: Play,
        kernel: str,
        seed: int = 1,
        *,
        guest: bool = False,
        room: int | None = None,
        kubelet: bool = False,
    ) -> None:
        chosen = profile(kernel)
        if experiment.node.mglru is not None:
            chosen = chosen.with_mglru() if experiment.node.mglru else chosen.classic()
        # a kubelet sets vm.overcommit_memory (pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables)
        spec = replace(node_of(experiment), seed=seed, overcommit=kubelet)
        costs = Costs()
        if guest:
            held = guest_holds(kernel, variant) if room is None else spec.memory - room
            # MemFree, by which what a guest holds was found, leaves out what lies with the CPUs
            loose = marks_of(spec).loose(chosen) * PAGE
            spec = replace(spec, system=held - loose)
            spec = replace(spec, disks=tuple(replace(disk, **_DISK) for disk in spec.disks))
            costs = _EMULATED
        try:
            self.machine = Machine(chosen, spec, costs)
        except (OSError, MemoryError):
            raise ExperimentError(
                f"there is not the memory here to simulate {format_bytes(spec.memory + spec.swap)}",
                source=experiment.place("$.node.memory"),
                field="node.memory",
                remedy="write less memory and swap",
            ) from None
        self.node = SimNode(self.machine)
        self.release = f"{kernel} (simulated)"
        capacity = NodeCapacity(memory=spec.memory, swap=spec.swap, cpus=spec.cpus)
        rules = KubeletRules(kubelet_of(variant.kubelet), capacity)
        self.config = rules.config
        disk = "data" if "data" in experiment.disks else ""
        files = Files(self.machine, {f"/data/{path}": size for path, size in variant.files.items()}, disk)
        if guest:
            for file in files.objects.values():
                self.machine.own_inode(file)  # the guest has just made it
        self.runner = SimPods(self.node, rules, files, workloads_of(experiment, variant))
        look = Look(self.machine)
        self.devices = {disk.name: look.device(i) for i, disk in enumerate(spec.disks)}

    def now(self) -> float:
        """Virtual seconds."""
        return self.machine.now / SECOND

    def execute(self, pod: Pod, cgroup: str, name: str) -> Executing:
        """Start a command in a cgroup; raises `ExperimentError` for one that is not simulated.

        In a container that has ended it is killed at once.
        """
        container = pod.containers[0]
        program = self.runner.run(cgroup, [*container.command, *container.args])
        if self.runner.cgroups.was_killed(cgroup):
            program.kill()
        return Executing(program)

    def wait(self, seconds: float) -> str:
        """Let virtual time pass; returns often, so that what is due is not late."""
        due = self.runner.next_due_us()
        until = seconds if due is None else min(seconds, due / 1e6 - self.now())
        wake = self.node.wait(min(max(until, 1e-6), _SHORT), _QUIET_S)
        return f"pressure {' '.join(wake.cgroups)}".strip() if wake.reason == "pressure" else ""

    def rival(self, name: ManagerName) -> Manager | None:
        """No daemon runs in a simulation."""
        return None

    def drop_caches(self) -> None:
        """Write everything back, then drop the clean page cache."""
        self.node.drop_caches()

    def logs(self) -> dict[str, str]:
        """What the containers printed last."""
        return {
            name: "".join(line for program in programs for line in program.log)
            for name, programs in self.runner.logs.items()
        }

    def close(self) -> list[str]:
        """Return a line for each process the OOM killer took."""
        return self.runner.killed


class Executing:
    """A command of the timeline in the simulation."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def poll(self) -> int | None:
        """Return its exit status once it has ended."""
        return self._program.poll()

    def close(self) -> tuple[float, float, str]:
        """Return its seconds of the processor (user, kernel) and what it printed."""
        return (*self._program.used(), "".join(self._program.log))


def record(
    experiment: Experiment,
    variant: Play,
    kernel: str,
    *,
    seed: int = 1,
    evictions: bool = True,
    guest: bool = False,
    room: int | None = None,
    say: Callable[[str], None] = lambda text: None,
    watcher: Watcher | None = None,
) -> Recording:
    """Play one variant on a new simulated node and return what was seen.

    Without `evictions` there is no kubelet's eviction manager and none of its vm.overcommit_memory, as in the
    guest. `guest`: on a machine as slow, and with disks, as the emulator has them; counters depend on it
    where writes race with reclaim. `room` are the bytes that a guest had for pods (`memqos.lab.room`), if
    known. Raises `InputError` for what cannot be simulated. A wait in vain ends the play; the recording says
    so, and has what was seen until then.
    """
    check_commands(experiment, variant)
    world = SimWorld(
        experiment, variant, kernel, seed, guest=guest, room=room, kubelet=evictions and not guest
    )
    evictor = Evictor(world.config, world.runner.now_us()) if evictions else None
    player = Player(variant, world, say, evictor=evictor, watcher=watcher)
    try:
        return player.run()
    except LabError as error:
        return player.end(str(error))


def evaluate(experiment: Experiment, recordings: Sequence[Recording], kernel: str) -> ExperimentResult:
    """Ask recordings of all variants what the experiment asks, and whether it holds.

    Of several recordings of a variant the medians count.
    """
    broken = [each.text for recording in recordings for each in recording.events if each.what == BROKEN]
    runs: dict[str, list[VariantResult]] = {}
    for recording in () if broken else recordings:
        found = evaluate_variant(experiment, recording)
        runs.setdefault(found.name, []).append(found)
    variants = tuple(median_of(each) for each in runs.values())
    return ExperimentResult(
        name=experiment.name,
        title=experiment.title,
        study=experiment.study,
        kernel=f"sim {kernel}",
        kernel_release=f"{kernel} (simulated)",
        kernel_version="",
        accel=SIMULATED,
        seconds=round(sum(each.seconds for each in recordings), 1),
        variants=variants,
        checks=() if broken else check(experiment, variants, kernel),
        problem="; ".join(broken),
    )
