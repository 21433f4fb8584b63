"""`memqos simulate`: play an experiment on the simulated kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memqos.cli import exits
from memqos.cli.options import json_option, kernel_option
from memqos.errors import InputError

if TYPE_CHECKING:
    from memqos.lab.experiment import Experiment
    from memqos.lab.recording import Recording
    from memqos.lab.results import ExperimentResult

ALONE = "none"
"""The word for the kubelet alone, without a policy."""


@click.command()
@click.argument("scenario")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="FILE",
    help="Play it under this MemoryPolicy instead of the file's own; `none` is the kubelet alone. "
    "Given again, the policies are set side by side.",
)
@kernel_option
@click.option("--seed", default=1, show_default=True, help="Same seed, same result, to the byte.")
@click.option(
    "--evictions/--no-evictions",
    default=True,
    show_default=True,
    help="With the kubelet's eviction manager. The guests of `memqos lab run` have none.",
)
@click.option(
    "--report",
    "report_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Leave recordings, results and figures there.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    scenario: str,
    policies: tuple[str, ...],
    kernel: str,
    seed: int,
    evictions: bool,
    report_dir: Path | None,
    as_json: bool,
) -> None:
    """Play SCENARIO (an experiment's name, or its YAML file) on the simulated kernel.

    Needs no root and no virtual machine; time is virtual. Ends with 1 when an expectation of the file
    does not hold.
    """
    from memqos.cli.output import Output
    from memqos.cli.progress import Progress
    from memqos.lab.campaign import check_inputs, find_experiments, to_json
    from memqos.report.experiments import checks_table, measures_table
    from memqos.report.simulation import pod_runs, runs_table

    experiment = find_experiments([scenario])[0]
    check_inputs(experiment)
    chosen = [(name, _policy(name)) for name in policies] or [("", None)]
    with Progress() as progress:
        played = _play_all(experiment, chosen, kernel, seed, evictions, progress.show)
    results, runs = [result for result, _ in played], {k: v for _, found in played for k, v in found.items()}
    tables = [runs_table(runs)]
    if experiment.measures:
        tables.append(measures_table(results))
    if any(result.checks for result in results):
        tables.append(checks_table(results))
    document = {
        "kernel": kernel,
        "seed": seed,
        "runs": {
            name: {each.pod: dict(each.cells) for each in pod_runs(recording)}
            for name, recording in runs.items()
        },
        "results": [to_json(result) for result in results],
    }
    output = Output(as_json=as_json)
    output.tables(document, *tables)
    if report_dir is not None:
        output.line(f"report: {_leave(report_dir, document, runs, results)}")
    for result in results:
        if result.problem:
            output.line(f"{result.kernel_release}: not played to its end: {result.problem}")
    failed = any(r.problem or any(check.holds is False for check in r.checks) for r in results)
    ctx.exit(exits.NOT_HELD if failed else exits.OK)


def _play_all(
    experiment: Experiment,
    policies: list[tuple[str, dict[str, Any] | None]],
    kernel: str,
    seed: int,
    evictions: bool,
    show: Any,
) -> list[tuple[ExperimentResult, dict[str, Recording]]]:
    """Play every variant under every policy: for each policy its result, and its recordings by name."""
    import time
    from dataclasses import replace

    import msgspec

    from memqos.lab.campaign import Progress as Step
    from memqos.lab.experiment import play
    from memqos.lab.simulated import evaluate, record

    began, number, played = time.monotonic(), 0, []
    total = len(policies) * len(experiment.variant_names)
    for label, policy in policies:
        found = {}
        for variant in experiment.variant_names:
            number += 1

            def say(text: str, number: int = number) -> None:
                seconds = time.monotonic() - began
                show(Step(experiment.name, f"sim {kernel}", number, total, "running", text, seconds))

            wanted = play(experiment, variant)
            if label:
                wanted = msgspec.structs.replace(wanted, policy=policy)
            name = _name(variant if len(experiment.variant_names) > 1 or not label else "", label)
            found[name] = record(experiment, wanted, kernel, seed=seed, evictions=evictions, say=say)
        result = evaluate(experiment, list(found.values()), kernel)
        if label:
            result = replace(result, kernel_release=f"{result.kernel_release}, {_short(label)}")
        played.append((result, found))
    return played


def _name(variant: str, policy: str) -> str:
    return " ".join(filter(None, (variant, _short(policy))))


def _short(policy: str) -> str:
    return "kubelet alone" if policy == ALONE else Path(policy).stem if policy else ""


def _policy(name: str) -> dict[str, Any] | None:
    """Read a MemoryPolicy file; raises `InputError` naming file and field."""
    from memqos.cluster.documents import read_documents
    from memqos.lab.manage import settings_of

    if name == ALONE:
        return None
    documents = [document for _, document in read_documents(Path(name))]
    if len(documents) != 1:
        raise InputError(f"{len(documents)} documents where one MemoryPolicy is expected", source=name)
    try:
        settings_of(documents[0])
    except InputError as error:
        raise error.at(source=name) from None
    return dict(documents[0])


def _leave(
    directory: Path, document: dict[str, Any], runs: dict[str, Recording], results: list[ExperimentResult]
) -> Path:
    """Write recordings, the document and a figure for each result with curves."""
    import json
    from dataclasses import replace

    from memqos.lab.recording import encode
    from memqos.report.experiments import draw

    directory.mkdir(parents=True, exist_ok=True)
    for name, recording in runs.items():
        (directory / f"record-{name.replace(' ', '-')}.json").write_bytes(encode(recording))
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (directory / "simulation.json").write_text(text, encoding="utf-8")
    for number, result in enumerate(results, start=1):
        kernel = result.kernel.replace(" ", "-") + (f"-{number}" if len(results) > 1 else "")
        draw(replace(result, kernel=kernel), directory)
    return directory
