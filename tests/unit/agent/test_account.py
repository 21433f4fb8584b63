from types import SimpleNamespace

from memqos.agent.account import Account
from memqos.model.plan import Advice, Evicted, Eviction, Outcome, Plan, Tick, Write
from memqos.model.snapshot import Counters, NodeFacts, Snapshot

NODE = Snapshot(
    time_us=1, boot_id="b", node=NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({})), cgroups={}
)
WRITE = Write("kubepods/a", "memory.high", 4096, "why")
AGENT = SimpleNamespace(restored=(), ticks=3, ended_in_us=None)


def turn(*outcomes: Outcome, evicted: tuple[Evicted, ...] = ()) -> Tick:
    return Tick(NODE, (), Plan(), outcomes, evicted=evicted)


def account(*ticks: Tick) -> Account:
    seen = Account(lambda advice: None)
    for tick in ticks:
        seen.see(tick)
    return seen


def test_an_advice_is_passed_on_once() -> None:
    heard: list[Advice] = []
    seen = Account(heard.append)
    seen.advise([Advice("a", "small"), Advice("b", "small")])
    seen.advise([Advice("a", "small")])
    assert [advice.subject for advice in heard] == ["a", "b"]


def test_what_holds_or_waits_is_not_news() -> None:
    seen = account(
        turn(Outcome(WRITE, "written")), turn(Outcome(WRITE, "kept")), turn(Outcome(WRITE, "waiting"))
    )
    assert [one.status for one in seen.report(AGENT, 0).writes] == ["written"]  # type: ignore[arg-type]


def test_what_a_dry_run_would_write_counts_again_when_it_changes() -> None:
    other = Write("kubepods/a", "memory.high", 8192, "why")
    seen = account(*(turn(Outcome(write, "dry-run")) for write in (WRITE, WRITE, other)))
    assert [one.write.value for one in seen.report(AGENT, 0).writes] == [4096, 8192]  # type: ignore[arg-type]


def test_what_a_dry_run_no_longer_wants_is_forgotten_with_its_pod() -> None:
    seen = account(turn(Outcome(WRITE, "dry-run")), turn(), turn(Outcome(WRITE, "dry-run")))
    assert [one.write.value for one in seen.report(AGENT, 0).writes] == [4096, 4096]  # type: ignore[arg-type]
    assert len(seen._imagined) == 1


def test_a_pod_that_still_leaves_was_evicted_once() -> None:
    out = Eviction("u", "ns/p", "why")
    seen = account(*(turn(evicted=(Evicted(out, status),)) for status in ("begun", "leaving", "leaving")))  # type: ignore[arg-type]
    report = seen.report(AGENT, dropped=2)  # type: ignore[arg-type]
    assert [one.status for one in report.evicted] == ["begun"]
    assert (report.ticks, report.dropped, report.pods) == (3, 2, ())
