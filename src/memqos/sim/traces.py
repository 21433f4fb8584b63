"""Traces: cgroups of a machine read single pages of files, in the order arrays of page numbers name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from memqos.errors import ExperimentError
from memqos.sim.kernels import control, trace

if TYPE_CHECKING:
    from memqos.sim.machine import Machine

WINDOW = 1 << 22
"""Reads the kernels are given at a time by several readers; with fewer, each of 500 costs more to line up."""


def read(machine: Machine, readers: Sequence[tuple[str, int, Any]], turn: int) -> list[int]:
    """As `Machine.traces`."""
    rows = np.zeros((len(readers), trace.COLUMNS), np.int64)
    parts: list[Any] = []
    for i, (path, file, pages) in enumerate(readers):
        wanted = np.ascontiguousarray(pages, np.int32)
        if len(wanted) and int(wanted.view(np.uint32).max()) >= machine.pages_of(file):  # or negative
            raise ExperimentError(
                f"a trace beyond the {machine.pages_of(file)} pages of its file", field="pages"
            )
        rows[i, :2] = machine.cgroup(path), file
        parts.append(wanted)
    if len(parts) == 1:
        _window(machine, rows, parts[0], [len(parts[0])], turn, 0, readers)
        return [int(rows[0, 4])]
    lengths = np.array([len(part) for part in parts])
    room = np.empty(min(int(lengths.sum()), max(WINDOW, turn * len(parts))), np.int32)
    first = 0
    while going := np.flatnonzero(lengths > first).tolist():
        step = turn * max(1, WINDOW // (turn * len(going)))
        near = [parts[i][first : first + step] for i in going]
        sizes = [len(part) for part in near]
        own = rows[going]
        pages = np.concatenate(near, out=room[: sum(sizes)])
        _window(machine, own, pages, sizes, turn, first, [readers[i] for i in going])
        rows[going] = own
        first += step
    return [int(misses) for misses in rows[:, 4]]


def _window(
    machine: Machine,
    rows: Any,
    pages: Any,
    sizes: list[int],
    turn: int,
    first: int,
    readers: Sequence[tuple[str, int, Any]],
) -> None:
    """Let each read so many `pages`, which are those from place `first` on of its trace."""
    ends = np.cumsum(sizes)
    rows[:, 2], rows[:, 3] = ends - sizes, ends
    end = machine.with_tables(pages, rows.ravel(), control.TRACE, len(sizes), turn)
    if end < 0:
        place = -1 - end
        reader = int(np.searchsorted(ends, place, "right"))
        at = first + place - int(ends[reader]) + sizes[reader]
        raise ExperimentError(f"access {at} of the trace: no room for a page in {readers[reader][0]!r}")
