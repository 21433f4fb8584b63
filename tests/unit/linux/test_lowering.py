"""Limits below the usage are left to worker processes; plain files and a write that blocks stand in."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memqos.errors import Busy, CgroupGone, InvalidValue, NodeError
from memqos.linux.limits import raise_open_files
from memqos.linux.lowering import MOST, Lowering
from memqos.model.plan import Write
from memqos.units import MIB, UNLIMITED


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "abcdef":
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.current").write_text(f"{100 * MIB}\n")
        (tmp_path / name / "memory.high").write_text("max\n")
    return tmp_path


@pytest.fixture
def lowering(root: Path) -> Iterator[Lowering]:
    lowering = Lowering(str(root), kernel=False)
    yield lowering
    lowering.close()


@pytest.fixture
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file takes the value, and the writer is kept for a minute, as by a kernel that reclaims."""

    def write(fd: int, text: bytes) -> int:
        os.write(fd, text)
        if text != b"max\n":
            time.sleep(60)
        return len(text)

    monkeypatch.setattr("memqos.linux.apply.write_fd", write)


def high(cgroup: str, value: int = MIB, inode: int = 0) -> Write:
    return Write(cgroup, "memory.high", value, "why", inode=inode)


def workers() -> set[int]:
    """The children of this process."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_a_limit_above_the_usage_is_written_without_a_process(lowering: Lowering) -> None:
    before = workers()
    assert lowering.apply(high("a", 200 * MIB)) == 200 * MIB
    assert workers() == before


def test_one_process_serves_limits_that_the_kernel_takes_at_once(lowering: Lowering) -> None:
    before = workers()
    for name in "abcdef":
        assert lowering.apply(high(name)) == MIB
    assert len(workers() - before) == 1


def test_a_file_that_is_empty_while_it_is_written_is_looked_at_again(
    lowering: Lowering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(fd: int, text: bytes) -> int:
        time.sleep(0.1)  # longer than a look waits for the worker
        return os.write(fd, text)

    monkeypatch.setattr("memqos.linux.apply.write_fd", write)
    assert lowering.apply(high("a")) == MIB


def test_an_agent_with_thousands_of_open_files_can_set_limits_too(root: Path) -> None:
    open_files = raise_open_files()
    if open_files < 1100:
        pytest.skip(f"only {open_files} files may be open here; raise the hard limit (ulimit -Hn)")
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    lowering = Lowering(str(root), kernel=False)
    try:
        assert lowering.apply(high("a")) == MIB
    finally:
        lowering.close()
        for fd in held:
            os.close(fd)


def test_a_process_made_ahead_is_the_one_that_writes(lowering: Lowering) -> None:
    before = workers()
    lowering.ready()
    (ahead,) = workers() - before
    assert lowering.apply(high("a")) == MIB
    assert workers() - before == {ahead}


@pytest.mark.usefixtures("_slow")
def test_the_caller_goes_on_as_soon_as_the_limit_holds(lowering: Lowering) -> None:
    start = time.monotonic()
    assert lowering.apply(high("a")) == MIB
    assert time.monotonic() - start < 5


@pytest.mark.usefixtures("_slow")
def test_a_later_limit_ends_the_process_that_reclaims_for_the_earlier_one(lowering: Lowering) -> None:
    before = workers()
    lowering.apply(high("a"))
    (worker,) = workers() - before
    assert lowering.apply(high("a", UNLIMITED)) == UNLIMITED
    deadline = time.monotonic() + 60
    while worker in workers():
        assert time.monotonic() < deadline
        lowering.apply(high("b", UNLIMITED))


@pytest.mark.usefixtures("_slow")
def test_beyond_so_many_the_next_limit_is_busy_and_none_is_waited_for(lowering: Lowering) -> None:
    for name in "abcdef"[:MOST]:
        lowering.apply(high(name))
    with pytest.raises(Busy, match="still reclaiming"):
        lowering.apply(high("f"))
    assert lowering.apply(high("e", UNLIMITED)) == UNLIMITED


def test_what_a_worker_meets_is_the_same_error_as_of_a_direct_write(
    lowering: Lowering, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CgroupGone):
        lowering.apply(high("a", inode=1))
    with pytest.raises(InvalidValue, match="path"):
        lowering.apply(high("../a"))

    def refuse(fd: int, text: bytes) -> int:
        raise OSError(22, os.strerror(22))

    monkeypatch.setattr("memqos.linux.apply.write_fd", refuse)
    lowering.close()  # a new worker has the new function
    with pytest.raises(InvalidValue) as caught:
        lowering.apply(high("b"))
    assert (caught.value.cgroup, caught.value.knob) == ("b", "memory.high")
    (root / "c/memory.high").unlink()
    with pytest.raises(NodeError, match="no such file"):
        lowering.apply(high("c"))


@pytest.mark.usefixtures("_slow")
def test_closed_it_leaves_no_process(lowering: Lowering) -> None:
    before = workers()
    lowering.apply(high("a"))
    lowering.close()
    assert workers() == before
