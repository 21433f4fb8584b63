"""What a session of the agent did: lines as things happen, and tables at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memqos.linux.runner import ContainerEvent, PodStatus
from memqos.model.knobtext import knob_text
from memqos.model.plan import Advice, Evicted, Tick
from memqos.report.ladder import ended_line, evicted_line, stand_changes
from memqos.report.plan import owners
from memqos.report.table import Column, Table, table

CONTAINERS = (
    Column("pod", "pod"),
    Column("container", "container"),
    Column("phase", "phase"),
    Column("state", "state"),
    Column("reason", "reason"),
    Column("exit_code", "exit code", "count"),
    Column("restarts", "restarts", "count"),
    Column("oom_kills", "OOM kills", "count"),
)


def containers_table(pods: Iterable[PodStatus]) -> Table:
    """Return what became of each container."""
    rows = [
        (
            pod.pod,
            each.name,
            pod.phase,
            each.state,
            (each.last.reason if each.last else each.reason) or None,
            each.last.exit_code if each.last else None,
            each.restarts,
            each.oom_kills,
        )
        for pod in pods
        for each in pod.containers
    ]
    return table(CONTAINERS, rows, title="Containers", empty="no pods were run")


def event_line(event: ContainerEvent) -> str:
    """Say what happened to a container."""
    subject = f"{event.pod}/{event.container}" if event.container else event.pod
    how = event.termination
    detail = f" {how.reason}, exit code {how.exit_code}" if how else ""
    return f"{subject}: {event.kind}{detail}" + (f" ({event.message})" if event.message else "")


def advice_line(advice: Advice) -> str:
    """Say what a person should know."""
    return f"advice: {advice.subject}: {advice.problem}" + (f"; {advice.remedy}" if advice.remedy else "")


def tick_lines(tick: Tick, last: Tick | None = None) -> Iterator[str]:
    """Say what one turn of the agent changed since the last, and what it could not."""
    names = owners(tick.pods)
    yield from (ended_line(outcome, names) for outcome in tick.underway.ended)
    yield from stand_changes(last.plan.stands if last else (), tick.plan.stands)
    yield from (evicted_line(evicted) for evicted in _news(tick, last))
    imagined = {one.write.target: one.write.value for one in last.outcomes} if last else {}
    for outcome in tick.outcomes:
        if outcome.status in ("kept", "waiting"):
            continue
        if outcome.status == "dry-run" and imagined.get(outcome.write.target) == outcome.write.value:
            continue  # what was not written is wanted at every turn
        write = outcome.write
        subject = names.get(write.cgroup, write.cgroup or "/")
        if outcome.status == "begun":
            yield f"{subject}: reclaim {knob_text(write.knob, write.value)} begun: {write.why}"
            continue
        change = f"{knob_text(write.knob, outcome.before)} -> {knob_text(write.knob, write.value)}"
        reason = outcome.error or write.why
        mark = "" if outcome.status == "written" else f" [{outcome.status}]"
        yield f"{subject}: {write.knob} {change}{mark}: {reason}"
    told = last.notes if last else ()
    yield from (f"note: {note}" for note in tick.notes if note not in told)


class Telling:
    """Says turn after turn what is new."""

    def __init__(self) -> None:
        self._last: Tick | None = None

    def lines(self, tick: Tick) -> Iterator[str]:
        """Say what this turn changed since the last one that was told."""
        last, self._last = self._last, tick
        return tick_lines(tick, last)


def _news(tick: Tick, last: Tick | None) -> Iterator[Evicted]:
    """Return the evictions that were not told at the last turn already."""
    told = {(one.eviction.uid, one.eviction.container, one.status) for one in last.evicted} if last else set()
    for one in tick.evicted:
        if one.status != "leaving" and (one.eviction.uid, one.eviction.container, one.status) not in told:
            yield one
