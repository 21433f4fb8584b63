"""What a journal tells, and when it was."""

from __future__ import annotations

from memqos.model.plan import Advice, Plan, Tick
from memqos.model.snapshot import Counters, NodeFacts, Snapshot
from memqos.report.past import Clock, Line, Past

FACTS = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({}))
FULL = Advice("node", "it is full", "give it memory")


def turn(seconds: int, *notes: str, boot: str = "b", advice: tuple[Advice, ...] = ()) -> Tick:
    now = Snapshot(time_us=seconds * 10**6, boot_id=boot, node=FACTS, cgroups={})
    return Tick(now, (), Plan(advice=advice), notes=notes)


def test_each_line_has_the_time_of_its_turn_and_an_advice_is_told_once() -> None:
    past = Past.of([turn(1, "one"), turn(2, advice=(FULL, FULL)), turn(3, "two", advice=(FULL,))])
    assert [(line.time_us, line.text) for line in past.lines] == [
        (1_000_000, "note: one"),
        (2_000_000, "advice: node: it is full; give it memory"),
        (3_000_000, "note: two"),
    ]
    assert past.turns == 3


def test_lately_counts_from_the_last_turn_whether_or_not_anything_happened_then() -> None:
    past = Past.of([turn(9, "old", boot="a"), turn(1, "one"), turn(5, "two"), turn(10)])
    assert [line.text for line in past.lately(9)] == ["note: one", "note: two"]
    assert [line.text for line in past.lately(5)] == ["note: two"]
    assert list(past.lately(4)) == []


def test_times_are_utc_and_of_another_boot_since_that_boot() -> None:
    clock, line = Clock("b", 1_700_000_000.0), Line("b", 1_500_000, "")
    assert clock.stamp(line) == "2023-11-14 22:13:21.500"
    other = "0123456789abcdef"
    assert clock.stamp(Line(other, 1_500_000, "")) == "1.5 s after boot 01234567"


def test_nothing_recorded_is_nothing_told() -> None:
    assert Past.of([]) == Past((), 0, "", 0)
