"""How a guest makes its disks ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from memqos.lab import guest
from memqos.lab.spec import Setup


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A queue as later kernels have it: a write to one of its limits sets the read-ahead anew."""
    knobs = {"read_ahead_kb": "128", "rotational": "1"}

    def write(path: Path, value: str) -> None:
        knobs[path.name] = value
        if path.name == "rotational":
            knobs["read_ahead_kb"] = "128"

    monkeypatch.setattr(guest, "write", write)
    return knobs


def test_the_read_ahead_asked_for_lasts_beside_a_disk_that_does_not_rotate(queue: dict[str, str]) -> None:
    guest.make_queue(Path("queue"), Setup(read_ahead_kb=32, rotational={"data": False}), "data")
    assert queue == {"read_ahead_kb": "32", "rotational": "0"}


def test_a_disk_of_which_nothing_is_said_keeps_what_it_is(queue: dict[str, str]) -> None:
    guest.make_queue(Path("queue"), Setup(read_ahead_kb=64, rotational={"data": False}), "swap")
    assert queue == {"read_ahead_kb": "64", "rotational": "1"}
