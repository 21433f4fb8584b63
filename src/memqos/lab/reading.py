"""Read an experiment's file, and check all of it that can be known without a guest."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from memqos.cluster.documents import read_text
from memqos.errors import ExperimentError, InputError
from memqos.lab import amounts, timeline
from memqos.lab.experiment import Experiment
from memqos.lab.expression import FUNCTIONS
from memqos.lab.questions import QUESTIONS
from memqos.lab.variant import play, size_of
from memqos.lab.yamllines import convert, line_of, load
from memqos.units import MIB

_PLAYED = {
    "Pod": "list it under `pods` of an Experiment, as examples/scenarios/mixed.yaml does",
    "Workload": "let a pod of an Experiment run it: command: [memqos, workload, FILE]",
    "MemoryPolicy": "give it with --policy",
}
"""What to do with a file of another kind."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def read(path: Path) -> Experiment:
    """Read and check an experiment file; raises `ExperimentError` naming file and line."""
    try:
        text = read_text(path)
    except InputError as error:
        raise ExperimentError(error.problem, source=error.source, remedy=error.remedy) from None
    data, lines = load(text, source=str(path))
    if isinstance(data, dict) and {"source", "lines"} & data.keys():
        raise ExperimentError(
            "the fields source and lines are memqos's own; leave them out", source=str(path)
        )
    if isinstance(data, dict) and data.get("kind") not in (None, "Experiment"):
        raise ExperimentError(
            f"is of kind {data['kind']}, not Experiment",
            source=f"{path}:{line_of('$.kind', lines)}",
            field="kind",
            remedy=_PLAYED.get(str(data["kind"]), "give an Experiment, as examples/scenarios/mixed.yaml is"),
        )
    experiment: Experiment = convert(data, Experiment, str(path), lines, "$")
    experiment = msgspec.structs.replace(experiment, source=str(path), lines=lines)
    _check(experiment)
    return experiment


def _check(experiment: Experiment) -> None:
    """Check all that can be known without a guest."""
    names = [each.name for each in experiment.variants]
    for index, name in enumerate(names):
        if not _NAME.fullmatch(name) or name in names[:index]:
            place = experiment.place(f"$.variants[{index}]")
            raise ExperimentError(
                f"the variant name {name!r} is taken, or not a word",
                source=place,
                remedy="write letters, digits and _, a letter first",
            )
    for name, disk in experiment.disks.items():
        if size_of(experiment, f"$.disks.{name}.size", disk.size) < MIB:
            place = experiment.place(f"$.disks.{name}")
            raise ExperimentError("a disk has 1Mi at least", source=place, field=f"disks.{name}.size")
        if disk.bandwidth is not None:
            size_of(experiment, f"$.disks.{name}.bandwidth", disk.bandwidth)
    if size_of(experiment, "$.node.memory", experiment.node.memory) < 256 * MIB:
        place = experiment.place("$.node.memory")
        raise ExperimentError("a node has 256Mi at least", source=place, field="node.memory")
    if experiment.node.swap_file is not None:
        size_of(experiment, "$.node.swapFile", experiment.node.swap_file)
    if (experiment.files or experiment.node.swap_file) and "data" not in experiment.disks:
        raise ExperimentError(
            "files need a disk", source=experiment.place("$.files"), remedy="add disks: data"
        )
    for index, file in enumerate(experiment.files):
        if not file.path or file.path.startswith("/") or ".." in Path(file.path).parts:
            place = experiment.place(f"$.files[{index}].path")
            problem = f"{file.path!r} does not stay on the data disk"
            raise ExperimentError(problem, source=place, field=f"files[{index}].path")
    plays = [play(experiment, name) for name in experiment.variant_names]
    amounts.check(experiment, plays)
    for each in plays:
        timeline.check(experiment, each)
    _check_expressions(experiment)


def _check_expressions(experiment: Experiment) -> None:
    known = {*QUESTIONS, *FUNCTIONS}
    measures = experiment.expressions("measures")
    for expression in [*measures.values(), *experiment.expressions("series").values()]:
        unknown = sorted(expression.calls - known) or sorted(expression.names - measures.keys())
        if unknown:
            raise ExperimentError(
                f"{unknown[0]} is not known",
                source=expression.place,
                remedy=f"use {', '.join(sorted(known | measures.keys()))}",
            )
    circle = amounts.cycle({name: each.names for name, each in measures.items()})
    if circle:
        field = f"measures.{circle[0]}.of"
        raise ExperimentError(
            f"measures in a circle: {' needs '.join(circle)}",
            source=experiment.place(f"$.{field}"),
            field=field,
        )
    allowed = {*measures, *experiment.variant_names}
    for _, expression in experiment.expectations():
        unknown = sorted(expression.calls - set(FUNCTIONS)) or sorted(expression.names - allowed)
        if unknown:
            remedy = f"use a measure: {', '.join(sorted(measures))}"
            raise ExperimentError(f"{unknown[0]} is not known", source=expression.place, remedy=remedy)
