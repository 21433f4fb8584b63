"""Patience with knobs that somebody else overwrites, or that refuse what is written.

After the first loss the value is written again at once. From the second loss in a row on the knob is left
alone for 2, 4, 8, ... turns, at most `PATIENCE`: two programs that overwrite each other every second help
nobody. A value that held for `PATIENCE` turns ends the contest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from memqos.agent.original import Key

PATIENCE: Final = 64
"""Most turns between two tries, and turns of peace that end a contest."""


@dataclass(slots=True)
class Contest:
    """How often in a row one knob was lost, why last, how many turns it is left alone, and how many yet."""

    times: int = 0
    turns: int = 0
    wait: int = 0
    calm: int = 0
    status: Literal["overwritten", "failed"] = "failed"
    error: str = ""


@dataclass(slots=True)
class Contests:
    """All contested knobs of a node."""

    _open: dict[Key, Contest] = field(default_factory=dict)

    def lose(self, key: Key, status: Literal["overwritten", "failed"], error: str) -> int:
        """Count a loss; return how many there were in a row."""
        contest = self._open.setdefault(key, Contest())
        contest.times += 1
        contest.turns = min(2 ** (contest.times - 1), PATIENCE) if contest.times > 1 else 0
        contest.wait = contest.turns
        contest.calm, contest.status, contest.error = 0, status, error
        return contest.times

    def waiting(self, key: Key) -> Contest | None:
        """Spend one turn on a knob that is left alone; `None` when it is to be written."""
        contest = self._open.get(key)
        if contest is None or contest.wait == 0:
            return None
        contest.wait -= 1
        return contest

    def holds(self, key: Key) -> None:
        """Spend one turn on a knob that holds its value."""
        contest = self._open.get(key)
        if contest is not None:
            contest.calm += 1
            if contest.calm >= PATIENCE:
                del self._open[key]

    def forget(self, key: Key) -> None:
        """Drop a knob that is gone or no longer wanted."""
        self._open.pop(key, None)
