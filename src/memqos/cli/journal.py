"""`memqos journal`: what an agent did, and why; or what another policy would have decided."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memqos.cli.options import File, Seconds, json_option, state_option
from memqos.cli.sources import load_settings
from memqos.errors import InputError

if TYPE_CHECKING:
    from memqos.model.plan import Tick
    from memqos.report.past import Clock


@click.command("journal")
@state_option
@click.option(
    "--policy",
    type=File(),
    metavar="FILE",
    help="Show what this MemoryPolicy would have decided at each turn, instead of what was done.",
)
@click.option("--last", type=Seconds(), metavar="S", help="Only the last so many seconds of it.")
@click.option("--about", metavar="TEXT", help="Only lines with this in them: a pod's name, a knob, a rung.")
@json_option
def command(state: Path, policy: Path | None, last: float | None, about: str | None, as_json: bool) -> None:
    """Show what an agent recorded: each write, step, eviction and note, with its time and its reason.

    It reads the journal in --state, also while an agent writes it, and changes nothing; or a directory of a
    journal's files, such as `memqos lab try` leaves. Times are UTC; those of another boot are counted from
    that boot.

    With --policy another policy is asked about the same past, turn by turn. The past stays what it was: a pod
    that this policy would have slowed down goes on as recorded. What would have come of it shows in
    `memqos simulate`.
    """
    from memqos.agent.replay import decided_anew
    from memqos.cli.output import Output
    from memqos.report.past import Past

    settings = load_settings(policy, None) if policy is not None else None
    turns: Iterable[Tick] = _turns(state)
    past = Past.of(turns if settings is None else decided_anew(turns, settings))
    lines = past.lines if last is None else past.lately(last)
    shown = [line for line in lines if about is None or about in line.text]
    clock, output = _clock(), Output(as_json=as_json)
    if as_json:
        document = [
            {"time": clock.stamp(line), "boot": line.boot_id, "time_us": line.time_us, "text": line.text}
            for line in shown
        ]
        output.tables({"turns": past.turns, "lines": document})
    elif shown:
        output.lines(f"{clock.stamp(line)}  {line.text}" for line in shown)
    else:
        output.line(f"nothing of that kind happened in the {past.turns} turns recorded")


def _clock() -> Clock:
    from memqos.report.past import Clock

    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot_id = ""
    return Clock(boot_id, time.time() - time.monotonic())


def _turns(state: Path) -> Iterator[Tick]:
    """Yield the recorded turns; raises `InputError` where there is none."""
    from memqos.agent.journal import read, segments

    found, directory = False, state / "journal"
    if not directory.exists() and segments(state):
        directory = state
    for tick in read(directory):
        found = True
        yield tick
    if not found:
        problem = "holds no turn that can be read" if directory.exists() else "there is no journal"
        remedy = "name an agent's state directory with --state; agent.journalSize 0 keeps none"
        raise InputError(problem, source=str(directory), remedy=remedy)
