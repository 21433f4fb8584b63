"""Writes to one knob through `LinuxNode`, on a tree of plain files."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from memqos.errors import Busy, InvalidValue, NodeError, Refused
from memqos.model.plan import Reclaim, Write
from memqos.model.snapshot import IoMax
from memqos.units import MIB, UNLIMITED


def test_io_max_is_written_as_a_whole(machine: Any) -> None:
    machine.cgroup("a")
    with machine.node() as node:
        new = {"8:0": IoMax(wbps=1 << 20)}
        assert node.apply(Write("a", "io.max", new, "")) == new
        assert node.observe().cgroups["a"].io_max == new
        assert node.apply(Write("a", "io.max", {}, "")) == {}


def test_a_disk_that_was_taken_away_is_not_written_to_only_to_unset_it(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.cgroup("a")
    here, gone = {"8:0": IoMax(wbps=1 << 20)}, {"8:48": IoMax()}

    def no_such_disk(fd: int, text: bytes) -> int:
        if text.startswith(b"8:48"):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return os.write(fd, text)

    with machine.node() as node:
        monkeypatch.setattr("memqos.linux.apply.write_fd", no_such_disk)
        assert node.apply(Write("a", "io.max", {**gone, **here}, "")) == here
        assert node.apply(Write("a", "io.max", gone, "")) == {}


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EACCES, Refused), (errno.EBUSY, Busy), (errno.EINVAL, InvalidValue)]
)
def test_a_refused_write_is_one_error_and_the_next_one_goes_on(
    machine: Any, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[NodeError]
) -> None:
    machine.cgroup("a")

    def refuse(fd: int, text: bytes) -> int:
        raise OSError(number, os.strerror(number))

    with machine.node() as node:
        with monkeypatch.context() as patch:
            patch.setattr("memqos.linux.apply.write_fd", refuse)
            with pytest.raises(kind) as caught:
                node.apply(Write("a", "memory.max", 4096, ""))
            assert (caught.value.cgroup, caught.value.knob) == ("a", "memory.max")
        assert node.apply(Write("a", "memory.max", UNLIMITED, "")) == UNLIMITED


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was written to control files, instead of its being written."""
    texts: list[bytes] = []

    def take(fd: int, text: bytes) -> int:
        texts.append(text)
        return len(text)

    monkeypatch.setattr("memqos.linux.apply.write_fd", take)
    return texts


def test_a_large_order_to_reclaim_is_given_in_pieces(machine: Any, written: list[bytes]) -> None:
    machine.cgroup("a")
    with machine.node() as node:
        assert node.apply(Write("a", "memory.reclaim", Reclaim(10 * MIB, 60), "")) is None
    assert written == [b"4194304 swappiness=60\n"] * 2 + [b"2097152 swappiness=60\n"]


def test_an_order_of_nothing_is_still_given_and_one_of_bytes_is_too(
    machine: Any, written: list[bytes]
) -> None:
    machine.cgroup("a")
    with machine.node() as node:
        node.apply(Write("a", "memory.reclaim", Reclaim(0), ""))
        node.apply(Write("a", "memory.reclaim", 4 * MIB, ""))
    assert written == [b"0\n", b"4194304\n"]


def test_a_stop_ends_an_order_to_reclaim_at_its_next_piece_and_leaves_other_writes_alone(
    machine: Any, written: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.cgroup("a")
    with machine.node() as node:

        def take_and_stop(fd: int, text: bytes) -> int:
            node.stop()
            return os.write(fd, text)

        monkeypatch.setattr("memqos.linux.apply.write_fd", take_and_stop)
        with pytest.raises(Busy, match="Interrupted"):
            node.apply(Write("a", "memory.reclaim", Reclaim(UNLIMITED), ""))
        assert (machine.root / "a/memory.reclaim").read_text() == f"{4 * MIB}\n"
        assert node.apply(Write("a", "memory.max", UNLIMITED, "")) == UNLIMITED


def test_a_missing_knob_is_not_created_by_a_write(machine: Any) -> None:
    (machine.cgroup("a") / "memory.max").unlink()
    with (
        machine.node() as node,
        pytest.raises(NodeError, match=r"a: memory.max: this cgroup has no such file"),
    ):
        node.apply(Write("a", "memory.max", 4096, ""))
    assert not (machine.root / "a/memory.max").exists()
