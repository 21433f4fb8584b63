"""What is remembered about one pod that memory is taken back from: its searches, its order, its debt.

A pod that waited for memory to come back is owed that time. The debt shrinks by a fraction (the tolerance) of
the time that passes, and until it is paid off nothing more is taken. So in the long run the pod is slowed
down by no more than the tolerance, whatever it does.

How long it waited is the growth of the `total` of its memory.pressure or io.pressure, whichever is more (a
page that comes from swap counts as one, the other or both, depending on kernel and page), but at most a
disk's seek for each page that came back: a pod that waits for its own files is owed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from memqos.model.plan import Reclaim, Step, Underway
from memqos.policy.idle import Probe, Seen
from memqos.policy.signals import PodSignals

Kind: TypeAlias = Literal["anon", "file", "any"]
"""Memory that goes to swap, page cache, or both where the kernel takes no `swappiness=`."""

_SETTLE_US: Final = 5_000_000
"""A new pod is let start: what it just wrote looks as young as what it will use."""
_CREDIT_US: Final = 30_000_000
"""For so long without a stall a pod's tolerance is saved up."""
_WORST_US: Final = 10_000
"""A seek of a slow disk."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order that was given and has not ended."""

    kind: Kind
    reclaim: Reclaim
    begun_us: int


@dataclass(frozen=True, slots=True)
class Taking:
    """One pod, by inode; counters as last seen (pages, microseconds); `since_us` is `step`'s."""

    inode: int
    refaults_anon: int
    refaults_file: int
    stalled_us: int
    time_us: int
    probes: Mapping[Kind, Probe]
    debt_us: float = 0.0
    order: Order | None = None
    stopping: Kind | None = None
    since_us: int = 0
    step: Step | None = None

    @classmethod
    def of(cls, pod: PodSignals, kinds: tuple[Kind, ...], now_us: int) -> Taking:
        """Return what is known of a pod that was never seen before."""
        probes = {
            kind: Probe(primed=True) if kind == "file" else Probe(ready_us=now_us + _SETTLE_US)
            for kind in kinds
        }
        end = pod.end
        return cls(pod.cgroup.inode, end.refaults_anon, end.refaults_file, _stalled_us(pod), now_us, probes)

    @property
    def taken(self) -> int:
        """Bytes taken lately."""
        return int(sum(probe.taken for probe in self.probes.values()))

    def after(self, path: str, underway: Underway, now_us: int) -> Taking:
        """Take note of an order that ended, or was stopped."""
        done = next((one for one in underway.ended if one.write.cgroup == path), None)
        order = self.order
        if order is None:
            if done is None or self.stopping is None or not isinstance(done.after, Reclaim):
                return self
            probe = self.probes[self.stopping]
            probe = replace(probe, taken=probe.taken + done.after.size, time_us=now_us)
            return replace(self, stopping=None, probes={**self.probes, self.stopping: probe})
        if done is None:
            if path in underway.reclaiming or order.begun_us == now_us:
                return self
            return replace(self, order=None)  # it was never begun: the node refused it
        taken = done.after.size if isinstance(done.after, Reclaim) else 0
        probe = self.probes[order.kind].took(taken, all_of_it=done.status == "written", now_us=now_us)
        return replace(self, order=None, probes={**self.probes, order.kind: probe})

    def look(
        self, pod: PodSignals, now_us: int, tolerance: float, longest_us: int
    ) -> tuple[Taking, frozenset[Kind]]:
        """Return what is known after a look, and the kinds of memory that are missed."""
        anon = max(0, pod.end.refaults_anon - self.refaults_anon) * pod.page_size
        file = max(0, pod.end.refaults_file - self.refaults_file) * pod.page_size
        back: dict[Kind, int] = {"anon": anon, "file": file, "any": anon + file}
        stalled = max(pod.share("memory_some_us"), pod.share("io_some_us"))
        probes: dict[Kind, Probe] = {}
        missed: set[Kind] = set()
        for kind, probe in self.probes.items():
            seen = Seen(now_us, pod.current, pod.current + pod.swap, back[kind], stalled)
            probes[kind], sign = probe.look(seen, tolerance, longest_us)
            if sign:
                missed.add(kind)
        stalled_us = _stalled_us(pod)
        waited = min(max(0, stalled_us - self.stalled_us), back["any"] // pod.page_size * _WORST_US)
        paid = (now_us - self.time_us) * tolerance
        after = replace(
            self,
            probes=probes,
            refaults_anon=pod.end.refaults_anon,
            refaults_file=pod.end.refaults_file,
            stalled_us=stalled_us,
            time_us=now_us,
            debt_us=max(-_CREDIT_US * tolerance, self.debt_us + waited - paid),
        )
        return after, frozenset(missed)

    def stopped(self) -> Taking:
        """Return what is known once the order is asked for no more; it ends at its next piece."""
        return replace(self, order=None, stopping=self.order.kind if self.order else None)

    def ordered(self, kind: Kind, reclaim: Reclaim, holds: int, now_us: int) -> Taking:
        """Return what is known after an order was given."""
        probe = self.probes[kind].forgiven(holds).ordered(reclaim.size, now_us)
        return replace(self, order=Order(kind, reclaim, now_us), probes={**self.probes, kind: probe})


def _stalled_us(pod: PodSignals) -> int:
    return max(pod.end.memory_some_us, pod.end.io_some_us)
