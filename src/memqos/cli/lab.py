"""`memqos lab`: experiments on real kernels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memqos.cli import exits
from memqos.cli.lab_compare import compare, keep
from memqos.cli.options import (
    File,
    Seconds,
    chosen_experiments,
    experiments_options,
    json_option,
    kernel_option,
    out_option,
)
from memqos.cli.sources import PodSource, load_settings
from memqos.errors import InputError

if TYPE_CHECKING:
    from memqos.lab.results import ExperimentResult


@click.group("lab")
def command() -> None:
    """Try pods, and run experiments, on real kernels in a virtual machine."""


command.add_command(compare)
command.add_command(keep)


@command.command("list", short_help="List the experiments and what each is about.")
@json_option
def list_(as_json: bool) -> None:
    """List the experiments: the variants of each, and what it is about."""
    from memqos.cli.output import Output
    from memqos.lab.catalogue import list_experiments
    from memqos.report.table import Column, table

    found = list_experiments()
    shown = table(
        [
            Column("name", "name"),
            Column("title", "title"),
            Column("variants", "variants"),
            Column("study", "study"),
        ],
        [
            (each.name, each.title, ", ".join(each.variant_names), " ".join(each.study.split()))
            for each in found
        ],
    )
    Output(as_json=as_json).tables({"experiments": shown.objects()}, shown)


@command.command("run", short_help="Run experiments on real kernels.")
@experiments_options
@out_option("out/lab", "results, consoles and figures")
@click.option(
    "--repeats",
    default=1,
    show_default=True,
    type=click.IntRange(1, 99),
    metavar="N",
    help="How often each variant runs, alternating with the others in one machine. Medians are judged.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Run only what has no recording in the output folder yet, to go on after an interruption.",
)
@click.option(
    "--recorded",
    type=File(exists=True, file_okay=False),
    metavar="DIR",
    help="Judge the recordings that earlier runs left in DIR, or in folders below it, instead of starting "
    "machines.",
)
@click.option(
    "--simulated",
    is_flag=True,
    help="Play on the simulated kernel, as a guest of the emulator would, instead of starting machines; "
    "repeats are seeds.",
)
@click.option(
    "--docs",
    type=File(),
    metavar="FILE",
    help="Write the results into this Markdown page, too; its sections on other experiments stay.",
)
@json_option
@click.pass_context
def run(
    ctx: click.Context,
    experiments: tuple[str, ...],
    every: bool,
    kernels: tuple[str, ...],
    out: Path,
    repeats: int,
    resume: bool,
    recorded: Path | None,
    simulated: bool,
    docs: Path | None,
    as_json: bool,
) -> None:
    """Run EXPERIMENTS (names, or YAML files) on real kernels.

    Ends with 1 when an expectation does not hold, or an experiment could not be played to its end.
    """
    from memqos.cli.output import Output
    from memqos.cli.progress import Progress
    from memqos.lab.campaign import run as run_all
    from memqos.lab.campaign import to_json
    from memqos.lab.judging import judge
    from memqos.report.experiments import checks_table, draw, measured_tables
    from memqos.report.figures import check_drawable

    check_drawable()
    chosen, wanted = chosen_experiments(experiments, every, kernels)
    output = Output(as_json=as_json)
    if simulated and (recorded is not None or resume):
        remedy = "leave out --recorded and --resume, or --simulated"
        raise InputError("what is simulated is always played anew", field="--simulated", remedy=remedy)
    if simulated:
        from memqos.lab.simulated_campaign import simulate

        with Progress() as progress:
            results = simulate(chosen, wanted, out, progress.show, repeats=repeats)
    elif recorded is None:
        with Progress() as progress:
            results = run_all(chosen, wanted, out, progress.show, repeats=repeats, resume=resume)
    else:
        results = judge(chosen, wanted, recorded)
    figures = [path for result in results if (path := draw(result, out)) is not None]
    tables = [checks_table(results)]
    for name in dict.fromkeys(result.name for result in results):
        tables[-1:-1] = measured_tables([result for result in results if result.name == name])
    output.tables({"results": [to_json(result) for result in results]}, *tables)
    for path in figures:
        output.line(f"figure: {path}")
    if docs is not None:
        _write_page(docs, results)
        output.line(f"page: {docs}")
    ctx.exit(exits.OK if all(result.holds for result in results) else exits.NOT_HELD)


@command.command("try", short_help="Try pods and a policy on a real kernel.")
@click.option(
    "--pods",
    "manifests",
    multiple=True,
    required=True,
    type=File(exists=True),
    metavar="PATH",
    help="Pod manifests: a YAML file or a directory. May be given again.",
)
@click.option("--policy", type=File(exists=True), metavar="FILE", help="The admin's MemoryPolicy.")
@kernel_option
@click.option(
    "--seconds",
    type=Seconds(min=1.0),
    default=45.0,
    show_default=True,
    metavar="S",
    help="How long the pods run.",
)
@out_option("out/try", "the journal, the console and the figure")
@json_option
def try_(
    manifests: tuple[Path, ...], policy: Path | None, kernel: str, seconds: float, out: Path, as_json: bool
) -> None:
    """Try pods and a policy on a real kernel: `memqos run` in a virtual machine, and a report of it."""
    from memqos.cli.output import Output
    from memqos.lab.trial import try_pods
    from memqos.report.figures import check_drawable, save_figure
    from memqos.report.pods import pods_table
    from memqos.report.session import CONTAINERS
    from memqos.report.table import table
    from memqos.report.trial import pod_panels, sentences, tightest

    check_drawable()
    PodSource(manifests, None).load()  # read here, in time, what the guest will read
    load_settings(policy, None)
    output = Output(as_json=as_json)
    output.line(f"booting a real kernel {kernel}; the pods of {', '.join(map(str, manifests))} run on it")
    trial = try_pods(manifests, policy, kernel=kernel, seconds=seconds, out_dir=out, say=output.line)
    rows = [[each[column.key] for column in CONTAINERS] for each in trial.document["containers"]]
    tables = [table(CONTAINERS, rows, title=f"Containers, on Linux {trial.kernel_release}")]
    moment = tightest(trial.ticks)
    if moment is not None:
        seconds_in = (moment.snapshot.time_us - trial.ticks[0].snapshot.time_us) / 1e6
        title = f"Who held what, {seconds_in:.0f} s after the start"
        tables.insert(0, replace(pods_table(moment.snapshot, moment.pods), title=title))
    output.tables({"kernel": trial.kernel_release, "accel": trial.accel, **trial.document}, *tables)
    output.line("")
    output.lines(sentences(trial.ticks))
    figure = out / "pods.png"
    note = f"Linux {trial.kernel_release}, in a virtual machine ({trial.accel}); seconds are not results"
    save_figure(pod_panels(trial.ticks), figure, title="Each pod's memory", note=note)
    output.line(f"figure: {figure}")


@command.command("shell", short_help="Open a root shell on a real kernel.")
@kernel_option
@click.pass_context
def shell(ctx: click.Context, kernel: str) -> None:
    """Open a root shell on a real kernel, with a swap disk and a data disk; `exit` ends it."""
    from memqos.lab.run import shell as open_shell

    ctx.exit(open_shell(kernel))


def _write_page(path: Path, results: list[ExperimentResult]) -> None:
    """Bring the results into the page that is there, if any, and their figures into `img` beside it."""
    from memqos.lab.results import SIMULATED
    from memqos.report.experiments import draw, page
    from memqos.report.sections import merge

    images = path.parent / "img"
    text = page(results, figures=images.name)
    if path.exists():
        text = merge(path.read_text(encoding="utf-8"), text, source=str(path))
    for result in results:
        if result.accel != SIMULATED:
            draw(result, images)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
