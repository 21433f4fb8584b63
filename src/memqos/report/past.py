"""What a journal tells: the lines that an agent printed, each with its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from memqos.model.plan import Advice, Tick
from memqos.report.session import Telling, advice_line


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `time_us` is the node's monotonic clock of the boot `boot_id`."""

    boot_id: str
    time_us: int
    text: str


@dataclass(frozen=True, slots=True)
class Clock:
    """This machine's: the seconds since 1970 at which the monotonic clock of the boot `boot_id` was 0."""

    boot_id: str
    zero: float

    def stamp(self, line: Line) -> str:
        """Return a line's time: UTC for this boot, and for another, or another machine, since its boot."""
        if line.boot_id != self.boot_id:
            return f"{line.time_us / 1e6:.1f} s after boot {line.boot_id[:8]}"
        at = datetime.fromtimestamp(self.zero + line.time_us / 1e6, UTC)
        return at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


@dataclass(frozen=True, slots=True)
class Past:
    """The news of `turns` turns, the last of them at `end_us` of the boot `boot_id`."""

    lines: tuple[Line, ...]
    turns: int
    boot_id: str
    end_us: int

    @classmethod
    def of(cls, ticks: Iterable[Tick]) -> Past:
        """Tell every turn's news, as the agent did while it ran; an advice is told once."""
        telling, told, lines = Telling(), set[Advice](), list[Line]()
        turns, boot_id, end_us = 0, "", 0
        for tick in ticks:
            turns, boot_id, end_us = turns + 1, tick.snapshot.boot_id, tick.snapshot.time_us
            fresh = [advice for advice in dict.fromkeys(tick.plan.advice) if advice not in told]
            told.update(fresh)
            for text in (*telling.lines(tick), *map(advice_line, fresh)):
                lines.append(Line(boot_id, end_us, text))
        return cls(tuple(lines), turns, boot_id, end_us)

    def lately(self, seconds: float) -> Iterator[Line]:
        """Yield what is of the last so many seconds, and of the last boot."""
        for line in self.lines:
            if line.boot_id == self.boot_id and self.end_us - line.time_us <= seconds * 1e6:
                yield line
