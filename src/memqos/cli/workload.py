"""`memqos workload`: do what a workload file says, to real memory and files."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import click

from memqos.cli.options import File
from memqos.errors import InputError
from memqos.workload.parse import load_workload


@click.command()
@click.argument("file", type=File())
@click.option(
    "--results",
    type=File(dir_okay=False),
    help="Append the results to this file instead of writing them to stdout.",
)
@click.option("--check", is_flag=True, help="Only read FILE and say whether it can be used.")
def command(file: Path, results: Path | None, check: bool) -> None:
    """Do what a workload FILE says, phase by phase: allocate, touch, read, write, serve requests.

    Each phase leaves one line of JSON: its times, pages, bytes, faults and latencies. SIGTERM and SIGINT end
    it with the results so far and exit code 0. `pydoc memqos.workload.spec` describes the file.
    """
    try:
        workload = load_workload(file)
    except InputError as error:
        from memqos.lab.yamllines import placed

        raise placed(error) from None
    if check:
        click.echo(f"{file}: a workload of {len(workload.phases)} phases, seed {workload.seed}")
        return
    from memqos.linux.workload.clock import stopped_by_signals
    from memqos.linux.workload.program import run_workload

    try:
        output = sys.stdout.fileno() if results is None else os.open(results, _APPEND, 0o644)
    except OSError as error:
        raise click.BadParameter(f"{results}: {error.strerror}", param_hint="--results") from None
    # nothing here makes reference cycles, and a collection would be a pause in somebody's latency
    gc.disable()
    with stopped_by_signals() as stop:
        run_workload(workload, lambda result: _write_all(output, result.line()), stop)


_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


def _write_all(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]
