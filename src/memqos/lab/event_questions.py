"""What a measure may ask of what happened: ends, logs, events, and the first act of a manager."""

from __future__ import annotations

from memqos.lab.asked import Asked


class EventQuestions:
    """`ended`, `said`, `happened` and `acted`; times are seconds from the mark FROM, the begin for ""."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def ended(self, pod: str, start: str = "") -> float | None:
        """When a pod's container ended first; `None` if it did not."""
        begin, _ = self._asked.span(start, "")
        for event in self._asked.recording.events:
            if event.what == "exited" and event.seconds >= begin and event.subject.split("/")[1:2] == [pod]:
                return event.seconds - begin
        return None

    def said(self, pod: str, word: str) -> int:
        """How many of a pod and its copies have a word in what they printed last."""
        names, logs = set(self._asked.copies(pod)), self._asked.recording.logs
        return len({name.partition("/")[0] for name, text in logs.items() if word in text} & names)

    def happened(self, what: str, pod: str = "", start: str = "") -> int:
        """How often; of a pod and its copies, or of all."""
        begin, _ = self._asked.span(start, "")
        return sum(
            event.what == what and event.seconds >= begin and (not pod or self._about(event.subject, pod))
            for event in self._asked.recording.events
        )

    def _about(self, subject: str, pod: str) -> bool:
        """Whether an event's subject is a pod (its key, or a cgroup of it) or one of its copies."""
        names = self._asked.copies(pod)
        cgroups = [self._asked.recording.cgroups[name] for name in names]
        return any(name in subject.split("/") for name in names) or any(
            subject == path or subject.startswith(f"{path}/") for path in cgroups
        )

    def acted(self, knob: str = "", start: str = "") -> float | None:
        """When a manager first wrote a knob, or did anything at all; `None` if never."""
        begin, _ = self._asked.span(start, "")
        return self.first_act(knob, begin)

    def first_act(self, knob: str, begin: float) -> float | None:
        """Return the seconds from `begin` to a manager's next act."""
        took_effect = ("written", "begun")
        times = [
            write.seconds
            for write in self._asked.recording.writes
            if write.status in took_effect and knob in ("", write.knob)
        ]
        if knob in ("", "evict"):
            times += [event.seconds for event in self._asked.recording.events if event.what == "evicting"]
        return min((at - begin for at in times if at >= begin), default=None)
