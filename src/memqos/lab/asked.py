"""One recording at one point in time: what every question of the measures starts from."""

from __future__ import annotations

from memqos.lab.recording import Look, Recording
from memqos.lab.variant import members_of
from memqos.model.snapshot import Cgroup


class Asked:
    """A recording, and the look at which a question without a mark is asked (`None`: there was none).

    Every method raises `ValueError` for a name that the recording does not have.
    """

    def __init__(self, recording: Recording, here: Look | None) -> None:
        self.recording = recording
        self.here = here

    def look(self, mark: str) -> Look:
        """Return the look at a mark; the one at hand for ""."""
        if mark:
            if mark not in self.recording.marks:
                raise ValueError(f"the timeline has no mark {mark!r}")
            return self.recording.marks[mark]
        if self.here is None:
            raise ValueError("there was no look at the node")
        return self.here

    def span(self, start: str, end: str) -> tuple[float, float]:
        """Return the seconds between two marks; from the begin, and without end, for ""."""
        first = self.look(start).seconds if start else 0.0
        return first, self.look(end).seconds if end else float("inf")

    def cgroup(self, pod: str, mark: str) -> Cgroup | None:
        """Return a pod's cgroup at a mark; `None` where it is gone."""
        path = self.recording.cgroups.get(pod)
        if path is None:
            raise ValueError(f"there is no pod {pod!r}")
        return self.look(mark).snapshot.cgroups.get(path)

    def copies(self, pod: str) -> list[str]:
        """Return a pod, or its copies, by name."""
        return members_of(pod, self.recording.cgroups)
