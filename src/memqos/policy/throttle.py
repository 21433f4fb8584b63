"""Throttle: lower the `memory.high` of pods that take the memory a more important pod needs.

While such a pod loses memory (`memqos.policy.blame_memory`), the pods to blame get a `memory.high` below what
they use: those furthest above their request first, one step per dwell time as long as the victim loses
memory, and one step back per dwell time once it has been calm (`memqos.policy.pace`), until the original
value is back.

Experiment e15 shows it on real kernels whose MGLRU does not keep `memory.low`, with a service too large for
`memory.min` beside a stream. Of 160 MiB of page cache the service keeps, under the kubelet alone, without
this rung and with it, 34, 34 and 141 MiB on 6.12 and 37, 74 and 135 on 7.2 (docs/experiments.md).

A pod at its memory.high reclaims its own pages when it wants new ones. That costs a pod that streams through
files next to nothing, because it uses its page cache once. A pod that needs what it holds is slowed down
instead, and one that cannot give anything back nearly stands still (64 s for each 64 pages at twice its
memory.high). So no value is below the pod's request, its memory.low or its memory.min, nor closer than a
margin to what reclaim cannot take from it; swap counts only as far as it is free. Nothing more is taken from
a pod that stalls nearly all the time.

A step takes page cache, and only a little of what has to be swapped out, because the kernel reclaims all of a
step at once (`memory_high_write` in mm/memcontrol.c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from memqos.model.plan import Plan, Stand, Step, Write
from memqos.policy.blame_memory import Hurt, culprits, hurts, said
from memqos.policy.pace import Move, Pace
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.policy.throttle_settings import ThrottleSettings
from memqos.units import MIB, format_bytes, page_floor

_ALWAYS: Final = 0.8
"""A held pod that stalls, all of it, for more of the time than this is taken no more from."""
_SWAPPED: Final = 8 * MIB
_LITTLE: Final = 4
"""A quarter of a pod is little of it, where that is less than `_SWAPPED`."""
_LEAST_STEP: Final = MIB
"""Less is not worth a write, and no sign that there was something left to take."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One pod: its memory.high, what it had when that began, and what somebody else had set."""

    inode: int
    key: str
    high: int
    had: int
    theirs: int
    since_us: int
    victim: str

    def beside(self, found: int | None) -> Hold:
        """Return the hold at a look that shows `found`: what is neither ours nor was there is theirs."""
        if found is None or found in (min(self.high, self.theirs), self.theirs):
            return self
        return replace(self, theirs=found)


@dataclass(frozen=True, slots=True)
class ThrottleMemory:
    """The holds by cgroup, and their common pace; `None` when there is none and was none lately.

    `spent`: at the last step nobody could be lowered, and nobody was raised since.
    """

    holds: Mapping[str, Hold] = field(default_factory=dict)
    pace: Pace | None = None
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Throttle:
    """Lower the memory.high of pods that take the memory a more important pod needs."""

    settings: ThrottleSettings = field(default_factory=ThrottleSettings)
    name: str = "throttle"

    def initial(self) -> ThrottleMemory:
        """Return the memory of a rung that holds nobody."""
        return ThrottleMemory()

    def decide(self, memory: ThrottleMemory, situation: Situation) -> tuple[ThrottleMemory, Plan]:
        """Return the new memory and every memory.high that shall be held."""
        cgroups, now = situation.view.now.cgroups, situation.now_us
        holds = {
            path: hold.beside(cgroups[path].memory_high)
            for path, hold in memory.holds.items()
            if path in cgroups and cgroups[path].inode == hold.inode and _is_due(hold, situation)
        }
        hurt = hurts(situation, {hold.key for hold in holds.values()}, self.settings.short_percent)
        blamed = culprits(hurt, situation)
        pace, move = self._turn(memory.pace, now, hurt=bool(hurt and (blamed or holds)))
        spent = memory.spent and pace is not None
        if move in ("tighten", "retreat"):
            spent = not self._lower(holds, blamed, hurt, situation)
            if spent and pace is not None and memory.pace is not None:
                pace = replace(pace, changed_us=memory.pace.changed_us)
        elif move == "loosen":
            spent = False
            self._raise(holds, situation)
        if pace is not None and not holds and pace.forgotten(now, self.settings.calm_seconds * 1e6):
            pace = None
        plan = Plan(
            _writes(holds, self.name), stands=self._stands(holds, hurt, blamed, situation, spent=spent)
        )
        return ThrottleMemory(holds, pace, spent), plan

    def _turn(self, before: Pace | None, now_us: int, *, hurt: bool) -> tuple[Pace | None, Move]:
        if before is None:
            return (Pace(now_us), "tighten") if hurt else (None, "keep")
        dwell_us, calm_us = self.settings.dwell_seconds * 1e6, self.settings.calm_seconds * 1e6
        return before.turn(now_us, hurt=hurt, dwell_us=dwell_us, calm_us=calm_us)

    def _lower(
        self, holds: dict[str, Hold], blamed: Sequence[PodSignals], hurt: Sequence[Hurt], situation: Situation
    ) -> bool:
        """Lower who is to blame by a step in all, each for the first it gives way to; true if anybody was."""
        node = situation.view.now.node
        budget = int(node.meminfo.get("MemTotal", 0) * self.settings.step_percent / 100)
        lowered = False
        for pod in blamed:
            hold, theirs = holds.get(pod.path), pod.cgroup.memory_high
            if theirs is None or budget <= 0 or (hold is not None and pod.share("memory_full_us") > _ALWAYS):
                continue
            least = self._floor(pod)
            top = min(pod.current, theirs)
            step = min(budget, max(_SWAPPED, pod.current // 2), pod.clean_cache + _little(pod))
            high = page_floor(max(least, top - step), node.page_size)
            if top - high < _LEAST_STEP:
                continue
            budget -= top - high
            lowered = True
            if hold is None:
                now = situation.now_us
                victim = next(one.victim for one in hurt if pod.importance < one.importance)
                hold = Hold(pod.cgroup.inode, pod.key, high, pod.current, theirs, now, victim)
            holds[pod.path] = replace(hold, high=high)
        return lowered

    def _floor(self, pod: PodSignals) -> int:
        """Return the least memory.high that lets a pod go on with what it was promised."""
        fixed = pod.unreclaimable
        margin = max(_little(pod), int(fixed * self.settings.margin_percent / 100))
        cgroup = pod.cgroup
        return max(fixed + margin, pod.request, cgroup.memory_low or 0, cgroup.memory_min or 0)

    def _raise(self, holds: dict[str, Hold], situation: Situation) -> None:
        """Raise everybody by a step; who has more room than it ever had is let go."""
        node = situation.view.now.node
        step = int(node.meminfo.get("MemTotal", 0) * self.settings.step_percent / 100)
        for path, hold in list(holds.items()):
            high = page_floor(hold.high + step, node.page_size)
            if high >= min(hold.theirs, hold.had + 2 * step):
                del holds[path]
            else:
                holds[path] = replace(hold, high=high)

    def _stands(
        self,
        holds: Mapping[str, Hold],
        hurt: Sequence[Hurt],
        blamed: Sequence[PodSignals],
        situation: Situation,
        *,
        spent: bool,
    ) -> tuple[Stand, ...]:
        stands: dict[str, Stand] = {}
        held_for: dict[str, int] = {}
        for hold in holds.values():
            held_for.setdefault(hold.victim, hold.since_us)
        lasting = [
            Hurt(trouble.victim, trouble.importance, said(trouble, situation), trouble)
            for trouble in situation.pressing()
            if trouble.victim in held_for
        ]
        who = ", ".join(f"{pod.key} ({_excess(pod)})" for pod in blamed[:3]) or "nobody less important"
        for one in (*hurt, *lasting):
            if not situation.signals.below(one.importance) or one.victim in stands:
                continue  # nobody gives way to it, whatever it waits for
            at_end = one.trouble is not None and (spent or not (blamed or holds))
            step: Step = "spent" if at_end else "act" if holds else "watch"
            since = one.trouble.since_us if one.trouble else held_for.get(one.victim, situation.now_us)
            stands[one.victim] = Stand(self.name, one.victim, step, since, f"{one.why}; {who} may give way")
        for hold in holds.values():
            for subject in (hold.key, hold.victim):
                stands.setdefault(subject, Stand(self.name, subject, "act", hold.since_us, _why(hold)))
        return tuple(stands.values())


def _is_due(hold: Hold, situation: Situation) -> bool:
    """Whether a hold may stand: not on who was told to go, nor on who matters as much as its victim by now.

    What holds the one back would only keep it here; the other came to matter more, or the victim less.
    """
    pod, victim = situation.signals.pod(hold.key), situation.signals.pod(hold.victim)
    if pod is None or pod.leaving:
        return pod is None
    return victim is None or pod.importance < victim.importance


def _little(pod: PodSignals) -> int:
    """Return the bytes of a pod that may be swapped out while the loop waits, and its least margin."""
    return min(_SWAPPED, pod.current // _LITTLE)


def _excess(pod: PodSignals) -> str:
    return f"{format_bytes(max(0, pod.current + pod.swap - pod.request))} over its request"


def _why(hold: Hold) -> str:
    had = f"it had {format_bytes(hold.had)} when {hold.victim} lost memory"
    return f"{hold.key} is held at {format_bytes(hold.high)}, {had}"


def _writes(holds: Mapping[str, Hold], name: str) -> tuple[Write, ...]:
    return tuple(
        Write(path, "memory.high", min(hold.high, hold.theirs), _why(hold), name, hold.inode)
        for path, hold in holds.items()
    )
