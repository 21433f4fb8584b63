"""How the plans of several policies become one, and what a later policy sees of an earlier one.

When two policies write the same knob, the later one wins, and its why says what it replaced. A later policy
decides on the node as the earlier plans will leave it (`foresee`); otherwise a decision that builds on
another one would come a turn later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from memqos.model.knobtext import knob_text
from memqos.model.plan import Advice, Eviction, Plan, Stand, Value, Write
from memqos.model.snapshot import Cgroup
from memqos.model.view import View
from memqos.policy import AnyPolicy
from memqos.policy.guard import refuse

_FIELDS: Final = {name.replace("_", "."): name for name in Cgroup.__struct_fields__ if "_" in name}


def field_of(knob: str) -> str | None:
    """Return the `Cgroup` field that shows what `knob` holds; `None` when none does."""
    return _FIELDS.get(knob)


def overlay(plans: Iterable[Plan]) -> Plan:
    """Lay the plans over each other in order; a write that replaces another says so in its why."""
    writes: dict[tuple[str, str], Write] = {}
    advice: list[Advice] = []
    evictions: dict[tuple[str, str | None], Eviction] = {}
    stands: list[Stand] = []
    looks: list[float] = []
    for plan in plans:
        for write in plan.writes:
            target = write.target
            lower = writes.get(target)
            writes[target] = write if lower is None else _over(lower, write)
        advice.extend(plan.advice)
        for eviction in plan.evictions:
            evictions.setdefault((eviction.uid, eviction.container), eviction)
        stands.extend(plan.stands)
        if plan.look_in is not None:
            looks.append(plan.look_in)
    look_in = min(looks, default=None)
    return Plan(tuple(writes.values()), tuple(advice), tuple(evictions.values()), tuple(stands), look_in)


def _over(lower: Write, upper: Write) -> Write:
    if lower.value == upper.value:
        return upper
    was = f"{lower.policy} wanted {knob_text(lower.knob, lower.value)}"
    return msgspec.structs.replace(upper, why=f"{upper.why} ({was})")


def foresee(view: View, plan: Plan) -> View:
    """Return the view as it will be when the plan is carried out: only knobs change, no usage."""
    changed: dict[str, dict[str, Value]] = {}
    now = view.now.cgroups
    for write in plan.writes:
        cgroup, field = now.get(write.cgroup), _FIELDS.get(write.knob)
        if cgroup is None or field is None or getattr(cgroup, field) in (None, write.value):
            continue
        changed.setdefault(write.cgroup, {})[field] = write.value
    if not changed:
        return view
    cgroups = dict(now)
    for path, fields in changed.items():
        cgroups[path] = msgspec.structs.replace(cgroups[path], **fields)
    return replace(view, now=msgspec.structs.replace(view.now, cgroups=cgroups))


def decide_last(policies: Sequence[AnyPolicy], views: Iterable[View], *, io_limited: bool = True) -> Plan:
    """Return what the policies, lowest first, want of a node at the last of some looks; the first is new.

    None of the earlier plans is carried out. `io_limited`: they limit the I/O of whoever disturbs
    (`memqos.policy.guard`).
    """
    memories = [policy.initial() for policy in policies]
    plan = Plan()
    for view in views:
        now, plans = view.now, list[Plan]()
        for index, policy in enumerate(policies):
            memories[index], wanted = policy.decide(memories[index], view)
            view = foresee(view, wanted)
            plans.append(wanted)
        plan = refuse(overlay(plans), now, view.now, io_limited=io_limited)
    return plan
