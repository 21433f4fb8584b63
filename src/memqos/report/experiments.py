"""What experiments showed: tables for a terminal, a page for docs, a figure for each run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from memqos.lab.results import SIMULATED, Check, ExperimentResult, Measure, Series, VariantResult
from memqos.report.figures import Line, Panel, save_figure
from memqos.report.table import Cell, Column, Kind, Table, table
from memqos.units import MIB

_KINDS: dict[str, Kind] = {"bytes": "bytes", "count": "count", "percent": "percent", "yes_no": "yes_no"}

_ACROSS = 5
"""Panels in a row where all have one unit: more are too small to be read."""
_IN_A_ROW = 4
"""Panels that are read side by side; with more, each variant is a column and each unit a row."""

_ON_REAL = (
    "# Experiments on real kernels",
    "Written by `memqos lab run EXPERIMENT... --kernel all --docs FILE`, which leaves other sections as "
    "they are. Misses are left in.",
    "Each ran in a virtual machine. Counts and bytes are what the kernel did; seconds under emulation "
    "(tcg) are not results: where an experiment judges them, it compares them within one boot of one "
    "machine. Variants alternate; of several runs the table has the median (least - most).",
)
_ON_SIMULATED = (
    "# The same experiments on the simulated kernel",
    "Written by `memqos lab run EXPERIMENT... --kernel all --simulated --docs FILE`, which leaves other "
    "sections as they are. Misses are left in.",
    "The files, the managers and the policies are those of the experiments on real kernels, and so is what "
    "is expected. The machine is as slow, and its disks are, as the emulator's. systemd-oomd is its rules "
    "restated. Of several seeds the table has the median (least - most).",
)

NOTHING = "nothing was expected"
"""What is said of a scenario without expectations: it was played, and that is all."""

CHECKS = (
    Column("experiment", "experiment"),
    Column("kernel", "kernel"),
    Column("expectation", "expectation"),
    Column("study", "the field study says"),
    Column("measured", "measured"),
    Column("holds", "holds"),
)


def checks_table(results: Iterable[ExperimentResult]) -> Table:
    """Return one row per expectation and kernel: what was expected, said, measured, and whether it holds."""
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        if result.problem:
            rows.append((result.name, result.kernel_release, "", "", result.problem, "not run"))
        rows += [
            (
                result.name,
                result.kernel_release,
                check.that,
                check.study,
                check.problem or ", ".join(f"{each.name} = {measure_text(each)}" for each in check.measured),
                verdict(check),
            )
            for check in result.checks
        ]
    return table(CHECKS, rows, title="What held", empty=NOTHING)


def verdict(check: Check) -> str:
    """Say whether an expectation holds; a kernel may lack what it asks for, or it did not happen."""
    return "not measured" if check.holds is None else "yes" if check.holds else "no"


def measures_table(results: Sequence[ExperimentResult]) -> Table:
    """Return the measures of one experiment: a row per variant and measure, a column per kernel."""
    kernels = [result.kernel_release for result in results]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for result in results:
        for variant in result.variants:
            for measure in variant.measures:
                key = (variant.name, measure.text or measure.name)
                cells.setdefault(key, {})[result.kernel_release] = measure_text(measure)
    columns = [Column("variant", "variant"), Column("measure", "measure")]
    columns += [Column(kernel, kernel) for kernel in kernels]
    rows = [(*key, *(by_kernel.get(kernel) for kernel in kernels)) for key, by_kernel in cells.items()]
    return table(columns, rows)


def variants_table(result: ExperimentResult) -> Table:
    """Return the measures of one run: a row per measure, a column per variant."""
    runs = {variant.runs for variant in result.variants}
    times = (
        "one run each"
        if runs <= {1}
        else f"{max(runs)} runs each"
        if len(runs) == 1
        else "median of its runs"
    )
    columns = [Column("measure", f"measure ({result.kernel_release}, {times})")]
    columns += [
        Column(each.name, each.name if len(runs) < 2 else f"{each.name} ({each.runs})")
        for each in result.variants
    ]
    rows = []
    for index, measure in enumerate(result.variants[0].measures if result.variants else ()):
        texts = [measure_text(variant.measures[index]) for variant in result.variants]
        rows.append((measure.text or measure.name, *texts))
    return table(columns, rows, title=f"{result.name} on {result.kernel_release}")


def measured_tables(results: Sequence[ExperimentResult]) -> list[Table]:
    """Return the measures of one experiment: the kernels side by side, or the variants if they are many.

    Nothing where nothing is measured.
    """
    if not any(variant.measures for result in results for variant in result.variants):
        return []
    if max((len(result.variants) for result in results), default=0) <= 2:
        return [measures_table(results)]
    return [variants_table(result) for result in results if result.variants]


def measure_text(measure: Measure) -> str:
    """Write a measure with its unit; of several runs their median and, where they differ, the spread."""
    text = _value_text(measure.value, measure.unit)
    if measure.least is None or measure.least == measure.most:
        return text
    return f"{text} ({_value_text(measure.least, measure.unit)} - {_value_text(measure.most, measure.unit)})"


def _value_text(value: float | None, unit: str) -> str:
    if unit == "seconds":
        return "-" if value is None else f"{value:.3g} s" if abs(value) < 1 else f"{value:.2f} s"
    if unit == "ratio":
        return "-" if value is None else f"{value:.2f} x"
    return Column("", "", _KINDS[unit]).text(value)


def page(results: Sequence[ExperimentResult], *, figures: str) -> str:
    """Return the whole page in Markdown; `figures` is where its pictures lie, relative to the page."""
    simulated = all(result.accel == SIMULATED for result in results)
    parts = [*(_ON_SIMULATED if simulated else _ON_REAL), summary_table(results).markdown()]
    for name in dict.fromkeys(result.name for result in results):
        runs = [result for result in results if result.name == name]
        parts += [f"## {name}: {runs[0].title}", runs[0].study.strip()]
        parts += [each.markdown() for each in measured_tables(runs)]
        checks = table(CHECKS[1:], [row[1:] for row in checks_table(runs).rows], empty=NOTHING)
        parts.append(checks.markdown() if checks.rows else f"{checks.empty.capitalize()}.")
        pictures = [] if simulated else [run for run in runs if drawn(run)]
        parts.append(
            "\n".join(f"![{name} on {run.kernel_release}]({figures}/{figure_name(run)})" for run in pictures)
        )
    return "\n\n".join(part for part in parts if part) + "\n"


def summary_table(results: Iterable[ExperimentResult]) -> Table:
    """Return one row per run: how many expectations hold."""
    columns = [Column(key, key) for key in ("experiment", "kernel", "machine", "holds", "problem")]
    rows = []
    for result in results:
        asked = [check for check in result.checks if check.holds is not None]
        held = sum(check.holds is True for check in asked)
        rows.append(
            (
                result.name,
                result.kernel_release or result.kernel,
                result.accel,
                f"{held} of {len(asked)}",
                result.problem,
            )
        )
    return table(columns, rows, title="Summary")


def figure_name(result: ExperimentResult) -> str:
    """Return the file name of an experiment's figure on one kernel."""
    return f"{result.name}-{result.kernel}.png"


def drawn(result: ExperimentResult) -> bool:
    """True when the run has curves to draw."""
    return any(len(series.seconds) > 1 for variant in result.variants for series in variant.series)


def draw(result: ExperimentResult, directory: Path) -> Path | None:
    """Draw a run's curves into `directory`; `None` when it has none."""
    if not drawn(result):
        return None
    alone = len(result.variants) == 1
    grid = [_panels(variant, "" if alone else variant.name) for variant in result.variants]
    panels = [panel for row in grid for panel in row]
    columns = None
    if len(panels) > _IN_A_ROW and len({tuple(panel.unit for panel in row) for row in grid}) == 1:
        panels = [panel for same_unit in zip(*grid, strict=True) for panel in same_unit]
        columns = len(grid) if len(grid[0]) > 1 else min(len(grid), _ACROSS)
    note = f"Linux {result.kernel_release}, in a virtual machine ({result.accel}); seconds are not results"
    if result.accel == SIMULATED:
        note = f"kernel {result.kernel_release}; seconds of virtual time"
    path = directory / figure_name(result)
    save_figure(panels, path, title=f"{result.name}: {result.title}", note=note, columns=columns)
    return path


def _panels(variant: VariantResult, name: str) -> list[Panel]:
    units = dict.fromkeys(series.unit for series in variant.series if len(series.seconds) > 1)
    return [
        Panel(
            variant.text or name,
            "MiB" if unit == "bytes" else unit,
            tuple(_line(series) for series in variant.series if series.unit == unit),
        )
        for unit in units
    ]


def _line(series: Series) -> Line:
    scale = MIB if series.unit == "bytes" else 1
    points = [(x, y / scale) for x, y in zip(series.seconds, series.values, strict=True) if y is not None]
    return Line(series.text or series.name, [x for x, _ in points], [y for _, y in points])
