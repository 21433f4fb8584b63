"""What the pods of an experiment run, as far as it is simulated: commands, and the workloads they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from memqos.errors import ExperimentError, InputError
from memqos.lab.experiment import WORKLOADS, Experiment, Play
from memqos.lab.manifests import commands_of, manifests_of
from memqos.sim.commands import understand
from memqos.workload.parse import load_workload, workload_document, workload_from
from memqos.workload.spec import Workload


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
    for index, document in enumerate(variant.pods):
        spec = document.get("spec")
        for volume in (spec.get("volumes") or ()) if isinstance(spec, dict) else ():
            if isinstance(volume, dict) and (volume.get("emptyDir") or {}).get("medium") == "Memory":
                raise ExperimentError(
                    "an emptyDir in memory is a tmpfs, which is not simulated",
                    source=experiment.place(f"$.pods[{index}]"),
                    field=f"pods[{index}].spec.volumes",
                    remedy="let the pod allocate memory, or use a file on the disk data",
                )
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
