"""One line of a comparison: a counter as real kernels and the simulated one had it.

Real runs differ from each other too. Where there are several, a row says how many of them meet the bar
themselves: below that no simulator can be judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


def within(bar: float, floor: int, real: float, value: float) -> bool:
    """Whether a value is so near the real one: within the share, or within a difference that is none."""
    return abs(value - real) <= max(floor, bar * abs(real))


@dataclass(frozen=True, slots=True)
class Row:
    """One counter of one pod (or the node) between two marks.

    `runs` are the values of the real runs, `real` their median; `floor` is the difference that is no miss.
    """

    experiment: str
    kernel: str
    variant: str
    span: str
    subject: str
    counter: str
    unit: str
    real: float
    simulated: float
    bar: float | None
    met: bool | None
    runs: tuple[int, ...]
    floor: int

    @property
    def own(self) -> float | None:
        """The share of the real runs that meet the bar against the median of all; `None`: not judged."""
        return self._share(self.real for _ in self.runs)

    @property
    def others(self) -> float | None:
        """The share of the real runs that meet the bar against the median of the others, as simulated must.

        `None` where there are no others.
        """
        if len(self.runs) < 2:
            return None
        return self._share(median(self.runs[:i] + self.runs[i + 1 :]) for i in range(len(self.runs)))

    @property
    def apart(self) -> bool:
        """Whether a real run misses the bar itself, against the median of all."""
        return self.own is not None and self.own < 1

    def _share(self, references: Iterable[float]) -> float | None:
        if self.bar is None:
            return None
        pairs = zip(references, self.runs, strict=True)
        return sum(within(self.bar, self.floor, real, run) for real, run in pairs) / len(self.runs)

    @property
    def error(self) -> float | None:
        """Simulated against real, as a share; `None` when there was nothing."""
        if self.real == 0:
            return None if self.simulated == 0 else float("inf")
        return self.simulated / self.real - 1
