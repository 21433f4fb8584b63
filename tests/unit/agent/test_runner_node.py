from typing import Any

from memqos.agent.runner_node import RunnerNode
from memqos.node import Wake


class Runner:
    """A runner without pods."""

    def poll(self) -> list[Any]:
        return []

    def pods(self) -> tuple[Any, ...]:
        return ()

    def next_due_us(self) -> int | None:
        return None


class Waiting:
    """A node whose `wait` is over at once and, while it lasts, has `stopping` done."""

    def __init__(self, stopping: Any = None) -> None:
        self.stopping = stopping
        self.waits = 0

    def wait(self, seconds: float) -> Wake:
        self.waits += 1
        if self.stopping is not None:
            self.stopping()
        return Wake("timeout")


def test_a_stop_while_the_inner_node_waits_ends_the_wait_at_the_end_of_its_slice() -> None:
    inner = Waiting()
    node = RunnerNode(inner, Runner())  # type: ignore[arg-type]
    inner.stopping = node.stop
    assert node.wait(3600) == Wake("stop")
    assert inner.waits == 1


def test_a_stop_reaches_a_node_that_can_be_stopped() -> None:
    inner = Waiting()
    stops: list[bool] = []
    inner.stop = lambda: stops.append(True)  # type: ignore[attr-defined]
    node = RunnerNode(inner, Runner())  # type: ignore[arg-type]
    node.stop()
    assert stops == [True]
    assert node.wait(3600) == Wake("stop")
    assert inner.waits == 0
