"""The second rung: idle memory of less important pods is taken back before anybody needs it.

Orders to `memory.reclaim`, carried out beside the loop. Two searches per pod (`memqos.policy.idle`), one for
memory that goes to swap and one for page cache, where the kernel takes `swappiness=`; one search for both
where it does not (6.1). The least important pods come first.

* Anonymous memory is searched for all the time (`idle`), of every pod that may swap: writing it out takes
  time, so it has to be done before the memory is needed.
* Page cache costs nothing to drop, so it is dropped only when it is needed: when free memory is about to
  sink below what wakes the kernel's own reclaim, which knows no priorities, or when a more important pod
  waits for memory. Then it is taken even if it is missed, because the kernel would otherwise take it from
  somebody more important. It is never taken from the most important pods. While nobody waits, no pod loses
  more of it than it reads in: a stream makes room for itself, and costs neither its own pod's heap nor a
  neighbour's page cache.

A pod's protected memory (`memory.low`, `memory.min`) is never touched, nor is a critical pod. What comes
back, or a stall beyond the tolerance, ends the order that runs there in the same turn: it drops out of the
plan, and the node cancels it at its next piece. The time that the pod waited is made up for by a pause before
more is taken (`memqos.policy.taking`).

The tolerance halves with every level of importance. While a more important pod waits for a disk, or any pod
for what it has in swap, nothing is written to swap, nor when swap is nearly full, nor beyond the budget or
faster than the disk can take it (`memqos.policy.swap_budget`).

Experiment e8 has what was measured on real kernels, beside senpai's law (docs/experiments.md).

A harder case: a program works on another 32 of its 160 MiB every 20 s, for two minutes. Of the idle 128 MiB
57 to 63 were taken back on average, at 2.9 % more run time; without the pauses it was 106 MiB at 14 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from memqos.model.plan import Plan, Reclaim, Stand, Step, Write
from memqos.policy.reclaim_settings import ReclaimSettings
from memqos.policy.rung import Situation
from memqos.policy.shortage import wanted_free
from memqos.policy.signals import PodSignals
from memqos.policy.swap_budget import SwapBudget
from memqos.policy.taking import Kind, Order, Taking
from memqos.units import KIB, MIB, format_bytes, page_floor

_SMALLEST: Final = 64 * KIB
"""Less is not worth an order."""
_MOST_CACHE: Final = 4
"""At most a quarter of a pod at once."""
_GROWING: Final = 50
"""A pod grows that becomes larger by more than a 50th in a second."""
_SLOW_US: Final = 1_000_000
_WAITS: Final = 0.1
_SWAP_KEPT: Final = 8
"""An eighth of swap stays free, for pods that have to swap in a hurry."""
_LEVELS: Final = 3
"""From the fourth level of importance on the tolerance stays an eighth."""


@dataclass(frozen=True, slots=True)
class ReclaimMemory:
    """By pod's path what was found out, and what is left of the budget."""

    pods: Mapping[str, Taking] = field(default_factory=dict)
    budget: SwapBudget | None = None


@dataclass(frozen=True, slots=True)
class ReclaimEarly:
    """Take idle memory back from the least important pods, until they miss it (memory.reclaim)."""

    settings: ReclaimSettings = field(default_factory=ReclaimSettings)
    name: str = "reclaim"

    def initial(self) -> ReclaimMemory:
        """Return the memory of a rung that took nothing."""
        return ReclaimMemory()

    def decide(self, memory: ReclaimMemory, situation: Situation) -> tuple[ReclaimMemory, Plan]:
        """Return the orders that shall run."""
        if "memory.reclaim" not in situation.view.now.features:
            return memory, Plan()
        turn = _Turn(self.settings, memory, situation, self.name)
        for pod in reversed(situation.signals.pods):
            turn.consider(pod)
        return ReclaimMemory(turn.pods, turn.budget), Plan(tuple(turn.writes), stands=tuple(turn.stands))


class _Turn:
    """One turn of the rung: the pods one after another, the least important first."""

    def __init__(
        self, settings: ReclaimSettings, memory: ReclaimMemory, situation: Situation, name: str
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._situation = situation
        self._name = name
        self._now = situation.now_us
        self._features = situation.view.now.features
        levels = sorted({pod.importance for pod in situation.signals.pods})
        self._rank = {level: rank for rank, level in enumerate(levels)}
        budget = memory.budget or SwapBudget.of(settings.swap_writes_per_second, settings.swap_writes_per_day)
        self.budget = budget.at(self._now, slow=self._is_slow())
        self._swapping_in = any(_swaps_in(pod) for pod in situation.signals.pods)
        meminfo = situation.view.now.node.meminfo
        total = meminfo.get("SwapTotal", 0)
        self._swap_left = max(0, meminfo.get("SwapFree", 0) - total // _SWAP_KEPT)
        self._wanted = wanted_free(situation)
        swappiness = "memory.reclaim swappiness" in self._features
        self._kinds: tuple[Kind, ...] = ("file", "anon") if swappiness else ("any",)
        self.pods: dict[str, Taking] = {}
        self.writes: list[Write] = []
        self.stands: list[Stand] = []

    def consider(self, pod: PodSignals) -> None:
        known = self._memory.pods.get(pod.path)
        if known is None or known.inode != pod.cgroup.inode or set(known.probes) != set(self._kinds):
            known = Taking.of(pod, self._kinds, self._now)
        tolerance = self._settings.tolerance_percent / 100 / 2 ** min(self._rank[pod.importance], _LEVELS)
        longest_us = int(self._settings.longest_pause_seconds * 1e6)
        known = known.after(pod.path, self._situation.view.underway, self._now)
        state, missed = known.look(pod, self._now, tolerance, longest_us)
        if state.order is not None:
            state = state if self._may_run(pod, state.order, missed) else state.stopped()
        elif not self._is_spared(pod):
            state = self._begin(pod, state, missed)
        if state.order is not None:
            why = self._why(pod, state.order, state)
            order = state.order.reclaim
            self.writes.append(Write(pod.path, "memory.reclaim", order, why, self._name, pod.cgroup.inode))
        self.pods[pod.path] = self._standing(pod, state)

    def _may_run(self, pod: PodSignals, order: Order, missed: frozenset[Kind]) -> bool:
        return order.kind == "file" or (order.kind not in missed and not self._disk_is_wanted(pod))

    def _is_spared(self, pod: PodSignals) -> bool:
        """Whether a pod gets no order: a critical one, one on its way out, one that still has an order."""
        running = self._situation.view.underway.reclaiming
        return pod.importance.critical or pod.leaving or pod.path in running

    def _is_slow(self) -> bool:
        """Whether an order runs for longer than a second."""
        running = self._situation.view.underway.reclaiming
        return any(
            known.order is not None and path in running and self._now - known.order.begun_us >= _SLOW_US
            for path, known in self._memory.pods.items()
        )

    def _is_asked(self, pod: PodSignals) -> bool:
        return any(trouble.importance > pod.importance for trouble in self._situation.pressing("memory"))

    def _disk_is_wanted(self, pod: PodSignals) -> bool:
        return self._swapping_in or any(
            trouble.importance > pod.importance for trouble in self._situation.pressing("io")
        )

    def _begin(self, pod: PodSignals, state: Taking, missed: frozenset[Kind]) -> Taking:
        """Give an order where there is a cause, and room for it."""
        for kind in self._kinds:
            probe = state.probes[kind]
            if kind == "file":
                step = pod.current // _MOST_CACHE
            elif state.debt_us > 0 or kind in missed or self._now < probe.ready_us or _grows(pod):
                continue
            else:
                step = probe.wants(pod.current)
            size = page_floor(min(step, self._room(pod, kind)), pod.page_size)
            if size < _SMALLEST:
                continue
            if kind == "file":
                self._wanted -= size
            else:
                self.budget = self.budget.less(size)
                self._swap_left -= size
            return state.ordered(kind, Reclaim(size, self._swappiness(kind)), pod.current, self._now)
        return state

    def _room(self, pod: PodSignals, kind: Kind) -> int:
        """Bytes of a pod that may be taken now."""
        protected = max(pod.cgroup.memory_low or 0, pod.cgroup.memory_min or 0)
        spare = max(0, pod.current - protected)
        wanted = self._wanted if self._rank[pod.importance] < len(self._rank) - 1 else 0
        if kind == "file":
            if not self._is_asked(pod):
                wanted = min(wanted, int(max(0.0, pod.growth, pod.rate("stolen") * pod.page_size)))
            return min(spare, wanted, pod.stat("file") - pod.stat("shmem") - pod.stat("file_mapped"))
        if self._disk_is_wanted(pod) or not (self._settings.idle or wanted > 0):
            return 0
        out = min(pod.swappable, self._swap_left, self.budget.left)
        return min(spare, out)

    def _swappiness(self, kind: Kind) -> int | None:
        if kind == "any":
            return None
        if kind == "file":
            return 0
        return 201 if "memory.reclaim swappiness=max" in self._features else 200

    def _why(self, pod: PodSignals, order: Order, state: Taking) -> str:
        probe = state.probes[order.kind]
        what = {"anon": "anonymous memory", "file": "page cache", "any": "memory"}[order.kind]
        cause = "free memory runs out" if order.kind == "file" else "it seems idle"
        return (
            f"{pod.importance}: {what}, because {cause}; of {format_bytes(int(probe.taken))} taken lately "
            f"{format_bytes(int(probe.back))} came back"
        )

    def _standing(self, pod: PodSignals, state: Taking) -> Taking:
        """Say where the rung stands about the pod."""
        step: Step | None = None
        if state.order is not None or state.taken > _SMALLEST:
            step = "act"
        if self._is_asked(pod) and state.order is None:
            step = "spent"
        if step is None:
            return state if state.step is None else replace(state, step=None)
        since = state.since_us if step == state.step else self._now
        why = f"{format_bytes(state.taken)} were taken lately of {format_bytes(pod.current)}"
        if step == "spent":
            why = f"nothing more can be taken now; {why}"
        self.stands.append(Stand(self._name, pod.key, step, since, why))
        return (
            state
            if (step, since) == (state.step, state.since_us)
            else replace(state, step=step, since_us=since)
        )


def _grows(pod: PodSignals) -> bool:
    """Whether a pod fills its memory, and none of it can be told idle."""
    return pod.growth > max(pod.current // _GROWING, MIB)


def _swaps_in(pod: PodSignals) -> bool:
    """Whether a pod waits for what it has in swap: a write there would make it wait longer."""
    waits = max(pod.share("memory_some_us"), pod.share("io_some_us")) > _WAITS
    return waits and pod.rate("refaults_anon") * pod.page_size > _SMALLEST
