"""Who wants to hear of a play while it goes on: a progress bar, a story of what happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memqos.lab.experiment import Play
from memqos.lab.recording import Happened, Written
from memqos.lab.steps import Step


class Watcher:
    """Hears what happens; by itself it does nothing with it."""

    def begins(self, play: Play, cgroups: Mapping[str, str]) -> None:
        """Hear that a variant begins. `cgroups` grows: the paths by "pod" and "pod/container"."""

    def advanced(self, share: float) -> None:
        """Hear how much of the timeline is played, 0 to 1."""

    def happened(self, event: Happened) -> None:
        """Hear of a container, of the node, or of a step of the timeline."""

    def wrote(self, write: Written) -> None:
        """Hear what became of a knob that the policy wants to hold something else."""


class Share:
    """How much of a timeline is played: by the time its steps are known to take, 1 s where it is not."""

    def __init__(self, timeline: Sequence[Step]) -> None:
        self._weights = [_seconds(step) for step in timeline]
        self._total = sum(self._weights) or 1.0

    def at(self, index: int, seconds: float) -> float:
        """The share when `seconds` of the step `index` are over."""
        if index >= len(self._weights):
            return 1.0
        return (sum(self._weights[:index]) + min(seconds, self._weights[index])) / self._total


def _seconds(step: Step) -> float:
    if step.sleep is not None:
        return step.sleep
    if step.sample is not None:
        return step.sample.every * step.sample.count
    return 1.0
