"""A plan, as a table a person checks before it is carried out: cgroup, knob, now, then, why."""

from __future__ import annotations

from collections.abc import Iterable

from memqos.agent.order import as_kept
from memqos.agent.original import holds
from memqos.model.knobtext import knob_text
from memqos.model.plan import Outcome, Plan, Value, Write
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Snapshot
from memqos.report.table import Column, Table, table


def held(snapshot: Snapshot, write: Write) -> Value | None:
    """Return what the knob of a write holds now; `None` where there is no such cgroup or knob."""
    return getattr(snapshot.cgroups.get(write.cgroup), write.knob.replace(".", "_"), None)


def is_held(snapshot: Snapshot, write: Write) -> bool:
    """Whether the knob holds what is asked for already, as the kernel keeps it: in whole pages."""
    now = held(snapshot, write)
    return now is not None and holds(now, as_kept(write, snapshot.node.page_size))


def owners(pods: Iterable[PlacedPod]) -> dict[str, str]:
    """Return whose each cgroup is: `namespace/pod`, or `namespace/pod/container`, by path."""
    names: dict[str, str] = {}
    for placed in pods:
        if placed.cgroup is not None:
            names[placed.cgroup] = placed.pod.key
        names.update((path, f"{placed.pod.key}/{name}") for name, path in placed.containers.items())
    return names


def plan_table(
    plan: Plan, snapshot: Snapshot, pods: Iterable[PlacedPod] = (), *, changes_only: bool = True
) -> Table:
    """Return what the plan would change; `changes_only` leaves out what holds already.

    A pod's or container's cgroup is named after its owner in `pods`.
    """
    names = owners(pods)
    rows = []
    for write in sorted(plan.writes, key=lambda write: (names.get(write.cgroup, ""), write.target)):
        if changes_only and is_held(snapshot, write):
            continue
        now = held(snapshot, write)
        name = names.get(write.cgroup, write.cgroup or "/")
        rows.append(
            (name, write.knob, knob_text(write.knob, now), knob_text(write.knob, write.value), write.why)
        )
    columns = [Column(key, key) for key in ("cgroup", "knob", "now", "then", "why")]
    return table(
        columns, rows, title="Plan", empty="nothing to change: every knob holds what the policy wants"
    )


def advice_table(plan: Plan) -> Table:
    """Return what the policies want a person to know."""
    columns = [Column(key, key) for key in ("subject", "problem", "remedy")]
    rows = [(advice.subject, advice.problem, advice.remedy) for advice in plan.advice]
    return table(columns, rows, title="Advice", empty="no advice")


def outcomes_table(
    outcomes: Iterable[Outcome], pods: Iterable[PlacedPod] = (), *, title: str = "Writes"
) -> Table:
    """Return what became of writes; cgroups are named as in `plan_table`."""
    names = owners(pods)
    columns = [Column(key, key) for key in ("cgroup", "knob", "before", "after", "status", "why")]
    rows = [
        (
            names.get(outcome.write.cgroup, outcome.write.cgroup or "/"),
            outcome.write.knob,
            knob_text(outcome.write.knob, outcome.before),
            knob_text(outcome.write.knob, outcome.after),
            outcome.status,
            outcome.error or outcome.write.why,
        )
        for outcome in outcomes
    ]
    return table(columns, rows, title=title, empty="nothing was written")
