"""How far a simulation is: a bar on a terminal, a few plain lines elsewhere, on stderr.

The story of what happens, if it is wanted, is a result and goes to stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from memqos.lab.experiment import Play
from memqos.lab.recording import Happened, Written
from memqos.lab.sidebyside import Run
from memqos.lab.watch import Watcher
from memqos.report.story import Story

COMPILING = "compiling the simulated kernel for this machine, once; half a minute to a minute"


class PlayProgress(AbstractContextManager["PlayProgress"]):
    """Shows how `total` runs go on; tells their stories with `tell`."""

    def __init__(self, total: int, *, tell: bool) -> None:
        self._total = total
        self._tell = tell
        self._number = 0
        self._bar: Any = None
        self._task: Any = None
        self._compiling = False
        self._doing = ""

    def __enter__(self) -> PlayProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
            )
            self._bar = Progress(
                *columns, console=Console(stderr=True), transient=True, redirect_stdout=False
            )
            self._task = self._bar.add_task("", total=1.0)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def compiling(self, share: float) -> None:
        """Show how much of the kernel is compiled."""
        begins, self._compiling = not self._compiling, True
        if self._bar is not None:
            self._bar.update(self._task, completed=share, description=COMPILING)
        elif begins:
            print(COMPILING, file=sys.stderr, flush=True)
        if share >= 1.0:
            self._compiling = False
            self._show(0.0)

    def watch(self, run: Run) -> Watcher:
        """Begin with the next run and return who is to hear of it."""
        self._number += 1
        self._doing = f"[{self._number}/{self._total}] {run.name}"
        if self._bar is None and not self._tell:
            print(f"{self._doing}: playing", file=sys.stderr, flush=True)
        if self._tell:
            self.say(f"{run.name}: {run.text}" if run.text else run.name)
        self._show(0.0)
        return _Listener(self)

    def say(self, line: str) -> None:
        """Say a line on stdout, above the bar where both are one terminal."""
        if self._bar is not None and sys.stdout.isatty():
            from rich.text import Text

            self._bar.console.print(Text(line))
        else:
            print(line, flush=True)

    def tell(self, lines: Iterable[str]) -> None:
        """Tell a part of the story."""
        if self._tell:
            for line in lines:
                self.say(line)

    def _show(self, share: float) -> None:
        if self._bar is not None and not self._compiling:
            self._bar.update(self._task, completed=share, description=self._doing)

    def advanced(self, share: float) -> None:
        """Show how much of the run is over."""
        self._show(share)


class _Listener(Watcher):
    """Hears of one run."""

    def __init__(self, progress: PlayProgress) -> None:
        self._progress = progress
        self._story = Story({})

    def begins(self, play: Play, cgroups: Mapping[str, str]) -> None:
        self._story = Story(cgroups)

    def advanced(self, share: float) -> None:
        self._progress.advanced(share)
        if share >= 1.0:
            self._progress.tell(self._story.ends())

    def happened(self, event: Happened) -> None:
        self._progress.tell(self._story.happened(event))

    def wrote(self, write: Written) -> None:
        self._progress.tell(self._story.wrote(write))
