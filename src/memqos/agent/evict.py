"""Evictions: who carries them out, and what the agent remembers of them.

An `Evictor` is whoever runs the pods: the pod runner (`RunnerEvictor`), real or simulated. Where the pods
are somebody else's there is none, and an eviction becomes advice: which pod memqos would have evicted, why.

An eviction is begun and not waited for. Until the pod is gone its uid is among those that leave, and the
same eviction is not given again, except with less grace. A refusal is remembered for `REFUSED_US`, so that
a policy which remembers nothing itself does not ask for the same pod at every turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from memqos.errors import InputError, NodeError
from memqos.model.plan import Advice, Evicted, Eviction
from memqos.model.pods import PlacedPod
from memqos.runner.pods import Runner

REFUSED_US: Final = 60 * 10**6
"""How long a refusal counts: time enough for a disruption budget to have room again."""

REASON: Final = "Evicted"
"""The status reason of an evicted pod, as the kubelet's (pkg/kubelet/eviction/helpers.go)."""

_NOBODY: Final = "memqos does not run this pod, and may not evict it"


class Evictor(Protocol):
    """Who ends pods, and kills containers."""

    def evict(self, eviction: Eviction) -> None:
        """Begin an eviction and return at once; raises `NodeError` or `InputError` with why it is refused."""


class RunnerEvictor:
    """Evicts pods that the pod runner runs."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def evict(self, eviction: Eviction) -> None:
        """See `Evictor.evict`; a container is killed with all its processes, and restartPolicy decides."""
        message = f"memqos: {eviction.why}"
        if eviction.container is None:
            self._runner.evict(eviction.uid, REASON, eviction.grace, message=message)
        else:
            self._runner.kill(eviction.uid, eviction.container, message)


@dataclass(slots=True)
class Evictions:
    """The evictions of one node, turn after turn. `look` comes before `carry_out` in each."""

    evictor: Evictor | None
    dry_run: bool = False
    leaving: frozenset[str] = frozenset()
    refused: dict[str, str] = field(default_factory=dict)
    _now_us: int = 0
    _grace: dict[str, float] = field(default_factory=dict)
    _refused_us: dict[str, int] = field(default_factory=dict)

    def look(self, pods: Iterable[PlacedPod], now_us: int) -> None:
        """Forget pods that are gone, and refusals that are too old."""
        here = {placed.pod.uid for placed in pods}
        self._now_us = now_us
        self._grace = {uid: grace for uid, grace in self._grace.items() if uid in here}
        self._refused_us = {
            uid: since
            for uid, since in self._refused_us.items()
            if uid in here and now_us - since < REFUSED_US
        }
        self.refused = {uid: why for uid, why in self.refused.items() if uid in self._refused_us}
        self.leaving = frozenset(self._grace)

    def carry_out(self, wanted: Iterable[Eviction]) -> tuple[tuple[Evicted, ...], tuple[Advice, ...]]:
        """Begin what is wanted; also return what a person should do where nobody here may."""
        done, advice = [], []
        for eviction in wanted:
            fresh = eviction.uid not in self.refused
            evicted = self._one(eviction)
            done.append(evicted)
            if evicted.status == "refused" and self.evictor is None and fresh:
                advice.append(_advice(eviction))
        return tuple(done), tuple(advice)

    def _one(self, eviction: Eviction) -> Evicted:
        uid, whole = eviction.uid, eviction.container is None
        grace = float("inf") if eviction.grace is None else eviction.grace
        if uid in self._grace and (not whole or grace >= self._grace[uid]):
            return Evicted(eviction, "leaving")
        if self.dry_run:
            return Evicted(eviction, "dry-run")
        if self.evictor is None:
            return self._refuse(eviction, _NOBODY)
        try:
            self.evictor.evict(eviction)
        except (NodeError, InputError) as error:
            return self._refuse(eviction, str(error))
        if whole:
            self._grace[uid] = grace
        self._refused_us.pop(uid, None)
        self.refused.pop(uid, None)
        return Evicted(eviction, "begun")

    def _refuse(self, eviction: Eviction, why: str) -> Evicted:
        self.refused[eviction.uid] = why
        self._refused_us.setdefault(eviction.uid, self._now_us)
        return Evicted(eviction, "refused", why)


def _advice(eviction: Eviction) -> Advice:
    namespace, _, name = eviction.pod.rpartition("/")
    what = (
        f"container {eviction.container} of it would be restarted"
        if eviction.container
        else "it would be evicted"
    )
    remedy = f"memqos does not run this pod: kubectl delete pod {name}" + (
        f" -n {namespace}" if namespace else ""
    )
    return Advice(eviction.pod, f"{what}: {eviction.why}", remedy, eviction.policy)
