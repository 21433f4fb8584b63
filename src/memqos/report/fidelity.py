"""How near the simulated kernel comes to the real one: the tables and the page of `memqos lab compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memqos.lab.compare import BATCH
from memqos.lab.row import Row
from memqos.report.table import Cell, Column, Table, table
from memqos.units import format_bytes

ROWS = (
    Column("variant", "variant"),
    Column("span", "between"),
    Column("subject", "of"),
    Column("counter", "counter"),
    Column("real", "real"),
    Column("runs", "real runs"),
    Column("simulated", "simulated"),
    Column("error", "error"),
    Column("bar", "bar"),
    Column("met", "met"),
)
PLACE = (Column("experiment", "experiment"), Column("kernel", "kernel"))


_SAID = f"""\
The same experiment files are played on real kernels in virtual machines and on the simulated kernel. Each
row compares how much a counter of a pod, or of the node, grew between two marks of the timeline. Only
counts and bytes are compared, no times, because the machines were emulated.

A *bar* is how far the simulated value may be from the median of the real ones. A difference within {BATCH}
pages, one batch in which the kernel charges, is no miss. A bar of `-` marks a counter that is shown and
not judged; memory.events max is judged only under file load, where nothing is swapped.

Some of what is compared differs between two runs of a real kernel, too. Reclaim races with the writes it
has started; so the simulated machine is as slow as an emulated one, and its disks take bursts as QEMU's
do. How often a charge meets the limit before an OOM kill is chance (35 and 48 times in two runs of e5 on
6.1, 36 and 18 on 7.2; in six of e2 21 to 39 times on 6.1, 34 to 55 on 6.12, 29 to 49 on 7.2). On a full
node of 6.12 and 7.2 the kernel draws at random from which cgroup it reclaims (get_random_u32_below).

Not simulated: the types of free blocks, and so what follows when an allocation finds none of its own type
(boosted watermarks: mm/page_alloc.c, `boost_watermark`). Guests show them: the min watermark of DMA32 stood
at 663 pages and at moments at 1,175 or 2,152 on 6.12, and kswapd woke kcompactd, as it does after a boost, in
9 of 361 of its runs in e6 on 6.1, in 41 of 117 and 43 of 79 on 6.12, in 41 to 96 of some 125 on 7.2. That is
why kswapd frees more than it must there: up to 21 MiB on 6.12, simulated 9 MiB."""


def rows_table(rows: Sequence[Row], title: str, *, placed: bool = True) -> Table:
    """One line per counter; `placed`: with the experiment and the kernel."""
    columns = [*(PLACE if placed else ()), *ROWS]
    lines: list[list[Cell]] = []
    for row in rows:
        place = [row.experiment, row.kernel] if placed else []
        real, simulated = value_text(row, row.real), value_text(row, row.simulated)
        verdict = "-" if row.met is None else "yes" if row.met else "MISS"
        bar = "-" if row.bar is None else "exact" if row.bar == 0 else f"{row.bar:.0%}"
        names = [row.variant, row.span, row.subject, row.counter]
        lines.append([*place, *names, real, runs_text(row), simulated, error_text(row), bar, verdict])
    return table(columns, lines, title=title, empty="nothing to compare")


def value_text(row: Row, value: float) -> str:
    """Write a value with its unit."""
    if row.counter == "exit code" and value == -1:
        return "runs"
    return format_bytes(int(value)) if row.unit == "bytes" else f"{value:,.10g}"


def runs_text(row: Row) -> str:
    """Write the least and the most of the real runs, and whether one of them misses the bar itself."""
    if len(row.runs) < 2:
        return "one"
    least, most = value_text(row, min(row.runs)), value_text(row, max(row.runs))
    return (least if least == most else f"{least} to {most}") + (", apart" if row.apart else "")


def error_text(row: Row) -> str:
    """Write how far simulated is off."""
    if row.counter == "exit code" or row.error is None:
        return "-"
    return "none was real" if row.error == float("inf") else f"{row.error:+.1%}"


def summary_table(rows: Sequence[Row]) -> Table:
    """Per experiment and kernel: how many bars are met, and how many a real run meets on the average.

    That is against the median of all real runs, then against the median of the others; nothing where there
    was but one run.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.experiment, row.kernel), []).append(row)
    lines = []
    for (experiment, kernel), mine in found.items():
        judged = [row for row in mine if row.met is not None]
        met = sum(row.met is True for row in judged)
        runs = min(len(row.runs) for row in mine)
        floors = ("-", "-") if runs < 2 else (f"{each:.1f}" for each in _floors(judged))
        lines.append((experiment, kernel, f"{met} of {len(judged)}", *floors, runs))
    columns = [
        *PLACE,
        Column("met", "bars met"),
        Column("own", "a real run, against all"),
        Column("others", "a real run, against the others"),
        Column("runs", "real runs", "count"),
    ]
    return table(columns, lines, title="Bars met")


def _floors(judged: Sequence[Row]) -> tuple[float, float]:
    return sum(row.own or 0.0 for row in judged), sum(row.others or 0.0 for row in judged)


def _noise(rows: Sequence[Row]) -> str:
    """What all bars with two real runs or more come to, for real runs and for simulated."""
    several = [row for row in rows if row.met is not None and len(row.runs) > 1]
    own, others = _floors(several)
    misses = [row for row in several if row.met is False]
    apart = sum(row.apart for row in misses)
    within = sum(min(row.runs) <= row.simulated <= max(row.runs) for row in misses)
    met = len(several) - len(misses)
    return (
        f"Of these, {len(several)} bars have two real runs or more. There the simulated kernel meets {met}; "
        f"one of the real runs meets, on average, {own:.0f} of them when it is compared with the median of "
        f"all runs, and {others:.0f} when it is compared with the median of the others. A simulator cannot "
        f"be judged more finely than that. On {apart} of the {len(misses)} missed bars a real run misses the "
        f"bar as well (marked `apart`), and {within} simulated values lie between the least and the most of "
        "the real runs."
    )


def _first(then: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> list[str]:
    """How scenarios came out when they were compared for the first time, and how they do now."""
    lines, met, judged = [], 0, 0
    for place in dict.fromkeys((str(row["experiment"]), str(row["kernel"])) for row in then):
        before = [row["met"] for row in then if (row["experiment"], row["kernel"]) == place]
        now = [row.met for row in rows if (row.experiment, row.kernel) == place]
        counts = [f"{each.count(True)} of {len(each) - each.count(None)}" for each in (before, now)]
        lines.append((*place, *counts))
        met, judged = met + before.count(True), judged + len(before) - before.count(None)
    columns = [*PLACE, Column("first", "met at first"), Column("now", "met now")]
    return [
        "## Scenarios the simulator had never seen",
        "These were written after the simulator, and compared before anything in it was changed for them: "
        f"**{met} of {judged} bars were met at first.** It has been improved on them since.",
        table(columns, lines, title="").markdown(),
    ]


def page(
    rows: Sequence[Row],
    *,
    command: str,
    missing: Sequence[str] = (),
    stale: Sequence[str] = (),
    first: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The whole page in Markdown, misses left in.

    `missing` is what there was no recording of, `stale` what was recorded when something was different.
    `first` are rows, as `--json` writes them, of scenarios when they were compared for the first time.
    """
    judged = [row for row in rows if row.met is not None]
    met = sum(row.met is True for row in judged)
    parts = [
        "# The simulated kernel beside the real one",
        f"Written by `{command}`. Misses are left in.",
        _SAID,
        f"**{met} of {len(judged)} bars are met.**",
        *([_noise(rows)] if any(len(row.runs) > 1 for row in judged) else ()),
        summary_table(rows).markdown(),
    ]
    if missing:
        parts.append(f"Not compared, because not recorded: {', '.join(missing)}.")
    if stale:
        parts.append(
            f"Not compared, because recorded before experiment or policy was changed: {'; '.join(stale)}."
        )
    if first:
        parts += _first(first, rows)
    misses = [row for row in rows if row.met is False]
    if misses:
        parts += ["## Misses", rows_table(misses, "").markdown()]
    for name, kernel in dict.fromkeys((row.experiment, row.kernel) for row in rows):
        mine = [row for row in rows if (row.experiment, row.kernel) == (name, kernel)]
        parts += [f"## {name} on {kernel}", rows_table(mine, "", placed=False).markdown()]
    return "\n\n".join(parts) + "\n"
