"""Figures: series over time as PNG, in one look for the whole project.

matplotlib (extra `lab`) is imported when a figure is drawn, never with the module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memqos.errors import ToolMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart by colour-blind readers and in print
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@dataclass(frozen=True, slots=True)
class Line:
    """One labelled series: x in seconds, y in the panel's unit."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened, or a level that counts: at x (vertical) or at y (horizontal)."""

    label: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. `unit` labels the y axis; a panel with `bars` draws one bar per line instead."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    markers: tuple[Marker, ...] = ()


def check_drawable() -> None:
    """Raise `ToolMissing` where no figure can be drawn: better before an hour of experiments than after."""
    if find_spec("matplotlib") is None:
        raise ToolMissing("figures need matplotlib", remedy="pip install matplotlib")


def save_figure(
    panels: Sequence[Panel], path: Path, *, title: str = "", note: str = "", columns: int | None = None
) -> None:
    """Draw panels side by side, sharing the y axis where the unit is the same, into a PNG at `path`.

    With `columns` there are so many in a row, each row has a y axis of its own, and x is the same for all.
    `note` is the line of provenance below the figure (kernel, sizes, "software-emulated").
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = columns or len(panels)
    rows = [panels[start : start + across] for start in range(0, len(panels), across)]
    figure = Figure(
        figsize=(max(6.4, 4.6 * across), 4.4 if len(rows) == 1 else 1 + 2.6 * len(rows)),
        dpi=130,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    ends = [x for panel in panels for line in panel.lines for x in line.x] if columns else []
    grid = figure.subplots(len(rows), across, squeeze=False)
    for row, cells in zip(rows, grid, strict=True):
        tops = {panel.unit: _top(each for each in row if each.unit == panel.unit) for panel in row}
        for panel, axes in zip(row, cells, strict=False):
            if ends:
                axes.set_xlim(0, max(ends) * 1.02 or 1.0)
            _draw(panel, axes, tops[panel.unit])
            if len(tops) == 1 and axes is not cells[0]:
                axes.sharey(cells[0])
        for axes in cells[len(row) :]:
            axes.set_visible(False)
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold")
    if note:
        figure.supxlabel(note, fontsize=7.5, color="#555555")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _top(panels: Iterable[Panel]) -> float:
    """Return the highest value to be seen, markers included, with room for a legend above it."""
    highest = 0.0
    for panel in panels:
        highest = max(highest, *(max(line.y, default=0.0) for line in panel.lines))
        highest = max([highest, *(marker.y for marker in panel.markers if marker.y is not None)])
    return highest * 1.3 or 1.0


def _draw(panel: Panel, axes: Axes, top: float) -> None:
    for index, line in enumerate(panel.lines):
        axes.plot(line.x, line.y, label=line.label, color=COLOURS[index % len(COLOURS)], linewidth=1.8)
    axes.set_ylim(0, top)
    for marker in panel.markers:
        if marker.y is not None:
            axes.axhline(marker.y, color="#777777", linestyle="--", linewidth=1)
            _say(axes, marker.label, 0.99, marker.y / top, ha="right", va="bottom", color="#555555")
        if marker.x is not None:
            axes.axvline(marker.x, color="#B00020", linestyle=":", linewidth=1.4)
            left, right = axes.get_xlim()
            where = (marker.x - left) / (right - left)
            _say(axes, marker.label, where, 0.02, ha="right", va="bottom", color="#B00020", rotation=90)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel("seconds")
    axes.set_ylabel(panel.unit)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left")


def _say(axes: Axes, text: str, x: float, y: float, **style: Any) -> None:
    """Write into the axes, in their own fractions; the layout makes no room for it."""
    axes.text(x, y, text, transform=axes.transAxes, fontsize=8, **style).set_in_layout(False)
