"""A workload unrolled: its phases in the order they are done, with their numbers and places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from memqos.workload.spec import Action, Allocate, Free, Phase, Repeat, Workload


@dataclass(frozen=True, slots=True)
class Step:
    """One phase as it is done: `number` counts every phase done (the random numbers follow from it).

    `place` is the field of the file, such as `phases[2].repeat.phases[0]`, the same in every repetition.
    """

    number: int
    place: str
    action: Action


def steps(workload: Workload) -> Iterator[Step]:
    """Yield the phases with every `repeat` written out; without end where one has no `times`."""
    for number, (place, action) in enumerate(_unrolled(workload.phases, "phases")):
        yield Step(number, place, action)


def _unrolled(phases: tuple[Phase, ...], field: str) -> Iterator[tuple[str, Action]]:
    for index, phase in enumerate(phases):
        place = f"{field}[{index}]"
        if not isinstance(phase, Repeat):
            yield place, phase
            continue
        for _ in count() if phase.times is None else range(phase.times):
            yield from _unrolled(phase.phases, f"{place}.repeat.phases")


_NO_TIME: Final = (Allocate, Free)


def takes_time(phases: tuple[Phase, ...]) -> bool:
    """Whether any phase takes time: an endless `repeat` of others would never let time pass."""
    return any(
        takes_time(phase.phases) if isinstance(phase, Repeat) else not isinstance(phase, _NO_TIME)
        for phase in phases
    )
