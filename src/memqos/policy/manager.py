"""The ladder of remedies as one policy: watch, then each rung in turn, the mildest first.

The figures (`memqos.policy.signals`) and the troubles (`memqos.policy.trouble`) are computed once and are the
same for all rungs. Each rung sees the node as the rungs below will leave it, and what state these are in.
When a rung raises an error, the values it last asked for are kept, and an advice says so. A pod that no rung
can help, because its own limit is too small, is told to a person (`memqos.policy.outgrown`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from memqos.model.plan import Advice, Plan
from memqos.model.view import View
from memqos.policy.compose import foresee, overlay
from memqos.policy.history import History
from memqos.policy.outgrown import Outgrown, outgrown_advice, outgrown_after
from memqos.policy.rung import AnyRung, Situation
from memqos.policy.signals import Signals
from memqos.policy.trouble import Troubles, WatchSettings


@dataclass(frozen=True, slots=True)
class ManagerMemory:
    """What was seen and what each rung remembers and holds, in the rungs' order."""

    history: History
    troubles: Troubles
    memories: tuple[Any, ...]
    held: tuple[Plan, ...]
    outgrown: Outgrown = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manager:
    """All rungs, the weakest first."""

    rungs: tuple[AnyRung, ...]
    watch: WatchSettings = field(default_factory=WatchSettings)
    name: str = "manager"

    def initial(self) -> ManagerMemory:
        """Return the memory of a ladder that has seen nothing."""
        nothing = tuple(Plan() for _ in self.rungs)
        return ManagerMemory(History(), Troubles(), tuple(rung.initial() for rung in self.rungs), nothing)

    def decide(self, memory: ManagerMemory, view: View) -> tuple[ManagerMemory, Plan]:
        """Return the new memory and what all rungs together want.

        A clock that went back, or another boot's, makes what was remembered by it void: all begin anew.
        """
        if memory.history.is_after(view.now):
            memory = self.initial()
        history = memory.history.after(view)
        signals = Signals.of(view, history)
        troubles = memory.troubles.after(signals, self.watch)
        situation = Situation(view, signals, troubles)
        outgrown = outgrown_after(memory.outgrown, situation, self.watch)
        told = Plan(advice=outgrown_advice(outgrown, situation))
        memories: list[Any] = []
        plans: list[Plan] = []
        for rung, before, last in zip(self.rungs, memory.memories, memory.held, strict=True):
            after, plan = _ask(rung, before, last, situation)
            memories.append(after)
            plans.append(plan)
            view = foresee(situation.view, plan)
            held = situation.held | {write.target for write in plan.writes}
            situation = Situation(view, signals, troubles, (*situation.stands, *plan.stands), held)
        after = ManagerMemory(history, troubles, tuple(memories), tuple(plans), outgrown)
        return after, overlay([*plans, told])


def _ask(rung: AnyRung, memory: Any, held: Plan, situation: Situation) -> tuple[Any, Plan]:
    try:
        after, plan = rung.decide(memory, situation)
    except Exception as error:  # noqa: BLE001 - a rung's bug must not give up what the others hold
        problem = f"rung {rung.name} failed: {type(error).__name__}: {error}"
        remedy = "what it held stays held; report this, with the journal"
        lasting = tuple(write for write in held.writes if write.knob != "memory.reclaim")
        return memory, Plan(lasting, (Advice("node", problem, remedy, rung.name),), (), held.stands)
    return after, plan
