"""Judge the recordings of an earlier campaign by the present expectations of the experiments."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from memqos.errors import RecordingError
from memqos.lab.experiment import Experiment, Play
from memqos.lab.kernels import cached
from memqos.lab.recording import decode
from memqos.lab.results import ExperimentResult, check, evaluate_variant, median_of
from memqos.lab.variant import play


def judge(
    experiments: Sequence[Experiment], kernels: Sequence[str], directory: Path
) -> list[ExperimentResult]:
    """Return the results of what `run` left below a directory, of the kernels that have recordings.

    `DIRECTORY/EXPERIMENT/KERNEL/out/record-*.json`, or the same in any folder of DIRECTORY; recordings of
    several folders count as several runs. Of an experiment whose file has changed since, what the guest
    played differently is left out, and so is an expectation about a variant that was not recorded. An
    experiment without any recording has that as its problem; `RecordingError` when none has one.
    """
    found: list[ExperimentResult] = []
    for experiment in experiments:
        judged = [
            result for kernel in kernels if (result := _judged(experiment, kernel, directory)) is not None
        ]
        found += judged or [_unjudged(experiment)]
    if all(result.problem for result in found):
        names = " ".join(each.name for each in experiments)
        problem = f"has no recording of {names} on {', '.join(kernels)}, or only of what they were before"
        remedy = f"memqos lab run {names} --out {directory}"
        raise RecordingError(problem, source=str(directory), remedy=remedy)
    return found


def _unjudged(experiment: Experiment) -> ExperimentResult:
    return ExperimentResult(
        name=experiment.name,
        title=experiment.title,
        study=experiment.study,
        kernel="",
        kernel_release="",
        kernel_version="",
        accel="",
        seconds=0.0,
        problem="there is no recording",
    )


def _judged(experiment: Experiment, kernel: str, directory: Path) -> ExperimentResult | None:
    homes = [directory / experiment.name / kernel, *sorted(directory.glob(f"*/{experiment.name}/{kernel}"))]
    variants, seconds, release = [], 0.0, ""
    for name in experiment.variant_names:
        paths = [
            path
            for home in homes
            if _played(home, experiment, name)
            for path in (
                home / "out" / f"record-{name}.json",
                *sorted(home.glob(f"out/record-{name}-*.json")),
            )
            if path.exists()
        ]
        recordings = [decode(path.read_bytes(), source=str(path)) for path in paths]
        if recordings:
            variants.append(median_of([evaluate_variant(experiment, each) for each in recordings]))
            seconds += sum(each.seconds for each in recordings)
            release = recordings[0].release
    if not variants:
        return None
    booted = cached(kernel)
    missing = set(experiment.variant_names) - {each.name for each in variants}
    asked = [expect for expect, expression in experiment.expectations() if not expression.names & missing]
    experiment = msgspec.structs.replace(experiment, expect=asked)
    return ExperimentResult(
        name=experiment.name,
        title=experiment.title,
        study=experiment.study,
        kernel=kernel,
        kernel_release=release,
        kernel_version=booted.version if booted is not None and booted.release == release else "",
        accel=_accel_of(homes),
        seconds=round(seconds, 1),
        variants=tuple(variants),
        checks=check(experiment, variants, kernel),
    )


def _played(home: Path, experiment: Experiment, name: str) -> bool:
    """Whether a run was of the variant as it is now: the same pods, workloads, timeline and manager."""
    try:
        plays = msgspec.json.decode((home / "plays.json").read_bytes(), type=list[Play])
    except (OSError, msgspec.DecodeError):
        return False
    now = msgspec.json.decode(msgspec.json.encode(play(experiment, name)), type=Play)
    return any(each == now for each in plays)


def _accel_of(homes: Iterable[Path]) -> str:
    """Return how the machines of earlier runs were accelerated, as they or their results say."""
    words = set()
    for home in homes:
        for name in ("machine.json", "result.json"):
            with contextlib.suppress(OSError, ValueError):
                words.add(str(json.loads((home / name).read_text(encoding="utf-8"))["accel"]))
    return ", ".join(sorted(words - {""}))
