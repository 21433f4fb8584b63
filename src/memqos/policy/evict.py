"""The last rung: a pod is evicted, so that the node, or a more important pod, can go on.

`memqos.policy.evict_cause` decides whether there is a cause, `memqos.policy.victims` which pod it is.

One decision at a time. Memory of pods that are on their way out counts as free already, and nobody else is
chosen before the cool-down is over (a shorter one when half of the minimum is gone). The grace period is the
pod's own, cut to what the forecast leaves. A pod that outlives it, or is still here when the node runs out of
memory, is killed. A workload loses at most `per_workload` pods an hour, as with a PodDisruptionBudget; this
bound is given up only when the kernel, which knows no budgets, would kill next.

With `unit` Container the container that holds most of it is killed first, once an hour, and started again
where it is, as after an OOM kill; only if that was not enough does the pod go. No budget counts that, as a
PodDisruptionBudget does not.

Where nobody may end pods (the admin's mode, or a kubelet's node), a person is told which pod it would be. It
is the same one as long as it is the first to go: advice that nobody follows must not name one pod after
another, up to the most important.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from memqos.model.plan import Advice, Eviction, Plan, Stand, Step
from memqos.policy.evict_cause import Cause, shortage, stall
from memqos.policy.evict_memory import Asked, EvictMemory, forget, within_budget, workload_of
from memqos.policy.evict_settings import EvictSettings
from memqos.policy.rung import Situation
from memqos.policy.shortage import Outlook, outlook
from memqos.policy.victims import Candidate, bulk, candidates, choose, unheeded

_HASTE: Final = 3
"""How much shorter the cool-down is while the kernel is about to choose."""
_SOON: Final = 0.25
"""Seconds until the next look while somebody may have to go: a shortage is confirmed, an effect seen."""
_NEAR: Final = 8.0


@dataclass(frozen=True, slots=True)
class Evict:
    """Evict a pod when the node runs short, or when a more important pod stalls for good.

    `may_evict`: somebody here carries evictions out.
    """

    settings: EvictSettings = field(default_factory=EvictSettings)
    may_evict: bool = True
    name: str = "evict"

    def initial(self) -> EvictMemory:
        """Return the memory of a rung that has ended nobody."""
        return EvictMemory()

    def decide(self, memory: EvictMemory, situation: Situation) -> tuple[EvictMemory, Plan]:
        """Return whom to end now, with the cause in figures."""
        memory, plan = self._decide(memory, situation)
        spares = self.settings.users_may_refuse
        told = tuple(
            advice
            for placed in situation.view.pods
            if placed.pod.annotations
            for advice in unheeded(placed.pod, self.name, users_may_refuse=spares)
        )
        return memory, replace(plan, advice=(*plan.advice, *told)) if told else plan

    def _decide(self, memory: EvictMemory, situation: Situation) -> tuple[EvictMemory, Plan]:
        now = situation.now_us
        memory = forget(memory, situation)
        coming = outlook(situation.signals)
        standing = memory.since_us is not None
        cause = shortage(self.settings, situation, coming, leaving=memory.asked, standing=standing) or stall(
            self.settings, situation
        )
        memory, kills = self._kill(memory, now, hurried=cause is not None and cause.desperate)
        if cause is None:
            memory = replace(memory, since_us=None, advised={})
            return memory, Plan(evictions=kills, look_in=_look_in(coming))
        since = memory.since_us if memory.since_us is not None else now
        memory = replace(memory, since_us=since)
        waiting = self._waiting(memory, now, since, cause)
        chosen = () if waiting else self._choose(memory, situation, cause)
        if self.settings.mode == "Advise" or not self.may_evict:
            stand = Stand(self.name, "node", "watch", since, waiting or cause.why)
            advised = {one.pod.placed.pod.uid: self._advise(one, cause, memory) for one in chosen}
            told = tuple(advised.values()) if waiting or advised else (self._helpless(cause),)
            return replace(memory, advised=advised), Plan(advice=told, stands=(stand,))
        memory, ended = self._tell(memory, situation, chosen, cause, coming)
        step: Step = "act" if memory.asked else "watch" if waiting else "spent"
        advice = (self._helpless(cause),) if step == "spent" else ()
        stand = Stand(self.name, "node", step, since, waiting or cause.why)
        # a look a moment before the shortage counts as confirmed would be one too early
        look_in = (waiting and self._unconfirmed(now, since, cause)) or _SOON
        return memory, Plan((), advice, (*kills, *ended), (stand,), look_in)

    def _kill(
        self, memory: EvictMemory, now: int, *, hurried: bool
    ) -> tuple[EvictMemory, tuple[Eviction, ...]]:
        """Kill those that outlived their grace, or that the node cannot wait for."""
        late = {
            uid: one
            for uid, one in memory.asked.items()
            if not one.killed and (hurried or now > one.deadline_us)
        }
        why = "the node cannot wait for it" if hurried else "its grace is over"
        kills = tuple(
            Eviction(uid, one.pod, f"{one.why}; {why}", self.name, grace=0.0) for uid, one in late.items()
        )
        asked = {uid: replace(one, killed=one.killed or uid in late) for uid, one in memory.asked.items()}
        return replace(memory, asked=asked), kills

    def _tell(
        self,
        memory: EvictMemory,
        situation: Situation,
        chosen: tuple[Candidate, ...],
        cause: Cause,
        coming: Outlook,
    ) -> tuple[EvictMemory, tuple[Eviction, ...]]:
        """Return the evictions of those chosen, and the memory of having told them."""
        if not chosen:
            return memory, ()
        now, told = situation.now_us, list[Eviction]()
        asked, restarted, lost = dict(memory.asked), dict(memory.restarted), list(memory.lost)
        for one in chosen:
            pod, grace = one.pod.placed.pod, self._grace(one, cause, coming)
            why = f"{cause.why}; {one.why}"
            container = self._container(one, memory, situation)
            if container is not None:
                told.append(Eviction(pod.uid, pod.key, why, self.name, container, 0.0))
                restarted[pod.uid] = now
                continue
            told.append(Eviction(pod.uid, pod.key, why, self.name, grace=grace))
            asked[pod.uid] = Asked(pod.key, why, now + int(grace * 1e6), killed=grace == 0)
            lost.append((now, workload_of(pod)))
        after = replace(memory, decided_us=now, asked=asked, lost=tuple(lost), restarted=restarted)
        return after, tuple(told)

    def _container(self, one: Candidate, memory: EvictMemory, situation: Situation) -> str | None:
        """Return the container to kill; `None` when the whole pod is to go."""
        pod = one.pod.placed.pod
        if self.settings.unit != "Container" or pod.restart_policy == "Never" or pod.uid in memory.restarted:
            return None
        return bulk(one.pod, situation.view.now.cgroups)

    def _waiting(self, memory: EvictMemory, now: int, since: int, cause: Cause) -> str:
        """Return why nobody is chosen at this turn; empty when somebody may be."""
        if cause.desperate and not memory.asked and not memory.restarted:
            return ""
        if memory.asked and cause.kind == "stall":
            return f"{cause.why}; a pod is on its way out"
        if self._unconfirmed(now, since, cause):
            return f"{cause.why}; for less than {self.settings.confirm_seconds:g} s so far"
        rest = self.settings.cool_down_seconds * 1e6 / (_HASTE if cause.desperate else 1)
        if memory.decided_us is not None and now - memory.decided_us < rest:
            return f"{cause.why}; waiting for the effect of the last eviction"
        return ""

    def _unconfirmed(self, now: int, since: int, cause: Cause) -> float:
        """Return the seconds until a shortage counts as confirmed; 0 when it does."""
        if cause.kind != "shortage" or cause.desperate:
            return 0.0
        return max(0.0, self.settings.confirm_seconds - (now - since) / 1e6)

    def _choose(self, memory: EvictMemory, situation: Situation, cause: Cause) -> tuple[Candidate, ...]:
        ranked = [
            one
            for one in candidates(cause.pods, users_may_refuse=self.settings.users_may_refuse)
            if one.pod.placed.pod.uid not in memory.asked
            and one.pod.placed.pod.uid not in situation.view.underway.leaving
            and one.pod.placed.pod.uid not in situation.view.underway.refused
        ]
        within = within_budget(ranked, memory, situation.now_us, self.settings.per_workload)
        chosen = choose(within, cause.deficit) or (choose(ranked, cause.deficit) if cause.desperate else ())
        return chosen[: self.settings.at_once]

    def _grace(self, one: Candidate, cause: Cause, coming: Outlook) -> float:
        """Return the seconds a pod gets: its own, the admin's most, and what the forecast leaves."""
        wished = one.pod.placed.pod.termination_grace_period_seconds
        grace = min(30.0 if wished is None else float(wished), self.settings.maximum_grace_seconds)
        if cause.kind == "shortage" and coming.exhausted_in is not None:
            grace = min(grace, coming.exhausted_in / 2)
        return 0.0 if cause.desperate or grace < 1 else grace

    def _advise(self, one: Candidate, cause: Cause, memory: EvictMemory) -> Advice:
        """Say why a pod would be evicted, in the figures of when it was first named."""
        pod = one.pod.placed.pod
        if (known := memory.advised.get(pod.uid)) is not None:
            return known
        by_hand = f"memqos does not run this pod: kubectl delete pod {pod.name} -n {pod.namespace}"
        remedy = "set evict.mode Evict" if self.may_evict else by_hand
        problem = f"it would be evicted: {cause.why}; {one.why}"
        return Advice(pod.key, problem, f"{remedy}, or give the node memory", self.name)

    def _helpless(self, cause: Cause) -> Advice:
        remedy = "lower some pods' priority, add memory or swap, or raise evict.perWorkload"
        problem = f"a {cause.kind} of memory, and no pod that may be evicted would help"
        return Advice("node", problem, remedy, self.name)


def _look_in(coming: Outlook) -> float | None:
    """Return when to look again: several times before memory runs out, if it does so soon."""
    left = coming.exhausted_in
    return None if left is None or left > _NEAR else max(_SOON, left / _NEAR)
