"""Experiments on the simulated kernel: the same file, the same player, virtual time.

The machine is that of the file: its memory less what a kernel keeps back, its disks, its settings. Files
lie at /data as in the guest; a `memqos workload FILE` is read from this machine's FILE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from memqos.errors import ExperimentError, InputError, LabError
from memqos.kubelet.allocatable import NodeCapacity
from memqos.lab.evictor import Evictor
from memqos.lab.experiment import WORKLOADS, Experiment, ManagerName, Play
from memqos.lab.manage import Manager, kubelet_of
from memqos.lab.manifests import commands_of, manifests_of
from memqos.lab.player import BROKEN, Player
from memqos.lab.recording import Recording
from memqos.lab.results import ExperimentResult, check, evaluate_variant
from memqos.lab.variant import size_of
from memqos.lab.watch import Watcher
from memqos.model.pods import Pod
from memqos.runner.rules import KubeletRules
from memqos.sim.commands import understand
from memqos.sim.machine import SECOND, Machine
from memqos.sim.node import SimNode
from memqos.sim.pods import Program, SimPods
from memqos.sim.process import Files
from memqos.sim.profiles import profile
from memqos.sim.spec import Costs, Disk, NodeSpec
from memqos.sim.stat import Look
from memqos.units import MIB
from memqos.workload.parse import load_workload, workload_document, workload_from
from memqos.workload.spec import Workload

KERNELS: Final = ("6.1", "6.12", "7.2")

_SHORT: Final = 0.1
"""Seconds that a managed world waits at a time: as often as the kernel looks at its triggers."""

_SYSTEM: Final = 64 * MIB
"""What a guest's kernel and its few processes hold: MemTotal less MemFree before the first pod, on 6.12."""

_SWAPS: Final = ("swap", "data")
"""The disks swap may lie on; one that rotates makes all swap-in read slots, not pages (nr_rotate_swap)."""

_BURST_US: Final = 100_000
"""What QEMU's throttle lets pass at once: a tenth of a second's worth (util/throttle.c, `bkt->avg / 10`)."""

_EMULATED: Final = 60
"""How many times slower an emulated processor is: e3 takes 4.5 s to fill its memory and 11 s for a pass in a
guest, 5.1 s and 6.1 s in the simulator at this."""


def node_of(experiment: Experiment) -> NodeSpec:
    """The simulated machine of an experiment; raises `ExperimentError`.

    A guest of 1 GiB has a MemTotal of 967 MiB, one of 1400 MiB 1335 MiB: the kernel's image and tables
    take 41 MiB, and struct page a 64th.
    """
    node = experiment.node
    memory = size_of(experiment, "$.node.memory", node.memory)
    disks = []
    for name, disk in experiment.disks.items():
        bps = size_of(experiment, f"$.disks.{name}.bandwidth", disk.bandwidth) if disk.bandwidth else 0
        disks.append(Disk(name, bps, bps, disk.iops, disk.iops))
    swap = experiment.disks.get("swap")
    unknown = sorted(set(node.sysctl) - _SYSCTLS.keys())
    if unknown:
        raise ExperimentError(
            f"the sysctl {unknown[0]} is not simulated",
            source=experiment.place("$.node.sysctl"),
            remedy=f"use {', '.join(sorted(_SYSCTLS))}",
        )
    settings: dict[str, Any] = {
        _SYSCTLS[name]: _number(experiment, name, value) for name, value in node.sysctl.items()
    }
    spec = NodeSpec(
        memory=(memory - 41 * MIB - memory // 64) // 4096 * 4096,
        cpus=node.cpus,
        disks=tuple(disks) or (Disk(),),
        swap=_swap_of(experiment),
        swap_disk="swap" if swap is not None else "data" if node.swap_file else "",
        swap_rotates=any(disk.rotational for name, disk in experiment.disks.items() if name in _SWAPS),
        swappiness=node.swappiness,
        read_ahead=node.read_ahead_kb << 10,
        thp=node.thp == "always",
        system=_SYSTEM,
    )
    spec = replace(spec, **settings)
    try:
        spec.check()
    except InputError as error:
        raise error.at(source=experiment.source, field="node") from None
    return spec


def _swap_of(experiment: Experiment) -> int:
    if "swap" in experiment.disks:
        return size_of(experiment, "$.disks.swap.size", experiment.disks["swap"].size)
    file = experiment.node.swap_file
    return size_of(experiment, "$.node.swapFile", file) if file else 0


_SYSCTLS: Final = {
    "vm.page-cluster": "page_cluster",
    "vm.dirty_ratio": "dirty_ratio",
    "vm.dirty_background_ratio": "dirty_background_ratio",
    "vm.swappiness": "swappiness",
}


def _number(experiment: Experiment, name: str, value: str) -> int:
    if not value.strip().isdigit():
        raise ExperimentError(f"{value!r} is no number", source=experiment.place(f"$.node.sysctl.{name}"))
    return int(value)


class SimWorld:
    """One variant's simulated node as a world to play in."""

    def __init__(
        self, experiment: Experiment, variant: Play, kernel: str, seed: int = 1, *, guest: bool = False
    ) -> None:
        chosen = profile(kernel)
        if experiment.node.mglru is not None:
            chosen = chosen.with_mglru() if experiment.node.mglru else chosen.classic()
        spec = replace(node_of(experiment), seed=seed)
        costs = Costs()
        if guest:
            spec = replace(spec, disks=tuple(replace(disk, burst_us=_BURST_US) for disk in spec.disks))
            costs = costs.times(_EMULATED)
        self.machine = Machine(chosen, spec, costs)
        self.node = SimNode(self.machine)
        self.release = f"{kernel} (simulated)"
        rules = KubeletRules(kubelet_of(variant.kubelet), NodeCapacity(memory=spec.memory, swap=spec.swap))
        self.config = rules.config
        disk = "data" if "data" in experiment.disks else ""
        files = Files(self.machine, {f"/data/{path}": size for path, size in variant.files.items()}, disk)
        self.runner = SimPods(self.node, rules, files, workloads_of(experiment, variant))
        look = Look(self.machine)
        self.devices = {disk.name: look.device(i) for i, disk in enumerate(spec.disks)}

    def now(self) -> float:
        """Virtual seconds."""
        return self.machine.now / SECOND

    def execute(self, pod: Pod, cgroup: str, name: str) -> Executing:
        """Start a command in a cgroup; raises `ExperimentError` for one that is not simulated."""
        container = pod.containers[0]
        return Executing(self.runner.run(cgroup, [*container.command, *container.args]))

    def wait(self, seconds: float) -> str:
        """Let virtual time pass; returns often, so that what is due is not late."""
        due = self.runner.next_due_us()
        until = seconds if due is None else min(seconds, due / 1e6 - self.now())
        wake = self.node.wait(min(max(until, 1e-6), _SHORT))
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


def workloads_of(experiment: Experiment, variant: Play) -> dict[str, Workload]:
    """Read the workload files that the variant's commands name; raises `ExperimentError`."""
    found = {}
    for argv in commands_of(variant):
        if len(argv) == 3 and argv[0].rpartition("/")[2] == "memqos" and argv[1] == "workload":
            found[argv[2]] = _workload(experiment, variant, argv[2])
    return found


def _workload(experiment: Experiment, variant: Play, path: str) -> Workload:
    """Read a workload file, or one of the experiment's own."""
    home, _, name = path.rpartition("/")
    if home != WORKLOADS:
        return load_workload(Path(path))
    if name not in variant.workloads:
        raise ExperimentError(
            f"there is no workload {name!r}",
            source=experiment.place("$.workloads"),
            remedy=f"use {', '.join(sorted(variant.workloads)) or 'one of examples/workloads'}",
        )
    try:
        return workload_from(workload_document(variant.workloads[name]))
    except ExperimentError as error:
        raise error.at(source=experiment.place("$.workloads"), field=f"workloads.{name}") from None


def check_commands(experiment: Experiment, variant: Play) -> None:
    """Raise `ExperimentError` for a command that is not simulated, naming file and field."""
    workloads = workloads_of(experiment, variant)
    for pod in manifests_of(variant).pods:
        for container in pod.all_containers:
            _understood(experiment, [*container.command, *container.args], workloads, "$.pods", pod.name)
    for index, step in enumerate(variant.timeline):
        if step.exec is not None:
            place = f"$.timeline[{index}].exec"
            _understood(experiment, step.exec.command, workloads, place, step.exec.pod)


def _understood(
    experiment: Experiment, argv: Sequence[str], workloads: Mapping[str, Workload], path: str, pod: str
) -> None:
    try:
        understand(argv, workloads)
    except InputError as error:
        raise ExperimentError(
            error.problem, source=experiment.place(path), field=f"pod {pod}", remedy=error.remedy
        ) from None


def record(
    experiment: Experiment,
    variant: Play,
    kernel: str,
    *,
    seed: int = 1,
    evictions: bool = True,
    guest: bool = False,
    say: Callable[[str], None] = lambda text: None,
    watcher: Watcher | None = None,
) -> Recording:
    """Play one variant on a new simulated node and return what was seen.

    Without `evictions` there is no eviction manager, as in the guest. `guest`: on a machine as slow, and with
    disks, as the emulator has them; counters depend on it where writes race with reclaim. Raises `InputError`
    for what cannot be simulated. A wait in vain ends the play; the recording says so, and has what was seen
    until then.
    """
    check_commands(experiment, variant)
    world = SimWorld(experiment, variant, kernel, seed, guest=guest)
    evictor = Evictor(world.config, world.runner.now_us()) if evictions else None
    player = Player(variant, world, say, evictor=evictor, watcher=watcher)
    try:
        return player.run()
    except LabError as error:
        return player.end(str(error))


def evaluate(experiment: Experiment, recordings: Sequence[Recording], kernel: str) -> ExperimentResult:
    """Ask recordings of all variants what the experiment asks, and whether it holds."""
    broken = [each.text for recording in recordings for each in recording.events if each.what == BROKEN]
    variants = () if broken else tuple(evaluate_variant(experiment, each) for each in recordings)
    return ExperimentResult(
        name=experiment.name,
        title=experiment.title,
        study=experiment.study,
        kernel=f"sim {kernel}",
        kernel_release=f"{kernel} (simulated)",
        kernel_version="",
        accel="simulated",
        seconds=round(sum(each.seconds for each in recordings), 1),
        variants=variants,
        checks=() if broken else check(experiment, variants, kernel),
        problem="; ".join(broken),
    )
