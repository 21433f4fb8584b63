"""The ladder in words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from memqos.model.plan import Evicted, Eviction, Outcome, Plan, Reclaim, Stand, Tick, Underway, Write
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.model.snapshot import Counters, NodeFacts, Snapshot
from memqos.report.ladder import evictions_table, rungs_of, stand_changes, stands_table
from memqos.report.session import Telling
from memqos.units import MIB

POD = PlacedPod(Pod("ns", "p", "u", (Container("c"),)), "pods/p")
ORDER = Write("pods/p", "memory.reclaim", Reclaim(64 * MIB), "idle", "reclaim")
OUT = Eviction("u", "ns/p", "it holds most", "evict", grace=5.0)
NODE = Snapshot(
    time_us=0, boot_id="b", node=NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({})), cgroups={}
)


def stand(step: Any, rung: str = "throttle", why: str = "it stalls others") -> Stand:
    return Stand(rung, "ns/p", step, 0, why)


def told(*ticks: Tick) -> list[list[str]]:
    telling = Telling()
    return [list(telling.lines(tick)) for tick in ticks]


def test_a_step_is_told_when_it_is_taken_and_when_the_rung_is_calm_again() -> None:
    steps: list[tuple[Stand, ...]] = [
        (),
        (stand("watch"),),
        (stand("watch", why="still"),),
        (stand("act"),),
        (stand("spent"),),
        (),
    ]
    said = [list(stand_changes(before, now)) for before, now in pairwise(steps)]
    assert said == [
        ["throttle watches ns/p: it stalls others"],
        [],
        ["throttle acts on ns/p: it stalls others"],
        ["throttle can do no more for ns/p: it stalls others"],
        ["throttle is calm about ns/p again"],
    ]


def test_an_order_is_told_when_it_begins_and_when_it_ends_with_what_was_taken() -> None:
    begun = Tick(NODE, (POD,), Plan((ORDER,)), (Outcome(ORDER, "begun"),))
    runs = Tick(NODE, (POD,), Plan((ORDER,)), (Outcome(ORDER, "kept"),))
    ends = [
        Tick(
            NODE, (POD,), Plan(), underway=Underway(ended=(Outcome(ORDER, status, None, Reclaim(size), why),))
        )
        for status, size, why in (
            ("written", 64 * MIB, ""),
            ("partial", 12 * MIB, "EAGAIN"),
            ("stopped", 0, ""),
            ("failed", 0, "it died"),
        )
    ]  # type: ignore[misc]
    assert told(begun, runs, *ends) == [
        ["ns/p: reclaim 64 MiB begun: idle"],
        [],
        ["ns/p: reclaim of 64 MiB: all of it was taken"],
        ["ns/p: reclaim of 64 MiB: the kernel found no more than about 12 MiB"],
        ["ns/p: reclaim of 64 MiB: stopped after 0 B"],
        ["ns/p: reclaim of 64 MiB: failed: it died"],
    ]


def test_an_eviction_is_told_once() -> None:
    plan = Plan(evictions=(OUT,))
    ticks = [Tick(NODE, (POD,), plan, evicted=(Evicted(OUT, status),)) for status in ("begun", "leaving")]  # type: ignore[arg-type]
    refused = Tick(NODE, (POD,), plan, evicted=(Evicted(OUT, "refused", "its budget is spent"),))
    assert told(*ticks, refused, refused) == [
        ["evicting ns/p with 5 s of grace: it holds most"],
        [],
        ["ns/p should be evicted (it holds most), but: its budget is spent"],
        [],
    ]


def test_a_killed_container_and_a_dry_run_are_told_as_such() -> None:
    kill = Eviction("u", "ns/p", "it leaks", container="c")
    ticks = [
        Tick(NODE, (POD,), Plan(), evicted=(Evicted(kill, "begun"),)),
        Tick(NODE, (POD,), Plan(), evicted=(Evicted(OUT, "dry-run"),)),
    ]
    assert told(*ticks) == [
        ["killing container c of ns/p: it leaks"],
        ["ns/p would be evicted: it holds most"],
    ]


@dataclass(frozen=True)
class Throttle:
    """Slow the culprit down
    with memory.high.

    More about it.
    """

    name: str = "throttle"

    def initial(self) -> None:
        return None

    def decide(self, memory: None, situation: Any) -> tuple[None, Plan]:
        return None, Plan()


def test_every_rung_is_explained_where_it_stands_or_what_it_would_do() -> None:
    rungs = rungs_of((Throttle("protect"), Throttle()))
    shown = stands_table((stand("act"),), rungs)
    assert shown.rows == (
        ("protect", None, "calm", "Slow the culprit down with memory.high."),
        ("throttle", "ns/p", "act", "it stalls others"),
    )


def test_who_was_evicted_is_a_table() -> None:
    shown = evictions_table((Evicted(OUT, "begun"), Evicted(Eviction("u", "ns/q", "w"), "refused", "no")))
    assert [row[:4] for row in shown.rows] == [
        ("ns/p", None, "5 s", "begun"),
        ("ns/q", None, "the pod's own", "refused"),
    ]


def test_a_note_that_stays_true_is_told_once() -> None:
    lost, full = "pods: no such file", "the disk is full"
    ticks = [Tick(NODE, (), Plan(), notes=notes) for notes in ((lost,), (lost, full), (full,), (lost,))]
    assert told(*ticks) == [[f"note: {lost}"], [f"note: {full}"], [], [f"note: {lost}"]]


def test_what_a_dry_run_would_write_is_told_when_it_changes() -> None:
    def wanting(size: int) -> Tick:
        write = Write("pods/p", "memory.high", size, "it stalls others", "throttle")
        return Tick(NODE, (POD,), Plan((write,)), (Outcome(write, "dry-run", 64 * MIB),))

    said = told(wanting(8 * MIB), wanting(8 * MIB), wanting(4 * MIB))
    assert [len(lines) for lines in said] == [1, 0, 1]
    assert said[2] == ["ns/p: memory.high 64 MiB -> 4 MiB [dry-run]: it stalls others"]
