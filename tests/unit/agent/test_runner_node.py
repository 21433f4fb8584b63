"""A node whose pods memqos runs itself: when the agent is woken, and by what."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

from memqos.agent.runner_node import RunnerNode
from memqos.node import Wake


class FakeNode:
    """Notes how long, and on what, it is waited; answers with `wakes`, then "timeout"."""

    def __init__(self, *wakes: str) -> None:
        self.wakes = list(wakes)
        self.waited: list[tuple[float, tuple[int, ...]]] = []
        self.stopped = False

    def wait(self, seconds: float, quiet: float = 0.0, also: Collection[int] = ()) -> Wake:
        self.waited.append((seconds, tuple(also)))
        return Wake(self.wakes.pop(0) if self.wakes else "stop")

    def stop(self) -> None:
        self.stopped = True


class FakeRunner:
    """Answers each poll with the next of `events`, and is never due."""

    def __init__(self, *events: str, phase: str = "Running", due_us: int | None = None) -> None:
        self.events = list(events)
        self.phase = phase
        self.due_us = due_us

    def poll(self) -> list[Any]:
        return [SimpleNamespace(kind=self.events.pop(0))] if self.events else []

    def pods(self) -> tuple[Any, ...]:
        return (SimpleNamespace(phase=self.phase),)

    def descriptors(self) -> tuple[int, ...]:
        return (7,)

    def next_due_us(self) -> int | None:
        return self.due_us


def runner_node(node: FakeNode, runner: FakeRunner, **options: Any) -> RunnerNode:
    return RunnerNode(node, runner, **options)  # type: ignore[arg-type]


def test_the_end_of_a_container_is_waited_for_with_the_pressure_for_the_whole_interval() -> None:
    node = FakeNode("stop")
    assert runner_node(node, FakeRunner()).wait(5).reason == "stop"
    ((seconds, also),) = node.waited
    assert 4.9 < seconds <= 5
    assert also == (7,)


def test_a_container_that_ended_is_looked_after_without_a_turn_of_the_agent() -> None:
    seen: list[str] = []
    node = FakeNode("ready", "pressure")
    wake = runner_node(node, FakeRunner("exited"), on_event=lambda event: seen.append(event.kind)).wait(5)
    assert (wake.reason, seen, len(node.waited)) == ("pressure", ["exited"], 2)


def test_a_cgroup_made_anew_wakes_the_agent_before_its_program_starts() -> None:
    node = FakeNode()
    assert runner_node(node, FakeRunner("created")).wait(5).reason == "pods"
    assert not node.waited


def test_a_restart_that_is_due_shortens_the_wait() -> None:
    node = FakeNode("stop")
    runner_node(node, FakeRunner(due_us=0)).wait(5)
    assert node.waited[0][0] == 0


def test_until_done_ends_with_the_last_pod() -> None:
    assert runner_node(FakeNode(), FakeRunner(phase="Failed"), until_done=True).wait(5).reason == "stop"


def test_it_can_be_stopped_as_the_node_can() -> None:
    node = FakeNode()
    runner_node(node, FakeRunner()).stop()
    assert node.stopped
