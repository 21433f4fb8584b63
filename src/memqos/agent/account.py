"""What a session tells of itself: each advice once, as it comes, and a `Report` at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from memqos.agent.loop import Agent
from memqos.linux.runner import PodStatus
from memqos.model.plan import Advice, Evicted, Outcome, Stand, Tick, Value

_REMEMBERED: Final = 1000
"""Writes and advice that a report holds at most: an agent runs for months."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a session did: the pods it ran, its last writes, what it put back, its last advice and evictions.

    `stands` are where the rungs stood at the last turn. `dropped` counts the turns that the journal could not
    take; `ended_in_us` is the time, in microseconds, from being told to stop until the original values were
    back, `None` when nobody told it.
    """

    pods: tuple[PodStatus, ...]
    writes: tuple[Outcome, ...]
    restored: tuple[Outcome, ...]
    advice: tuple[Advice, ...]
    ticks: int
    dropped: int
    ended_in_us: int | None = None
    stands: tuple[Stand, ...] = ()
    evicted: tuple[Evicted, ...] = ()


class Account:
    """Follows a session turn by turn; `on_advice` hears each advice once."""

    def __init__(self, on_advice: Callable[[Advice], None]) -> None:
        self._on_advice = on_advice
        self._writes: deque[Outcome] = deque(maxlen=_REMEMBERED)
        self._imagined: dict[tuple[str, str], Value] = {}
        self._advice: deque[Advice] = deque(maxlen=_REMEMBERED)
        self._evicted: deque[Evicted] = deque(maxlen=_REMEMBERED)
        self._stands: tuple[Stand, ...] = ()

    def see(self, tick: Tick) -> None:
        """Take down what was new at one turn; what a dry run would write counts once, as long as it stays."""
        before, self._imagined = self._imagined, {}
        for outcome in tick.outcomes:
            write = outcome.write
            if outcome.status == "dry-run":
                self._imagined[write.target] = write.value
            if outcome.status in ("kept", "waiting") or before.get(write.target) == write.value:
                continue
            self._writes.append(outcome)
        self._writes.extend(tick.underway.ended)
        self._evicted.extend(
            one for one in tick.evicted if one.status != "leaving" and one not in self._evicted
        )
        self._stands = tick.plan.stands

    def advise(self, found: Iterable[Advice]) -> None:
        """Pass on what was not said before."""
        for advice in found:
            if advice not in self._advice:
                self._advice.append(advice)
                self._on_advice(advice)

    def report(self, agent: Agent, dropped: int) -> Report:
        """Return the report of a session whose agent has ended; it has no pods yet."""
        return Report(
            pods=(),
            writes=tuple(self._writes),
            restored=agent.restored,
            advice=tuple(self._advice),
            ticks=agent.ticks,
            dropped=dropped,
            ended_in_us=agent.ended_in_us,
            stands=self._stands,
            evicted=tuple(self._evicted),
        )
