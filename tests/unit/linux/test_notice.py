from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from memqos.linux import files
from memqos.linux.files import EVERY
from memqos.linux.node import LinuxNode
from memqos.linux.notice import Notices


@pytest.fixture
def notices() -> Any:
    opened = Notices()
    yield opened
    opened.close()


def test_a_write_is_told_of_once_until_the_watch_is_armed_again(notices: Notices, tmp_path: Path) -> None:
    (tmp_path / "memory.high").write_text("max\n")
    watch = notices.arm(str(tmp_path))
    assert notices.told() == frozenset()
    for _ in range(3):
        (tmp_path / "memory.high").write_text("4096\n")
    assert notices.told() == {watch}
    (tmp_path / "memory.high").write_text("8192\n")
    assert notices.told() == frozenset()
    again = notices.arm(str(tmp_path))
    (tmp_path / "memory.high").write_text("max\n")
    assert notices.told() == {again}


def test_reading_is_no_news_and_neither_is_a_dropped_watch(notices: Notices, tmp_path: Path) -> None:
    (tmp_path / "memory.high").write_text("max\n")
    watch = notices.arm(str(tmp_path))
    (tmp_path / "memory.high").read_text()
    assert notices.told() == frozenset()
    notices.disarm(watch)
    (tmp_path / "memory.high").write_text("4096\n")
    assert notices.told() <= {watch}  # the kernel says that it is gone


def test_what_is_not_there_has_no_watch(notices: Notices, tmp_path: Path) -> None:
    assert notices.arm(str(tmp_path / "gone")) == 0


def test_lost_events_mean_that_nothing_is_known(notices: Notices, monkeypatch: pytest.MonkeyPatch) -> None:
    overflow = b"".join((b"\xff\xff\xff\xff", (0x4000).to_bytes(4, "little"), bytes(8)))
    answers = [overflow, b""]
    monkeypatch.setattr(os, "read", lambda fd, size: answers.pop(0))
    assert notices.told() is None


class Counted:
    """Counts reads by file name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: list[str] = []
        real = os.pread

        def pread(fd: int, size: int, offset: int) -> bytes:
            self.reads.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
            return real(fd, size, offset)

        monkeypatch.setattr(files, "pread", pread)

    def of(self, ending: str) -> int:
        return sum(name.endswith(ending) for name in self.reads)


def node_of(machine: Any) -> LinuxNode:
    return LinuxNode(str(machine.root), str(machine.proc), str(machine.sys))


def test_a_knob_is_read_again_when_it_was_written_to_and_now_and_then(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = machine.cgroup("pod")
    with node_of(machine) as node:
        node.observe()
        counted = Counted(monkeypatch)
        for _ in range(EVERY):
            node.observe()
        assert counted.of("pod/memory.stat") == EVERY
        assert counted.of("pod/memory.high") == 1
        (pod / "memory.high").write_text("1048576\n")
        assert node.observe().cgroups["pod"].memory_high == 1048576


def test_without_watches_everything_is_read(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = machine.cgroup("pod")
    monkeypatch.setattr(Notices, "arm", lambda self, directory: 0)
    with node_of(machine) as node:
        node.observe()
        counted = Counted(monkeypatch)
        node.observe()
        assert counted.of("pod/memory.high") == 1
        (pod / "memory.peak").write_text("123\n")
        assert node.observe().cgroups["pod"].memory_peak == 123


def test_inside_a_pod_pressure_and_disks_are_read_now_and_then(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("pod", "pod/main"):
        machine.cgroup(path)
    with node_of(machine) as node:
        node.observe()
        node.watch(["pod"])
        counted = Counted(monkeypatch)
        for _ in range(EVERY):
            node.observe()
    assert counted.of("pod/memory.pressure") == counted.of("pod/io.stat") == EVERY
    assert counted.of("main/memory.stat") == counted.of("main/memory.current") == EVERY
    assert counted.of("main/memory.pressure") == counted.of("main/io.stat") == 1
