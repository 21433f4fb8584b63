"""A table of typed values, and its texts: plain, Markdown, JSON.

Cells keep their raw value (bytes, microseconds, counts); a column's `kind` says how people read it.
JSON always carries the raw values under the columns' keys.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from memqos.units import format_bytes

Kind: TypeAlias = Literal["text", "bytes", "count", "percent", "duration_us", "yes_no"]
Cell: TypeAlias = str | int | float | bool | None

_LEGIBLE = 10
"""So much of a longer word has to show in a line."""

ABSENT = "-"
"""How `None` reads: there is no such thing here."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the key in JSON, the heading for people, the kind of its cells."""

    key: str
    heading: str
    kind: Kind = "text"

    @property
    def right(self) -> bool:
        """True where numbers line up on the right."""
        return self.kind not in ("text", "yes_no")

    def text(self, cell: Cell) -> str:
        """Return a cell as people read it."""
        if cell is None:
            return ABSENT
        if self.kind == "bytes":
            return format_bytes(int(cell))
        if self.kind == "count":
            return f"{int(cell):,}"
        if self.kind == "percent":
            return f"{float(cell):.1f} %"
        if self.kind == "duration_us":
            return format_duration(int(cell))
        if self.kind == "yes_no":
            return "yes" if cell else "no"
        return str(cell)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of equal length; raises `ValueError` where they differ."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    empty: str = "nothing to show"

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells under {len(self.columns)} columns: {row!r}")

    def texts(self) -> list[list[str]]:
        """Return the rows as people read them."""
        return [
            [column.text(cell) for column, cell in zip(self.columns, row, strict=True)] for row in self.rows
        ]

    def objects(self) -> list[dict[str, Cell]]:
        """Return the rows as JSON objects of raw values."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]

    @property
    def least_width(self) -> int:
        """Return the columns of a terminal in which the headings and the first of each word still show."""
        rows = [[column.heading for column in self.columns], *self.texts()]
        words = (
            max(width(word) for cell in cells for word in (cell.split() or [""]))
            for cells in zip(*rows, strict=True)
        )
        return sum(min(longest, _LEGIBLE) + 2 for longest in words)

    def plain(self) -> str:
        """Return the table as aligned text, for a pipe; no colours, no frames."""
        if not self.rows:
            return self.empty
        headings = [column.heading for column in self.columns]
        texts = self.texts()
        widths = [max(map(width, cells)) for cells in zip(headings, *texts, strict=True)]
        lines = [self._line(row, widths) for row in [headings, *texts]]
        return "\n".join(lines)

    def markdown(self) -> str:
        """Return the table as GitHub Markdown."""
        headings = [column.heading for column in self.columns]
        rules = ["---:" if column.right else "---" for column in self.columns]
        body = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in self.texts()]
        return "\n".join("| " + " | ".join(row) + " |" for row in [headings, rules, *body])

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            " " * (size - width(cell)) + cell if column.right else cell + " " * (size - width(cell))
            for column, cell, size in zip(self.columns, row, widths, strict=True)
        )
        return "  ".join(cells).rstrip()


def table(columns: Iterable[Column], rows: Iterable[Iterable[Cell]], **options: str) -> Table:
    """Build a `Table` from any iterables; `options` are its `title` and `empty`."""
    return Table(tuple(columns), tuple(tuple(row) for row in rows), **options)


def format_duration(microseconds: int) -> str:
    """Write a duration for people: `250 µs`, `1.5 ms`, `12.3 s`, `2 min 5 s`."""
    if abs(microseconds) < 1000:
        return f"{microseconds} µs"
    if abs(microseconds) < 1_000_000:
        return f"{microseconds / 1e3:.1f} ms"
    seconds = microseconds / 1e6
    if abs(seconds) < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def width(text: str) -> int:
    """Return the columns a text takes on a terminal (wide East Asian characters take two)."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
