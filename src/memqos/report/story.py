"""A play told as it goes on, one line for each thing that happens to a pod, in the world's seconds.

What a policy writes is told once for each knob of a pod and its containers; how often it wrote the same
knobs again is counted, and told at the end. The name of a pod's only container is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from memqos.lab.recording import Happened, Written

_LONGEST = 110
"""Characters of a reason: a line is to be read, the whole reason is in the recording."""


@dataclass(slots=True)
class Story:
    """One run's story. `cgroups` are the paths by "pod" and "pod/container"; they may come to be later."""

    cgroups: Mapping[str, str]
    _starts: Counter[str] = field(default_factory=Counter)
    _evicting: set[str] = field(default_factory=set)
    _wrote: Counter[tuple[str, str]] = field(default_factory=Counter)
    _told: set[tuple[str, str]] = field(default_factory=set)

    def happened(self, event: Happened) -> Iterator[str]:
        """Tell an event, if it is worth telling."""
        words = self._words(event)
        if words:
            yield _line(event.seconds, f"{self._short(event.subject)} {words}")

    def _words(self, event: Happened) -> str:
        what, text = event.what, event.text
        if event.subject == "timeline":
            return ""
        if what == "started":
            self._starts[event.subject] += 1
            again = self._starts[event.subject] - 1
            return "started" if again == 0 else f"restarted, time {again}"
        if what == "exited":
            return text.replace("OOMKilled", "OOM-killed").replace("Completed", "completed")
        if what == "evicting":
            if event.subject in self.cgroups.values():
                return ""  # memqos says it again when the pod, or its container, ends
            self._evicting.add(event.subject)
            return f"evicted by the kubelet: {_cut(text)}"
        if what == "evicted":
            reason, _, why = text.partition(": ")
            if reason == "Stopped":
                return "stopped"
            told = f"evicted by {_cut(why)}" if why else "evicted"
            return "" if event.subject in self._evicting and not why else told
        if what == "condition":
            return f"of the node: {text}"
        words = {"failed": "could not be started: ", "backoff": "", "refused": "refused by the kubelet: "}
        return words[what] + text if what in words else ""

    def wrote(self, write: Written) -> Iterator[str]:
        """Tell a write, the first to this knob of this cgroup."""
        if write.knob == "evict":
            return  # told when it happens
        names = {path: name for name, path in self.cgroups.items()}
        subject = names.get(write.cgroup, write.cgroup or "the root cgroup")
        self._wrote[subject, write.knob] += 1
        known = subject.partition("/")[0] if write.cgroup in names else subject
        if (known, write.knob) not in self._told:
            self._told.add((known, write.knob))
            failed = "" if write.status in ("written", "begun") else f" [{write.status}]"
            words = f"memqos: {known} {write.knob} = {write.value}{failed}: {_cut(write.why)}"
            yield _line(write.seconds, words)

    def _short(self, subject: str) -> str:
        """Leave out the namespace that everything is in, and the only container."""
        name = subject.removeprefix("default/")
        pod, _, container = name.partition("/")
        alone = sum(each.startswith(f"{pod}/") for each in self.cgroups) == 1
        return pod if alone and container else name

    def ends(self) -> Iterator[str]:
        """Tell what was not told line by line."""
        again = [(number - 1, *key) for key, number in self._wrote.items() if number > 1]
        self._wrote.clear()
        if again:
            most = ", ".join(f"{subject} {knob} {number}" for number, subject, knob in sorted(again)[:-4:-1])
            more = " and others" if len(again) > 3 else ""
            times = sum(number for number, *_ in again)
            yield f"{'':9}memqos wrote {times} more times to the same knobs: {most}{more}"


def _line(seconds: float, words: str) -> str:
    return f"{seconds:6.1f} s {words}"


def _cut(why: str) -> str:
    why = " ".join(why.split()).replace("default/", "")
    return why if len(why) <= _LONGEST else why[: _LONGEST - 1].rsplit(" ", 1)[0] + " …"
