"""Play experiments on the simulated kernel as guests would: what `memqos lab run --simulated` calls.

The same files, managers and expectations as on real kernels, on a machine as slow, and with disks, as an
emulated guest has them. The repeats of a variant are seeds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from memqos.errors import ExperimentError
from memqos.lab.campaign import Progress, Report, State, check_inputs, plays_of, to_json
from memqos.lab.experiment import Experiment
from memqos.lab.results import ExperimentResult
from memqos.lab.simulated import evaluate, record


def simulate(
    experiments: Sequence[Experiment],
    kernels: Sequence[str],
    out_dir: Path,
    progress: Report = lambda _: None,
    *,
    repeats: int = 1,
) -> list[ExperimentResult]:
    """Play each experiment on each kernel, every variant with `repeats` seeds; measures are medians.

    `out_dir/EXPERIMENT/KERNEL/result.json` has each result. One that cannot be simulated ends in a result
    with its `problem`, and the others go on. Raises `ExperimentError` for a file that cannot be read.
    """
    for experiment in experiments:
        check_inputs(experiment)
    pairs = [(kernel, experiment) for experiment in experiments for kernel in kernels]
    results = []
    for number, (kernel, experiment) in enumerate(pairs, start=1):
        step = Progress(experiment.name, kernel, number, len(pairs), "running", "", 0.0)
        result = _simulated(experiment, kernel, step, progress, repeats)
        place = out_dir / experiment.name / kernel
        place.mkdir(parents=True, exist_ok=True)
        (place / "result.json").write_text(json.dumps(to_json(result), indent=1) + "\n", encoding="utf-8")
        results.append(result)
    return results


def _simulated(
    experiment: Experiment, kernel: str, step: Progress, progress: Report, repeats: int
) -> ExperimentResult:
    began = time.monotonic()

    def tell(text: str, state: State = "running") -> None:
        progress(replace(step, state=state, text=text, seconds=time.monotonic() - began))

    recordings = []
    try:
        for play in plays_of(experiment, repeats):
            tell(play.name if repeats == 1 else f"{play.name}, seed {play.repeat}")
            recordings.append(record(experiment, play, kernel, seed=play.repeat, evictions=False, guest=True))
        result = replace(evaluate(experiment, recordings, kernel), kernel=kernel)
    except ExperimentError as error:
        result = replace(evaluate(experiment, [], kernel), kernel=kernel, checks=(), problem=str(error))
    held = sum(each.holds is True for each in result.checks)
    tell(result.problem or f"{held} of {len(result.checks)} hold", "done" if result.holds else "failed")
    return result
