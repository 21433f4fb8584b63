"""How long work shows that it goes on: one living line on a terminal, plain lines elsewhere; on stderr."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from memqos.lab.campaign import Progress as Step


class Progress(AbstractContextManager["Progress"]):
    """Shows the steps of a campaign."""

    def __init__(self) -> None:
        self._status: Any = None
        self._said = ""

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, step: Step) -> None:
        """Show where the campaign stands; a finished run stays on the screen."""
        place = f"[{step.number}/{step.total}] {step.experiment} on {step.kernel}, {step.seconds:.0f} s"
        text = f"{place}: {step.text}"
        if self._status is None:
            if step.text != self._said:
                print(text, file=sys.stderr, flush=True)
                self._said = step.text
            return
        from rich.markup import escape

        if step.state == "running":
            self._status.update(escape(text))
        else:
            self._status.console.print(escape(text))
