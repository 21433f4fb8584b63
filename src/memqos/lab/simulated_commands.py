"""What the pods of an experiment run, as far as it is simulated: commands, and the workloads they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from memqos.errors import ExperimentError, InputError
from memqos.lab.experiment import WORKLOADS, Experiment, Play
from memqos.lab.manifests import manifests_of
from memqos.lab.variant import name_of
from memqos.lab.yamllines import placed
from memqos.sim.commands import files_read, understand, written
from memqos.sim.job import Job
from memqos.units import format_bytes, parse_bytes
from memqos.workload.parse import load_workload, workload_document, workload_from
from memqos.workload.spec import Workload

_DATA: Final = "/data/"
"""Where the files of an experiment lie."""


def workloads_of(experiment: Experiment, variant: Play) -> dict[str, Workload]:
    """Read the workload files that the variant's commands name; raises `ExperimentError`."""
    found = {}
    for place, argv in _commands(experiment, variant):
        if len(argv) == 3 and argv[0].rpartition("/")[2] == "memqos" and argv[1] == "workload":
            found[argv[2]] = _workload(experiment, variant, argv[2], place)
    return found


def _commands(experiment: Experiment, variant: Play) -> Iterator[tuple[str, list[str]]]:
    """Yield the command lines of a variant, each with its path in the document."""
    for pod in manifests_of(variant).pods:
        for container in pod.all_containers:
            yield _command_of(experiment, pod.name, container.name), [*container.command, *container.args]
    for index, step in enumerate(variant.timeline):
        if step.exec is not None:
            yield f"timeline[{index}].exec.command", list(step.exec.command)


def _workload(experiment: Experiment, variant: Play, path: str, place: str) -> Workload:
    """Read a workload file, or one of the experiment's own."""
    home, _, name = path.rpartition("/")
    if home != WORKLOADS:
        if not Path(path).is_file():
            raise ExperimentError(
                f"there is no workload file {path!r}",
                source=experiment.place(f"$.{place}"),
                field=place,
                remedy="${here}/NAME is one beside this file, ${workloads}/NAME one of its own workloads",
            )
        try:
            return load_workload(Path(path))
        except ExperimentError as error:
            raise placed(error) from None
    if name not in variant.workloads:
        raise ExperimentError(
            f"there is no workload {name!r}",
            source=experiment.place("$.workloads"),
            remedy=f"use {', '.join(sorted(variant.workloads)) or 'one of examples/workloads'}",
        )
    try:
        return workload_from(workload_document(variant.workloads[name]))
    except ExperimentError as error:
        inside = error.at(field=f"workloads.{name}")
        raise inside.at(source=experiment.place(f"$.{inside.field}")) from None


def check_commands(experiment: Experiment, variant: Play) -> None:
    """Raise `ExperimentError` for a command that is not simulated, or its files, naming file and field."""
    workloads = workloads_of(experiment, variant)
    for index, document in enumerate(variant.pods):
        if any(_in_memory(volume) for volume in _volumes(document)):
            raise ExperimentError(
                "an emptyDir in memory is a tmpfs, which is not simulated",
                source=experiment.place(f"$.pods[{index}]"),
                field=f"pods[{index}].spec.volumes",
                remedy="let the pod allocate memory, or use a file on the disk data",
            )
    jobs = [
        (place, _understood(experiment, argv, workloads, place))
        for place, argv in _commands(experiment, variant)
    ]
    _check_files(experiment, variant, jobs)


def _command_of(experiment: Experiment, pod: str, container: str) -> str:
    """The path of a container's command in the document; of its pod when it has none of its own there."""
    for index, document in enumerate(experiment.pods):
        name = name_of(document)
        if document.get("kind") != "Pod" or name not in (pod, pod.rpartition("-")[0]):
            continue
        if name != pod and name not in experiment.copies:
            continue
        for part in ("initContainers", "containers"):
            for number, each in enumerate(document["spec"].get(part) or ()):
                if each.get("name") == container:
                    return f"pods[{index}].spec.{part}[{number}].command"
    return "pods"


def _check_files(experiment: Experiment, variant: Play, jobs: Sequence[tuple[str, Job]]) -> None:
    """Every file that is read is listed or written by somebody, and the disk has room for what is written."""
    sizes = {f"{_DATA}{path}": size for path, size in variant.files.items()}
    for place, job in jobs:
        for path, size in written(job.workload.phases):
            sizes[path] = max(size, sizes.get(path, 0))
            if path.startswith(_DATA) and "data" not in experiment.disks:
                raise ExperimentError(
                    f"there is no disk data, so {path} lies nowhere",
                    source=experiment.place(f"$.{place}"),
                    field=place,
                    remedy="add disks: {data: {size: 1Gi, bandwidth: 100Mi}}",
                )
            if size > _room(experiment, variant):
                raise ExperimentError(
                    f"{path} of {format_bytes(size)} does not fit on the disk data",
                    source=experiment.place(f"$.{place}"),
                    field=place,
                    remedy="make the disk larger or the file smaller",
                )
        _check_room(experiment, variant, place, sizes)
    for place, job in jobs:
        missing = next((path for path in files_read(job.workload.phases) if path not in sizes), None)
        if missing is not None:
            raise ExperimentError(
                f"there is no file {missing}",
                source=experiment.place(f"$.{place}"),
                field=place,
                remedy=f"list it in files; that of `path: NAME` is {_DATA}NAME",
            )


def _check_room(experiment: Experiment, variant: Play, place: str, sizes: Mapping[str, int]) -> None:
    """All files together, written ones as large as they get, have room on the disk: nobody removes one."""
    whole = sum(size for path, size in sizes.items() if path.startswith(_DATA))
    if whole > _room(experiment, variant):
        raise ExperimentError(
            f"with what is written here the files of the disk data take {format_bytes(whole)} and do not fit",
            source=experiment.place(f"$.{place}"),
            field=place,
            remedy="make the disk larger or the files smaller",
        )


def _room(experiment: Experiment, variant: Play) -> int:
    """Bytes that one file may have on the disk data; without such a disk there is no end."""
    disk = experiment.disks.get("data")
    if disk is None:
        return 1 << 62
    swap_file = experiment.node.swap_file
    return parse_bytes(disk.size) - (parse_bytes(swap_file) if swap_file is not None else 0)


def _volumes(document: Mapping[str, Any]) -> list[Any]:
    spec = document.get("spec")
    volumes = spec.get("volumes") if isinstance(spec, dict) else None
    return volumes if isinstance(volumes, list) else []


def _in_memory(volume: Any) -> bool:
    empty = volume.get("emptyDir") if isinstance(volume, dict) else None
    return isinstance(empty, dict) and empty.get("medium") == "Memory"


def _understood(
    experiment: Experiment, argv: Sequence[str], workloads: Mapping[str, Workload], place: str
) -> Job:
    try:
        return understand(argv, workloads)
    except InputError as error:
        raise ExperimentError(
            error.problem, source=experiment.place(f"$.{place}"), field=place, remedy=error.remedy
        ) from None
