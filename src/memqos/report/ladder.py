"""Where the rungs of the ladder stand, who is evicted, and what orders took: in words, and as tables."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping

from memqos.model.plan import Evicted, Eviction, Outcome, Reclaim, Stand, Step
from memqos.policy.rung import AnyRung
from memqos.report.table import Cell, Column, Table, table
from memqos.units import format_bytes

_STEPS: Mapping[Step, str] = {
    "watch": "watches",
    "act": "acts on",
    "spent": "can do no more for",
}


def stand_line(stand: Stand) -> str:
    """Say where a rung stands about a subject, and why."""
    return f"{stand.rung} {_STEPS[stand.step]} {stand.subject}: {stand.why}"


def stand_changes(before: Iterable[Stand], now: Iterable[Stand]) -> Iterator[str]:
    """Say which rungs took another step since the last turn, and which became calm."""
    then = {(stand.rung, stand.subject): stand.step for stand in before}
    for stand in now:
        if then.pop((stand.rung, stand.subject), None) != stand.step:
            yield stand_line(stand)
    for rung, subject in then:
        yield f"{rung} is calm about {subject} again"


def evicted_line(evicted: Evicted) -> str:
    """Say what became of an eviction."""
    eviction = evicted.eviction
    what = _whom(eviction)
    match evicted.status:
        case "begun":
            verb = "evicting" if eviction.container is None else "killing"
            return f"{verb} {what}{_grace(eviction)}: {eviction.why}"
        case "dry-run":
            return f"{what} would be evicted: {eviction.why}"
        case "refused":
            return f"{what} should be evicted ({eviction.why}), but: {evicted.error}"
        case "leaving":
            return f"{what} is leaving: {eviction.why}"


def ended_line(outcome: Outcome, names: Mapping[str, str]) -> str:
    """Say what an order to reclaim took."""
    order, taken = outcome.write.value, outcome.after
    asked = format_bytes(order.size) if isinstance(order, Reclaim) else "?"
    got = format_bytes(taken.size) if isinstance(taken, Reclaim) else "nothing"
    how = {
        "written": "all of it was taken",
        "partial": f"the kernel found no more than about {got}",
        "stopped": f"stopped after {got}",
    }
    said = how.get(outcome.status, f"{outcome.status}: {outcome.error}")
    return f"{names.get(outcome.write.cgroup, outcome.write.cgroup or '/')}: reclaim of {asked}: {said}"


def rungs_of(rungs: Iterable[AnyRung]) -> list[tuple[str, str]]:
    """Return each rung's name and, in its own words, what it does."""
    return [
        (rung.name, (inspect.getdoc(type(rung)) or "").partition("\n\n")[0].replace("\n", " "))
        for rung in rungs
    ]


def stands_table(stands: Iterable[Stand], rungs: Iterable[tuple[str, str]] = ()) -> Table:
    """Return where each rung stands; `rungs` are (name, what it does) of all there are, calm ones too."""
    found = list(stands)
    does = dict(rungs)
    columns = [Column(key, key) for key in ("rung", "subject", "step", "why")]
    rows: list[tuple[Cell, ...]] = [(stand.rung, stand.subject, stand.step, stand.why) for stand in found]
    standing = {stand.rung for stand in found}
    rows += [(name, None, "calm", text) for name, text in does.items() if name not in standing]
    order = {name: place for place, name in enumerate(does)}
    rows.sort(key=lambda row: order.get(str(row[0]), len(order)))
    return table(columns, rows, title="Ladder", empty="no rung has a cause to act")


def evictions_table(evictions: Iterable[Evicted]) -> Table:
    """Return who was evicted, or would be."""
    columns = [Column(key, key) for key in ("pod", "container", "grace", "status", "why", "error")]
    rows: list[tuple[Cell, ...]] = []
    for evicted in evictions:
        each = evicted.eviction
        grace = "the pod's own" if each.grace is None else f"{each.grace:g} s"
        rows.append((each.pod, each.container, grace, evicted.status, each.why, evicted.error or None))
    return table(columns, rows, title="Evictions", empty="nobody was evicted")


def _whom(eviction: Eviction) -> str:
    return f"container {eviction.container} of {eviction.pod}" if eviction.container else eviction.pod


def _grace(eviction: Eviction) -> str:
    return "" if eviction.grace is None or eviction.container else f" with {eviction.grace:g} s of grace"
