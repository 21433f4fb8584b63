from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memqos.agent import beside
from memqos.agent.beside import Beside
from memqos.agent.journal import Journal, read
from memqos.model.plan import Plan, Tick
from memqos.model.snapshot import Counters, NodeFacts, Snapshot


def tick(number: int) -> Tick:
    facts = NodeFacts(meminfo=Counters.of({"MemTotal": number}), vmstat=Counters.of({}))
    return Tick(Snapshot(time_us=number, boot_id="b", node=facts, cgroups={}), (), Plan())


class Stuck:
    """A recorder on a disk that answers when it is let."""

    def __init__(self) -> None:
        self.goes = threading.Event()
        self.began = threading.Event()
        self.dropped = 0
        self.taken: list[int] = []
        self.closed = False

    def append(self, tick: Tick) -> bool:
        self.began.set()
        self.goes.wait(30)
        self.taken.append(tick.snapshot.time_us)
        return True

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    disk = Stuck()
    yield disk
    disk.goes.set()


def test_a_stuck_disk_holds_up_nobody_and_costs_only_what_finds_no_room(stuck: Stuck) -> None:
    recorder = Beside(stuck, room=2)
    assert recorder.append(tick(0))
    assert stuck.began.wait(10)
    assert [recorder.append(tick(number)) for number in (1, 2, 3, 4)] == [True, True, False, False]
    assert recorder.overflowed
    assert recorder.dropped == 2
    stuck.goes.set()
    recorder.close()
    assert stuck.taken == [0, 1, 2]
    assert stuck.closed


def test_an_orderly_end_loses_nothing(tmp_path: Path) -> None:
    recorder = Beside(Journal(tmp_path))
    for number in range(10):
        assert recorder.append(tick(number))
    recorder.close()
    assert [one.snapshot.time_us for one in read(tmp_path)] == list(range(10))
    assert (recorder.dropped, recorder.overflowed) == (0, False)


def test_a_disk_that_never_answers_does_not_hold_up_the_end(stuck: Stuck, monkeypatch: Any) -> None:
    monkeypatch.setattr(beside, "LAST_WAIT_S", 0.05)
    recorder = Beside(stuck, room=2)
    for number in range(2):
        recorder.append(tick(number))
    assert stuck.began.wait(10)
    recorder.close()
    assert recorder.dropped >= 1
    assert not stuck.closed
