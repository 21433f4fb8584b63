"""What a machine could not do: files beyond their disk, times that run backwards, limits of no page.

`experiment.read` sees that a document is of its form; this sees that it makes sense, before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from memqos.errors import ExperimentError
from memqos.lab.experiment import Experiment, Play, Step, size_of
from memqos.lab.manifests import manifests_of
from memqos.units import format_bytes

PAGE = 4096


def check_sane(experiment: Experiment, play: Play) -> None:
    """Raise `ExperimentError` naming line and field of the first thing that makes no sense."""
    if experiment.every < 0:
        raise _error(experiment, "every", f"{experiment.every:g} is not a time", "write 0 or more seconds")
    _check_files(experiment, play)
    for index, step in enumerate(play.timeline):
        for name, value in _times(step):
            if value < 0:
                field = f"timeline[{index}].{name}"
                raise _error(experiment, field, f"{value:g} is not a time", "write 0 or more seconds")
        if step.sample is not None and step.sample.count < 1:
            field = f"timeline[{index}].sample.count"
            raise _error(
                experiment, field, f"{step.sample.count} is not a number of samples", "write 1 or more"
            )
    _check_limits(experiment, play)


def _check_files(experiment: Experiment, play: Play) -> None:
    for index, (path, size) in enumerate(play.files.items()):
        if size < 1:
            raise _error(experiment, f"files[{index}].size", f"{path} has no bytes", "write a size above 0")
    if play.files and "data" in experiment.disks:
        disk = size_of(experiment, "$.disks.data.size", experiment.disks["data"].size)
        wanted = sum(play.files.values())
        if wanted > disk:
            problem = f"{format_bytes(wanted)} of files do not fit on a disk of {format_bytes(disk)}"
            raise _error(experiment, "disks.data.size", problem, "make the disk larger, or the files smaller")


def _times(step: Step) -> Iterator[tuple[str, float]]:
    for name, value in (("at", step.at), ("sleep", step.sleep)):
        if value is not None:
            yield name, value
    if step.sample is not None:
        yield "sample.every", step.sample.every
    if step.exec is not None:
        yield "exec.timeout", step.exec.timeout
    if step.wait is not None:
        yield "wait.timeout", step.wait.timeout


def _check_limits(experiment: Experiment, play: Play) -> None:
    for pod in manifests_of(play).pods:
        for container in pod.all_containers:
            limit = container.resources.limits.get("memory")
            if limit is not None and 0 < limit.value < PAGE:
                problem = (
                    f"{pod.name}/{container.name} has a memory limit of {limit.value} bytes, not one page"
                )
                raise _error(experiment, "pods", problem, f"write at least {PAGE}, or no limit")


def _error(experiment: Experiment, field: str, problem: str, remedy: str) -> ExperimentError:
    return ExperimentError(problem, source=experiment.place(f"$.{field}"), field=field, remedy=remedy)
