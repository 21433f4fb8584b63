from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from memqos.agent.journal import Journal, read
from memqos.agent.loop import Agent
from memqos.agent.originals import Originals
from memqos.agent.replay import ReplayNode
from memqos.errors import CgroupGone
from memqos.model.plan import Plan, Reclaim, Tick, Write
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.model.view import View
from memqos.policy.settings import SwapSettings
from memqos.policy.swap import SwapPolicy
from memqos.units import MIB

POD = Pod("ns", "p", "u", (Container("c"),), annotations={"memqos.dev/swap-limit": "4Mi"})


def recorded(node: Any, directory: Path, turns: int = 3) -> None:
    """Record a live agent that grants the pod what its user chose."""
    placed = (PlacedPod(POD, "a", {"c": "a/b"}),)
    with Journal(directory) as journal:
        originals = Originals(directory / "state", "boot")
        Agent(node, (SwapPolicy(),), lambda _: placed, originals, journal=journal).run(turns=turns)


def replayed(directory: Path, settings: SwapSettings) -> list[Tick]:
    past, ticks = ReplayNode(read(directory)), []
    policies = (SwapPolicy(settings),)
    Agent(past, policies, past.pods, Originals(None, "boot"), dry_run=True, on_tick=ticks.append).run()
    return ticks


def test_the_same_policy_decides_the_same_on_the_recorded_past(node: Any, tmp_path: Path) -> None:
    recorded(node, tmp_path)
    lived = list(read(tmp_path))
    again = replayed(tmp_path, SwapSettings())
    assert [tick.snapshot for tick in again] == [tick.snapshot for tick in lived]
    assert [tick.plan for tick in again] == [tick.plan for tick in lived]
    assert lived[0].plan.writes[0].value == 4 * MIB


def test_another_policy_can_be_asked_what_it_would_have_done(node: Any, tmp_path: Path) -> None:
    recorded(node, tmp_path)
    ticks = replayed(tmp_path, SwapSettings(maximum_per_pod=MIB))
    assert [tick.plan.writes[0].value for tick in ticks] == [MIB] * 3
    assert {outcome.status for outcome in ticks[0].outcomes} == {"dry-run"}


def test_the_past_answers_writes_as_a_kernel_does(node: Any, tmp_path: Path) -> None:
    recorded(node, tmp_path)
    past = ReplayNode(read(tmp_path))
    assert past.apply(Write("a", "memory.max", 8191, "why")) == 4096
    assert past.apply(Write("a", "memory.reclaim", Reclaim(1), "why")) is None
    with pytest.raises(CgroupGone):
        past.apply(Write("a", "memory.max", 1, "why", inode=1))


def test_the_orders_of_the_past_are_under_way_and_end_when_they_did(node: Any, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Take:
        name: str = "take"

        def initial(self) -> None:
            return None

        def decide(self, memory: None, view: View) -> tuple[None, Plan]:
            return None, Plan((Write("a", "memory.reclaim", Reclaim(MIB), "idle", "take"),))

    with Journal(tmp_path) as journal:
        live = Agent(node, (Take(),), lambda _: (), Originals(None, "boot"), journal=journal)
        live.tick()
        live.tick()
        node.finish("a", "partial")
        live.tick()
    past = ReplayNode(read(tmp_path))
    assert past.underway() == frozenset()
    past.wait(1)
    assert (past.underway(), past.ended()) == ({"a"}, ())
    past.wait(1)
    assert past.underway() == frozenset()
    assert [(one.status, one.after) for one in past.ended()] == [("partial", Reclaim(0))]
    past.begin(Write("a", "memory.reclaim", Reclaim(MIB), "nothing happens"))
    past.cancel("a")


def test_an_empty_journal_is_no_past(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no turn"):
        ReplayNode(read(tmp_path))


def test_a_past_that_is_stopped_ends_with_the_turn_being_played(node: Any, tmp_path: Path) -> None:
    recorded(node, tmp_path)
    past = ReplayNode(read(tmp_path))
    past.stop()
    assert past.wait(1).reason == "stop"
