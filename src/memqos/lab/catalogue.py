"""The experiments there are: those that come with memqos, by name, and any other by its file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from memqos.errors import ExperimentError
from memqos.lab.experiment import EXPERIMENTS, Experiment
from memqos.lab.reading import read


def shipped(directory: Path = EXPERIMENTS) -> dict[str, Path]:
    """The files of a directory's experiments by name, which is the file's own; they are not read."""
    files = sorted(directory.glob("*.yaml"), key=lambda path: _order(path.stem))
    return {path.stem: path for path in files}


def list_experiments(directory: Path = EXPERIMENTS) -> list[Experiment]:
    """Return the experiments of a directory, by name; raises `ExperimentError`."""
    return [read(path) for path in shipped(directory).values()]


def _order(name: str) -> list[tuple[int, str]]:
    """Order e9 before e10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def find_experiments(names: Iterable[str]) -> list[Experiment]:
    """Return experiments by name, or by path of a file; raises `ExperimentError` for an unknown one."""
    known = shipped()
    found = []
    for name in names:
        if name in known:
            found.append(read(known[name]))
        elif name.endswith((".yaml", ".yml")) or Path(name).is_file():
            found.append(read(Path(name)))
        else:
            raise ExperimentError(
                f"there is no experiment {name!r}", remedy=f"use {', '.join(known)}, or a file"
            )
    return found
