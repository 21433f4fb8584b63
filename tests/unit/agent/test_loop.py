import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from memqos.agent.loop import Agent
from memqos.agent.originals import Originals
from memqos.errors import NodeError
from memqos.model.plan import Plan, Tick, Write
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.model.view import View
from memqos.node import Wake
from memqos.policy import AnyPolicy
from memqos.policy.settings import AgentSettings
from memqos.units import GIB, MIB, UNLIMITED

POD = PlacedPod(Pod("ns", "p", "u", (Container("c"),)), "a")


@dataclass(frozen=True)
class Hold:
    """Hold one knob, and count turns."""

    knob: str = "memory.max"
    value: int = GIB
    name: str = "hold"

    def initial(self) -> int:
        return 0

    def decide(self, memory: int, view: View) -> tuple[int, Plan]:
        return memory + 1, Plan((Write("a", self.knob, self.value, f"turn {memory}", self.name),))


@dataclass(frozen=True)
class Broken(Hold):
    """Raise at every turn but the first."""

    name: str = "broken"

    def decide(self, memory: int, view: View) -> tuple[int, Plan]:
        if memory:
            raise ZeroDivisionError("division by zero")
        return super().decide(memory, view)


def agent(node: Any, tmp_path: Path, *policies: AnyPolicy, **options: Any) -> Agent:
    return Agent(node, policies, lambda snapshot: (POD,), Originals(tmp_path, "boot"), **options)


def test_a_tick_holds_what_was_seen_decided_and_done(node: Any, tmp_path: Path) -> None:
    tick = agent(node, tmp_path, Hold()).tick("start")
    assert tick.snapshot.cgroups["a"].memory_max == UNLIMITED
    assert [write.why for write in tick.plan.writes] == ["turn 0"]
    assert [outcome.status for outcome in tick.outcomes] == ["written"]
    assert (tick.pods, tick.woken_by, tick.notes) == ((POD,), "start", ())


def test_a_policys_memory_comes_back_to_it(node: Any, tmp_path: Path) -> None:
    turning = agent(node, tmp_path, Hold())
    assert [turning.tick().plan.writes[0].why for _ in range(3)] == ["turn 0", "turn 1", "turn 2"]


def test_a_later_policy_sees_what_the_earlier_decided(node: Any, tmp_path: Path) -> None:
    class Doubling(Hold):
        def decide(self, memory: int, view: View) -> tuple[int, Plan]:
            seen = view.now.cgroups["a"].memory_max or 0
            return 0, Plan((Write("a", "memory.max", 2 * seen, "twice", "double"),))

    tick = agent(node, tmp_path, Hold(), Doubling()).tick()
    assert [write.value for write in tick.plan.writes] == [2 * GIB]
    assert tick.plan.writes[0].why == "twice (hold wanted 1 GiB)"


def test_a_policys_bug_costs_only_its_own_turn_and_gives_nothing_back(node: Any, tmp_path: Path) -> None:
    turning = agent(node, tmp_path, Broken("memory.high", MIB), Hold())
    turning.tick()
    tick = turning.tick()
    assert tick.notes == ("policy broken: ZeroDivisionError: division by zero; it is left out of this turn",)
    assert [outcome.status for outcome in tick.outcomes] == ["kept"]
    assert node.get("a", "memory.high") == MIB


def test_pods_that_cannot_be_listed_are_those_of_the_last_turn(node: Any, tmp_path: Path) -> None:
    turning = agent(node, tmp_path, Hold())
    turning.tick()

    def broken(snapshot: object) -> tuple[PlacedPod, ...]:
        raise ConnectionError("refused")

    turning._pods = broken
    tick = turning.tick()
    assert tick.pods == (POD,)
    assert "refused" in tick.notes[0]


def test_a_file_that_does_not_read_is_noted_once_and_again_when_it_returns(node: Any, tmp_path: Path) -> None:
    observe, unread = node.observe, [("a: io.stat: odd",), ("a: io.stat: odd",), (), ("a: io.stat: odd",)]
    node.observe = lambda: replace(observe(), unread=unread.pop(0))
    turning = agent(node, tmp_path, Hold())
    noted = ("not read: a: io.stat: odd",)
    assert [turning.tick().notes for _ in range(4)] == [noted, (), (), noted]


def test_a_node_that_cannot_be_seen_is_looked_at_again(node: Any, tmp_path: Path) -> None:
    observe, ticks = node.observe, []

    def once_blind() -> Any:
        node.observe = observe
        raise NodeError("I/O error")

    node.observe = once_blind
    turning = agent(node, tmp_path, Hold(), on_tick=ticks.append)
    turning.run(turns=2)
    assert turning.failed_looks == 1
    assert ticks[0].notes == ("the node could not be observed: /: I/O error",)


def test_a_run_ends_with_the_originals(node: Any, tmp_path: Path) -> None:
    turning = agent(node, tmp_path, Hold())
    turning.run(turns=3)
    assert turning.ticks == 3
    assert node.get("a", "memory.max") == UNLIMITED
    assert [outcome.status for outcome in turning.restored] == ["written"]


def test_a_run_may_leave_its_values(node: Any, tmp_path: Path) -> None:
    agent(node, tmp_path, Hold(), settings=AgentSettings(restore_on_exit=False)).run(turns=1)
    assert node.get("a", "memory.max") == GIB


def test_a_dry_run_leaves_the_node_as_it_is(node: Any) -> None:
    ticks: list[Tick] = []
    dry = Agent(node, (Hold(),), lambda _: (), Originals(None, "boot"), dry_run=True, on_tick=ticks.append)
    dry.run(turns=2)
    assert [tick.outcomes[0].status for tick in ticks] == ["dry-run", "dry-run"]
    assert node.log == []


def test_the_node_listens_to_the_most_important_pods_first(node: Any, tmp_path: Path) -> None:
    pods = [
        PlacedPod(Pod("ns", name, name, (Container("c"),), priority=priority), name)
        for name, priority in (("low", -5), ("none", None), ("high", 1000))
    ]
    turning = agent(node, tmp_path)
    turning._pods = lambda _: (*pods, PlacedPod(Pod("ns", "new", "new", ()), None))
    turning.tick()
    assert node.watched == ["high", "none", "low"]
    turning._pods = lambda _: tuple(pods[:2])
    turning.tick()
    assert node.watched == ["none", "low"]


def test_pressure_calls_no_turn_before_the_least_interval(node: Any, tmp_path: Path) -> None:
    waited: list[tuple[float, float]] = []

    def wait(seconds: float, quiet: float) -> Wake:
        waited.append((seconds, quiet))
        return Wake("pressure", ("a",))

    node.wait = wait
    agent(node, tmp_path, settings=AgentSettings(interval_seconds=2, least_interval_seconds=0.3)).run(turns=3)
    assert waited == [(2, 0.3)] * 2


def test_pressure_that_wakes_the_loop_is_recorded(node: Any, tmp_path: Path) -> None:
    node.wait = lambda seconds, quiet: Wake("pressure", ("a/b",))
    ticks: list[Tick] = []
    agent(node, tmp_path, Hold(), on_tick=ticks.append).run(turns=2)
    assert [tick.woken_by for tick in ticks] == ["start", "pressure, a/b"]


def test_a_world_that_ends_ends_the_run(node: Any, tmp_path: Path) -> None:
    node.wait = lambda seconds, quiet: Wake("stop")
    turning = agent(node, tmp_path, Hold())
    turning.run()
    assert turning.ticks == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_longest_wait_at_once(node: Any, tmp_path: Path, number: int) -> None:
    waiting, stopped = threading.Event(), threading.Event()

    def wait(seconds: float, quiet: float) -> Wake:
        waiting.set()
        return Wake("stop" if stopped.wait(seconds) else "timeout")

    def send() -> None:
        waiting.wait()
        time.sleep(0.02)
        os.kill(os.getpid(), number)

    node.wait, node.stop = wait, stopped.set
    before = signal.getsignal(number)
    thread = threading.Thread(target=send)
    thread.start()
    begun = time.monotonic()
    agent(node, tmp_path, Hold(), settings=AgentSettings(interval_seconds=60)).run()
    thread.join()
    assert time.monotonic() - begun < 50  # its wait is a minute
    assert node.get("a", "memory.max") == UNLIMITED
    assert signal.getsignal(number) is before


def test_stop_ends_the_run_after_the_turn(node: Any, tmp_path: Path) -> None:
    turning = agent(node, tmp_path, Hold(), on_tick=lambda tick: turning.stop())
    turning.run()
    assert turning.ticks == 1


def test_a_policy_that_asks_for_it_gets_a_sooner_look_but_none_that_spins(node: Any, tmp_path: Path) -> None:
    asked: list[float | None] = [None, 0.3, 0.0, 60.0]

    class Asking(Hold):
        def decide(self, memory: int, view: View) -> tuple[int, Plan]:
            return memory + 1, Plan(look_in=asked[memory])

    asking = agent(node, tmp_path, Asking())
    waits = []
    for _ in asked:
        asking.tick()
        waits.append(asking.next_look)
    assert waits == [1.0, 0.3, 0.1, 1.0]
