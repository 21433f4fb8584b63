"""Evictions, turn after turn: begun once, refused for a while, advice where nobody may."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from memqos.agent.evict import REFUSED_US, Evictions, RunnerEvictor
from memqos.agent.loop import Agent
from memqos.agent.originals import Originals
from memqos.errors import Busy, InputError
from memqos.model.plan import Evicted, Eviction, Plan, Tick
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.model.view import View

PODS = tuple(PlacedPod(Pod("ns", name, f"uid-{name}", (Container("c"),)), name) for name in ("a", "b"))
A = Eviction("uid-a", "ns/a", "it holds most", "evict")


@dataclass
class Evictor:
    error: Exception | None = None
    done: list[Eviction] = field(default_factory=list)

    def evict(self, eviction: Eviction) -> None:
        if self.error is not None:
            raise self.error
        self.done.append(eviction)


def turn(
    evictions: Evictions, *wanted: Eviction, pods: tuple[PlacedPod, ...] = PODS, at: int = 0
) -> list[str]:
    evictions.look(pods, at)
    done, _ = evictions.carry_out(wanted)
    return [one.status for one in done]


def test_an_eviction_is_given_once_and_the_pod_leaves_until_it_is_gone() -> None:
    evictor = Evictor()
    evictions = Evictions(evictor)
    assert [turn(evictions, A) for _ in range(3)] == [["begun"], ["leaving"], ["leaving"]]
    assert evictor.done == [A]
    assert evictions.leaving == {"uid-a"}
    turn(evictions, pods=PODS[1:])
    assert evictions.leaving == frozenset()


def test_less_grace_is_passed_on_to_a_pod_that_leaves() -> None:
    evictor = Evictor()
    evictions = Evictions(evictor)
    graces = (None, 30.0, 30.0, 5.0, 60.0, 0.0)
    given = [turn(evictions, Eviction("uid-a", "ns/a", "w", grace=grace)) for grace in graces]
    assert given == [["begun"], ["begun"], ["leaving"], ["begun"], ["leaving"], ["begun"]]


def test_a_killed_container_does_not_leave_and_one_of_a_leaving_pod_is_not_killed() -> None:
    evictor = Evictor()
    evictions = Evictions(evictor)
    kill = Eviction("uid-a", "ns/a", "w", container="c")
    assert [turn(evictions, kill) for _ in range(2)] == [["begun"], ["begun"]]
    assert [turn(evictions, A), turn(evictions, kill)] == [["begun"], ["leaving"]]


@pytest.mark.parametrize("error", [Busy("its budget is spent"), InputError("no such pod")])
def test_a_refusal_is_known_for_a_minute(error: Exception) -> None:
    evictions = Evictions(Evictor(error))
    assert turn(evictions, A) == ["refused"]
    turn(evictions, at=REFUSED_US - 1)
    assert evictions.refused == {"uid-a": str(error)}
    turn(evictions, at=REFUSED_US)
    assert evictions.refused == {}


def test_a_refusal_ends_when_the_pod_goes_or_the_eviction_is_taken() -> None:
    evictor = Evictor(Busy("not now"))
    evictions = Evictions(evictor)
    turn(evictions, A)
    turn(evictions, pods=PODS[1:])
    assert evictions.refused == {}
    turn(evictions, A)
    evictor.error = None
    assert turn(evictions, A) == ["begun"]
    assert evictions.refused == {}


def test_a_dry_run_evicts_nobody() -> None:
    evictor = Evictor()
    evictions = Evictions(evictor, dry_run=True)
    assert [turn(evictions, A) for _ in range(2)] == [["dry-run"], ["dry-run"]]
    assert (evictor.done, evictions.leaving) == ([], frozenset())


def test_where_nobody_may_evict_a_person_is_told_once_a_minute_whom_and_why() -> None:
    evictions = Evictions(None)
    told = []
    for second in range(0, 120, 5):
        evictions.look(PODS, second * 10**6)
        done, advice = evictions.carry_out((A,))
        assert done[0].status == "refused"
        told += advice
        if second % 60 == 0:
            assert len(advice) == 1
    assert told[0].subject == "ns/a"
    assert told[0].problem == "it would be evicted: it holds most"
    assert told[0].remedy == "memqos does not run this pod: kubectl delete pod a -n ns"


@dataclass(frozen=True)
class Evicting:
    """Wants pod a gone, and keeps what it saw under way."""

    name: str = "evict"

    def initial(self) -> tuple[Any, ...]:
        return ()

    def decide(self, memory: tuple[Any, ...], view: View) -> tuple[tuple[Any, ...], Plan]:
        return (*memory, view.underway), Plan(evictions=(A,))


def test_the_loop_carries_an_eviction_out_and_shows_the_policies_who_leaves(node: Any) -> None:
    ticks: list[Tick] = []
    pods = [PODS, PODS, PODS[1:]]
    agent = Agent(
        node,
        (Evicting(),),
        lambda _: pods.pop(0),
        Originals(None, "boot"),
        on_tick=ticks.append,
        evictor=Evictor(),
    )
    for _ in range(3):
        agent.tick()
    assert [tick.evicted for tick in ticks[:2]] == [(Evicted(A, "begun"),), (Evicted(A, "leaving"),)]
    assert [sorted(tick.underway.leaving) for tick in ticks] == [[], ["uid-a"], []]
    assert agent._memories[0] == tuple(tick.underway for tick in ticks)


def test_a_loop_without_an_evictor_advises(node: Any) -> None:
    agent = Agent(node, (Evicting(),), lambda _: PODS, Originals(None, "boot"))
    first, second = agent.tick(), agent.tick()
    assert [advice.problem for advice in first.plan.advice] == ["it would be evicted: it holds most"]
    assert second.plan.advice == ()
    assert second.underway.refused == {"uid-a": "memqos does not run this pod, and may not evict it"}


def test_the_pod_runner_evicts_pods_and_kills_containers() -> None:
    asked: list[tuple[Any, ...]] = []

    class Runner:
        def evict(self, uid: str, reason: str, grace: float | None, *, message: str) -> None:
            asked.append((uid, reason, grace, message))

        def kill(self, uid: str, container: str, message: str) -> None:
            asked.append((uid, container, message))

    evictor = RunnerEvictor(Runner())  # type: ignore[arg-type]
    evictor.evict(Eviction("u", "ns/p", "why", grace=3.0))
    evictor.evict(Eviction("u", "ns/p", "why", container="c"))
    assert asked == [("u", "Evicted", 3.0, "memqos: why"), ("u", "c", "memqos: why")]
