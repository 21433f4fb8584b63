"""Lending unused memory upward, before anyone is hurt: memory.high and swap.max of pods in need.

A pod that runs into a memory.high while the node has memory to spare is throttled for nothing: a
kubelet with Memory QoS sets it by formula, not by need (KEP-2570). So is one killed at its
memory.max whose user let it swap, when its swap is used up and the node's lies empty.

* **memory.high** of the pod or of a container is raised in steps towards memory.max while tasks run into
  it.
* **memory.swap.max** of a pod that may swap is raised in steps while it runs into memory.max with
  its swap nearly full; never above the admin's maximum per pod, and never so that the node's swap
  is promised twice.

memory.max is never raised: it is what the user asked for. Nothing is lent, and everything lent is called in
at once, while the node's reserve is in use and for the calm time after, while a more important pod waits for
memory, or where a lower rung restricts the pod or the same knob. Otherwise a loan ends when the pod has not
needed it for the calm time, but never while that would push the pod below what it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from msgspec import Struct

from memqos.model.plan import Plan, Stand, Write
from memqos.model.snapshot import Cgroup
from memqos.model.view import View
from memqos.policy.rung import Situation
from memqos.policy.setting import setting
from memqos.policy.shortage import is_short, without_swap
from memqos.policy.signals import PodSignals
from memqos.units import UNLIMITED, format_bytes, page_floor

_HELD_BACK: Final = ("ease", "throttle", "io")
_NEARLY: Final = 0.9


@dataclass(frozen=True, slots=True)
class RelaxSettings:
    """Lending what nobody uses to pods that run into memory.high or out of swap."""

    enabled: bool = setting(
        True,
        "Raise memory.high and memory.swap.max of pods that need it while the node has it to spare.",
        "a limit set by formula throttles or kills beside memory that nobody uses",
    )
    reserve_percent: float = setting(
        15.0,
        "Share of the node's memory that must be free or clean page cache for anything to be lent.",
        "several times what the evict rung keeps, so that lending never leads to an eviction",
        unit="percent",
        least=1.0,
    )
    step_percent: float = setting(
        12.5,
        "How much is lent at a time, of the limit that is raised.",
        "a few steps double it; each is seen to help before the next",
        unit="percent",
        least=1.0,
        most=1000.0,
    )
    dwell_seconds: float = setting(
        2.0,
        "Least time between two steps of one limit.",
        "twice the window that the figures are taken over",
        unit="seconds",
        least=0.5,
    )
    calm_seconds: float = setting(
        60.0,
        "How long a loan must not have been needed before it is called in.",
        "a program that grew once does so again with its next batch or collection",
        unit="seconds",
        least=1.0,
    )


class Loan(Struct, frozen=True):
    """One raised limit: the value it had, the one it has, when it was last raised and last needed.

    `why` is the cause of the last raise, so that what is only kept up says the same at every turn.
    """

    inode: int
    base: int
    value: int
    since_us: int
    stepped_us: int
    needed_us: int
    why: str = ""


Key: TypeAlias = tuple[str, str]
"""A cgroup's path and a knob."""


@dataclass(frozen=True, slots=True)
class Lent:
    """All loans, and when the reserve was last touched, with loans called in."""

    loans: Mapping[Key, Loan] = field(default_factory=dict)
    recalled_us: int | None = None


class _Need(Struct, frozen=True):
    """A limit that somebody runs into, its ceiling, and what this look shows it at."""

    pod: PodSignals
    cgroup: Cgroup
    knob: str
    held: int
    ceiling: int
    pressing: bool


@dataclass(frozen=True, slots=True)
class Relax:
    """Lend unused memory to pods at their memory.high or out of swap.

    `swap_per_pod` and the other swap settings are the admin's, in bytes.
    """

    settings: RelaxSettings = field(default_factory=RelaxSettings)
    swap_per_pod: int | None = None
    swap_budget: int | None = None
    swap_reserve: int = 0
    name: str = "relax"

    def initial(self) -> Lent:
        """Return the memory of a rung that has lent nothing."""
        return Lent()

    def decide(self, memory: Lent, situation: Situation) -> tuple[Lent, Plan]:
        """Return the limits that shall be raised, and which pods need them."""
        if not situation.signals.over_us:
            return Lent(), Plan()
        node, now = situation.view.now.node, situation.now_us
        if is_short(situation.signals, self.settings.reserve_percent / 100):
            return Lent(recalled_us=now if memory.loans else memory.recalled_us), Plan()
        if memory.recalled_us is not None and now - memory.recalled_us < self.settings.calm_seconds * 1e6:
            return memory, Plan()
        swap_left = self._swap_left(situation)
        loans: dict[Key, Loan] = {}
        writes: list[Write] = []
        stands: dict[str, Stand] = {}
        spare = format_bytes(without_swap(node))
        for need in self._needs(situation, memory.loans):
            key = (need.cgroup.path, need.knob)
            loan = self._loan(memory.loans.get(key), need, now, swap_left, spare)
            if loan is None:
                continue
            if need.knob == "memory.swap.max" and need.cgroup.path == need.pod.path:
                swap_left -= loan.value - loan.base
            loans[key] = loan
            writes.append(Write(*key, loan.value, loan.why, self.name, loan.inode))
            pod = need.pod.key
            if pod not in stands:
                stands[pod] = Stand(self.name, pod, "act", loan.since_us, loan.why)
        return Lent(loans), Plan(tuple(writes), stands=tuple(stands.values()))

    def _needs(self, situation: Situation, lent: Mapping[Key, Loan]) -> Iterator[_Need]:
        """Yield the limits that are run into, or were raised, of the most important pods first."""
        cgroups, most = situation.view.now.cgroups, self.swap_per_pod
        worst = max((one.importance for one in situation.pressing("memory")), default=None)
        held_back = {stand.subject for stand in situation.stands if stand.rung in _HELD_BACK}
        for pod in situation.signals.pods:
            outranked = worst is not None and pod.importance < worst
            if outranked or pod.key in held_back:
                continue
            hit = pod.rate("max_events") > 0
            for path in (pod.path, *pod.placed.containers.values()):
                cgroup = cgroups.get(path)
                if cgroup is None:
                    continue
                high, key = cgroup.memory_high, (path, "memory.high")
                raised = key in lent
                throttled = bool(high) and _is_throttled(cgroup, situation.view)
                if high and (throttled or raised) and key not in situation.held:
                    limit = min(cgroup.memory_max or UNLIMITED, pod.limit)
                    if high < limit or raised:
                        yield _Need(pod, cgroup, "memory.high", high, limit, throttled)
                swap = cgroup.memory_swap_max
                if swap is not None and 0 < swap < UNLIMITED:
                    pressing = hit and (cgroup.memory_swap_current or 0) >= swap * _NEARLY
                    if pressing or (path, "memory.swap.max") in lent:
                        ceiling = UNLIMITED if most is None else most
                        yield _Need(pod, cgroup, "memory.swap.max", swap, ceiling, pressing)

    def _loan(self, loan: Loan | None, need: _Need, now: int, swap_left: int, spare: str) -> Loan | None:
        """Return what is lent from now on: begun, one step more, the same, or nothing.

        `spare` says what the node has left.
        """
        if loan is not None and (loan.inode != need.cgroup.inode or _rewritten(loan, need)):
            loan = None
        if loan is None:
            if not need.pressing:
                return None
            loan = Loan(need.cgroup.inode, need.held, need.held, now, 0, now)
        needed_us = now if need.pressing else loan.needed_us
        used = need.cgroup.memory_current if need.knob == "memory.high" else need.cgroup.memory_swap_current
        calm = now - needed_us >= self.settings.calm_seconds * 1e6
        if calm and (used or 0) < loan.base:
            return None
        value, stepped_us = loan.value, loan.stepped_us
        if need.pressing and now - stepped_us >= self.settings.dwell_seconds * 1e6:
            step = page_floor(int(loan.base * self.settings.step_percent / 100), need.pod.page_size)
            room = need.ceiling - value
            if need.knob == "memory.swap.max":
                room = min(room, swap_left - (value - loan.base))
            value += max(0, min(step, page_floor(max(0, room), need.pod.page_size)))
            stepped_us = now
        if value <= loan.base:
            return None
        if (value, stepped_us, needed_us) == (loan.value, loan.stepped_us, loan.needed_us):
            return loan
        why = loan.why
        if value != loan.value:
            base = format_bytes(loan.base)
            why = f"{need.pod.key} runs into {need.knob} of {base} and the node has {spare} to spare"
        return Loan(loan.inode, loan.base, value, loan.since_us, stepped_us, needed_us, why)

    def _swap_left(self, situation: Situation) -> int:
        """Return the bytes of the node's swap that are promised to nobody."""
        total = situation.view.now.node.meminfo.get("SwapTotal", 0) - self.swap_reserve
        if self.swap_budget is not None:
            total = min(total, self.swap_budget)
        cgroups = situation.view.now.cgroups
        granted = [cgroups[pod.path].memory_swap_max or 0 for pod in situation.signals.pods]
        return max(0, total - sum(granted))


def _is_throttled(cgroup: Cgroup, view: View) -> bool:
    """Whether tasks ran into memory.high since the last look; mostly the events are the very same object."""
    before = None if view.last is None else view.last.cgroups.get(cgroup.path)
    if before is not None and before.memory_events is cgroup.memory_events:
        return False
    return (view.delta(cgroup, "memory_events", "high") or 0) > 0


def _rewritten(loan: Loan, need: _Need) -> bool:
    """True when somebody set the limit anew, so that what is remembered of it is void.

    memory.swap.max is foreseen as the swap policy grants it; memory.high is as it was left.
    """
    size = need.pod.page_size
    return page_floor(need.held, size) not in (page_floor(loan.base, size), page_floor(loan.value, size))
