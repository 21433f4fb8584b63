"""`memqos simulate`: play a scenario on the simulated kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from memqos.cli import exits
from memqos.cli.options import File, json_option, kernel_option

if TYPE_CHECKING:
    from memqos.lab.experiment import Experiment


@click.command()
@click.argument("scenario", required=False)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="FILE",
    help="Play it under this MemoryPolicy instead of the scenario's own; `none` is the kubelet alone. "
    "May be given again: the policies are then compared side by side.",
)
@kernel_option
@click.option("--seed", default=1, show_default=True, help="Same seed, same result, to the byte.")
@click.option(
    "--evictions/--no-evictions",
    default=True,
    show_default=True,
    help="Simulate the kubelet's eviction manager, too. The guests of `memqos lab run` have none.",
)
@click.option(
    "--events/--no-events",
    "tell",
    default=None,
    help="Print what happens, as it happens. [default: only when no SCENARIO is named]",
)
@click.option(
    "--report",
    "report_dir",
    type=File(file_okay=False),
    metavar="DIR",
    help="Write a page with tables and figures, the results as JSON, and the recordings to DIR.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    scenario: str | None,
    policies: tuple[str, ...],
    kernel: str,
    seed: int,
    evictions: bool,
    tell: bool | None,
    report_dir: Path | None,
    as_json: bool,
) -> None:
    """Play SCENARIO (a YAML file, or the name of an experiment) on the simulated kernel.

    Without SCENARIO it plays the one that comes with memqos: an important service, a file server, a batch
    job that swaps and a leaking pod on one node, first with the kubelet alone, then under memqos.

    It needs no root and no virtual machine, and changes nothing on this machine; time is virtual. The
    same file runs on a real kernel with `memqos lab run SCENARIO`. Ends with 1 when an expectation in the
    file does not hold, or the scenario could not be played to its end.
    """
    from memqos.cli.output import Output
    from memqos.cli.play_progress import PlayProgress
    from memqos.lab.sidebyside import (
        BUILT_IN,
        check_groups,
        find_scenario,
        groups_of,
        play_group,
        read_policies,
    )
    from memqos.report.simulation import document_of, tables_of
    from memqos.sim.warm import compiling

    experiment = find_scenario(scenario or BUILT_IN)
    groups = groups_of(experiment, read_policies(policies), evictions=evictions)
    if report_dir is not None:
        from memqos.report.figures import check_drawable

        check_drawable()
        report_dir.mkdir(parents=True, exist_ok=True)
    for note in check_groups(experiment, groups):
        click.echo(f"memqos: {note}", err=True)
    output = Output(as_json=as_json)
    built_in = scenario is None and not as_json
    telling = (scenario is None if tell is None else tell) and not as_json
    if telling:
        output.lines(_introduction(experiment, kernel))
    total = sum(len(group.runs) for group in groups)
    with PlayProgress(total, tell=telling) as progress, compiling(progress.compiling):
        played = [
            play_group(experiment, group, kernel, seed=seed, evictions=evictions, watch=progress.watch)
            for group in groups
        ]
    runs = {name: recording for each in played for name, recording in each.recordings.items()}
    results = [each.result for each in played]
    document = document_of(kernel, seed, runs, results)
    tables = tables_of(runs, results, measures=scenario is not None)
    if telling:
        output.line("")
    output.tables(document, *tables)
    if report_dir is not None:
        from memqos.report.simulation_page import leave

        page = leave(report_dir, experiment, document, runs, results)
        output.line(f"report: {page}")
    for result in results:
        if result.problem:
            output.line(f"{result.kernel_release}: not played to its end: {result.problem}")
    if built_in:
        output.line("")
        output.lines(what_next())
    failed = any(r.problem or any(check.holds is False for check in r.checks) for r in results)
    ctx.exit(exits.NOT_HELD if failed else exits.OK)


def _introduction(experiment: Experiment, kernel: str) -> list[str]:
    """Say what is going to be played, and on what."""
    from memqos.lab.simulated_machine import node_of
    from memqos.units import format_bytes

    spec = node_of(experiment)
    swap = f", {format_bytes(spec.swap)} of swap" if spec.swap else ", no swap"
    machine = f"{format_bytes(spec.memory)} of memory{swap}, {spec.cpus} CPUs"
    return [
        f"{experiment.title}: {experiment.source}",
        f"on a simulated node with {machine}, kernel {kernel}; nothing on this machine is touched",
        "",
    ]


def what_next() -> list[str]:
    """Say how to manage this machine, or what it lacks for that."""
    from memqos.agent.checkup import check_node

    faults = [each for each in check_node() if each.state == "fault"]
    if faults:
        first = faults[0]
        remedy = f"; {first.remedy}" if first.remedy else ""
        lines = [f"Manage this machine: not yet, {first.detail}{remedy} (memqos doctor says more)"]
    else:
        lines = [
            "Manage this machine: its cgroup v2 memory controller can be written.",
            "  memqos run --pods examples/pods --policy examples/policy.yaml    runs pods here, managed",
            "  memqos run --kubelet-pods FILE --policy examples/policy.yaml     manages its kubelet's pods",
        ]
    return [*lines, "On a real kernel, in a virtual machine: make try, or memqos lab try --pods DIR"]
