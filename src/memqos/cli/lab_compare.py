"""`memqos lab compare`: the simulated kernel beside the real one; `memqos lab keep`: what it needs of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memqos.cli import exits
from memqos.cli.options import File, chosen_experiments, experiments_options, json_option, out_option
from memqos.errors import ExperimentError, LabError, RecordingError

if TYPE_CHECKING:
    from memqos.lab.experiment import Experiment
    from memqos.lab.row import Row


@click.command("compare", short_help="Compare the simulated kernel with real ones.")
@experiments_options
@click.option(
    "--recorded",
    type=File(exists=True),
    metavar="PATH",
    help="Use the recordings that `memqos lab run --out PATH` left, or the archive that `memqos lab keep` "
    "wrote, instead of starting virtual machines. Of several runs, in folders of their own, the median is "
    "compared.",
)
@click.option(
    "--runs",
    default=1,
    show_default=True,
    type=click.IntRange(1, 99),
    metavar="N",
    help="How often each experiment runs in the machine.",
)
@out_option("out/compare", "recordings of new runs")
@click.option(
    "--docs",
    type=File(),
    metavar="FILE",
    help="Write the comparison to this Markdown page, too. [default: docs/fidelity.md with --all, else none]",
)
@click.option(
    "--first",
    type=File(exists=True, dir_okay=False),
    metavar="FILE",
    help="Add to the page how scenarios came out when they were first compared: FILE is what --json printed "
    "then.",
)
@json_option
@click.pass_context
def compare(
    ctx: click.Context,
    experiments: tuple[str, ...],
    every: bool,
    kernels: tuple[str, ...],
    recorded: Path | None,
    runs: int,
    out: Path,
    docs: Path | None,
    first: Path | None,
    as_json: bool,
) -> None:
    """Play EXPERIMENTS in a virtual machine and on the simulated kernel, and compare counter by counter.

    Of experiments that compare managers of a node only the kubelet's variants are played: what the others do
    differs with every delay of theirs. Ends with 1 when a counter misses its bar.
    """
    from dataclasses import asdict

    from memqos.cli.output import Output
    from memqos.lab.archive import opened
    from memqos.report.fidelity import page, rows_table, summary_table

    chosen, wanted = chosen_experiments(experiments, every, kernels)
    then = _rows_of(first) if first else []
    chosen = [alone for each in chosen if (alone := each.by_itself())]
    if not chosen:
        raise ExperimentError(
            f"{' '.join(experiments)}: no variant is the kubelet's alone, so there is nothing to compare",
            remedy="name another experiment; `memqos lab list` shows their variants",
        )
    given = f" --recorded {recorded if recorded.is_file() else 'DIR'}" if recorded else ""
    if recorded is None:
        recorded = out
        _run(chosen, wanted, runs, out)
    with opened(recorded) as directory:
        rows, missing, stale = _compared_all(chosen, wanted, directory, given=recorded, every=every)
    if stale and not every:
        problem = f"recorded before something was changed: {'; '.join(stale)}"
        raise RecordingError(problem, source=str(recorded), remedy="record it anew, without --recorded")
    output = Output(as_json=as_json)
    plain: list[dict[str, Any]] = [{**asdict(row), "error": _finite(row.error)} for row in rows]
    output.tables({"rows": plain}, rows_table(rows, "Simulated beside real"), summary_table(rows))
    if missing:
        output.line(f"not recorded: {', '.join(missing)}")
    for each in stale:
        output.line(f"left out: {each}")
    docs = docs or (Path("docs/fidelity.md") if every else None)
    if docs is not None:
        words = "--all" if every else " ".join(experiments)
        said = f"memqos lab compare {words}" + "".join(f" --kernel {kernel}" for kernel in kernels) + given
        docs.parent.mkdir(parents=True, exist_ok=True)
        said += " --first FILE" if first else ""
        docs.write_text(page(rows, command=said, missing=missing, stale=stale, first=then), encoding="utf-8")
        output.line(f"page: {docs}")
    ctx.exit(exits.NOT_HELD if any(row.met is False for row in rows) else exits.OK)


def _rows_of(path: Path) -> list[dict[str, Any]]:
    """Read what `--json` printed; raises `RecordingError` for anything else."""
    import json

    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
        if all({"experiment", "kernel", "met"} <= row.keys() for row in rows):
            return rows
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    remedy = "give what `memqos lab compare --json` printed"
    raise RecordingError("is no comparison", source=str(path), remedy=remedy)


def _run(experiments: list[Experiment], kernels: tuple[str, ...], runs: int, out: Path) -> None:
    from memqos.cli.progress import Progress
    from memqos.lab.campaign import run

    with Progress() as progress:
        for number in range(1, runs + 1):
            for result in run(experiments, kernels, out / f"run{number}", progress.show):
                if result.problem:
                    raise LabError(f"{result.name} on {result.kernel}: {result.problem}")


def _compared_all(
    experiments: list[Experiment], kernels: tuple[str, ...], recorded: Path, *, given: Path, every: bool
) -> tuple[list[Row], list[str], list[str]]:
    """Return the rows, what was not recorded (told with `every`, else an error), and what is left out."""
    from memqos.lab.recorded import is_recorded

    rows: list[Row] = []
    missing: list[str] = []
    stale: list[str] = []
    for experiment in experiments:
        for kernel in kernels:
            if every and not is_recorded(recorded, experiment, kernel):
                missing.append(f"{experiment.name} on {kernel}")
            else:
                found, left_out = _compared(experiment, kernel, recorded, given)
                rows += found
                stale += left_out
    return rows, missing, stale


def _compared(
    experiment: Experiment, kernel: str, recorded: Path, given: Path
) -> tuple[list[Row], list[str]]:
    """Compare what is up to date; also say of which variants nothing is, and why."""
    from memqos.lab.compare import compare as compare_recordings
    from memqos.lab.recorded import recordings_in
    from memqos.lab.room import median_room
    from memqos.lab.simulated import record
    from memqos.lab.variant import play

    rows: list[Row] = []
    stale = []
    for name, found in recordings_in(recorded, experiment, kernel, given=given).items():
        now = play(experiment, name)
        # in the guest only a kubelet that the variant names evicts
        room = median_room(each.recording for each in found)
        simulated = record(experiment, now, kernel, evictions=False, guest=True, room=room)
        reasons = [each.out_of_date(experiment, now, simulated) for each in found]
        real = [each.recording for each, reason in zip(found, reasons, strict=True) if reason is None]
        if real:
            rows += compare_recordings(experiment, kernel, real, simulated)
        else:
            stale.append(f"{experiment.name} {name} on {kernel} ({reasons[-1]})")
    return rows, stale


def _finite(error: float | None) -> float | None:
    return None if error is None or error == float("inf") else error


@click.command("keep", short_help="Add recordings of real kernels to an archive.")
@click.argument("directory", type=File(exists=True, file_okay=False))
@click.argument("archive", type=File(dir_okay=False))
def keep(directory: Path, archive: Path) -> None:
    """Add the recordings that `memqos lab run --out DIRECTORY` left to ARCHIVE, for `memqos lab compare`.

    Each experiment and kernel counts as one more run. A recording that is in the archive is not added again.
    """
    from memqos.cli.output import Output
    from memqos.lab.archive import keep as add

    Output(as_json=False).lines(add(directory, archive))
