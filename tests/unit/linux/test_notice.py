from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from memqos.linux import reading
from memqos.linux.node import LinuxNode
from memqos.linux.notice import Notices
from memqos.linux.observed import EVERY


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

        monkeypatch.setattr(reading, "pread", pread)

    def of(self, ending: str) -> int:
        return sum(name.endswith(ending) for name in self.reads)


def test_a_knob_is_read_again_when_it_was_written_to_and_now_and_then(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = machine.cgroup("pod")
    with machine.node() as node:
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
    with machine.node() as node:
        node.observe()
        counted = Counted(monkeypatch)
        node.observe()
        assert counted.of("pod/memory.high") == 1
        (pod / "memory.peak").write_text("123\n")
        assert node.observe().cgroups["pod"].memory_peak == 123


@pytest.fixture
def pod_node(machine: Any) -> Any:
    for path in ("pod", "pod/main"):
        machine.cgroup(path)
    with machine.node() as node:
        node.observe()
        node.watch(["pod"])
        yield node


def use(machine: Any, size: int) -> None:
    """Have the container, and so its pod, hold so many bytes; by another name, so that no watch tells."""
    for path in ("pod", "pod/main"):
        file, other = machine.root / path / "memory.current", machine.root.parent / path.replace("/", "-")
        if not other.exists():
            other.hardlink_to(file)
        other.write_text(f"{size}\n")


def test_inside_a_pod_pressure_and_disks_are_read_now_and_then(
    machine: Any, pod_node: LinuxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    for look in range(EVERY):
        use(machine, 4096 * look)
        pod_node.observe()
    assert counted.of("pod/memory.pressure") == counted.of("pod/io.stat") == EVERY
    assert counted.of("main/memory.stat") == counted.of("main/memory.current") == EVERY
    assert counted.of("main/memory.pressure") == counted.of("main/io.stat") == 1


def test_with_a_knob_that_was_written_nothing_is_read_that_nobody_decides_by(
    machine: Any, pod_node: LinuxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    for look in range(1, EVERY + 1):
        (machine.root / "pod/main/memory.high").write_text(f"{4096 * look}\n")
        assert pod_node.observe().cgroups["pod/main"].memory_high == 4096 * look
    for name in ("memory.high", "memory.events", "memory.peak", "memory.stat"):
        assert counted.of(f"main/{name}") == EVERY
    for name in ("cpu.pressure", "memory.pressure"):
        assert counted.of(f"main/{name}") == 1


def test_lost_news_are_got_over_also_where_no_descriptor_may_be_kept(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = machine.cgroup("pod")
    told = iter([None])
    monkeypatch.setattr(Notices, "told", lambda self: next(told, frozenset()))
    with LinuxNode(str(machine.root), str(machine.proc), str(machine.sys), descriptors=0) as node:
        for size in (4096, 8192, 12288):
            (pod / "memory.current").write_text(f"{size}\n")
            assert node.observe().cgroups["pod"].memory_current == size


def test_what_moves_in_a_container_moves_its_pod_and_is_seen_at_once(
    machine: Any, pod_node: LinuxNode
) -> None:
    for look in range(2 * EVERY):
        use(machine, 4096 * look)
        assert pod_node.observe().cgroups["pod/main"].memory_current == 4096 * look


def test_a_container_of_a_pod_that_did_not_move_is_read_now_and_then(
    machine: Any, pod_node: LinuxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    for _ in range(EVERY):
        pod_node.observe()
    assert counted.of("main/memory.current") == counted.of("main/memory.stat") == 1


def test_a_knob_of_a_container_is_seen_at_once_though_its_pod_did_not_move(
    machine: Any, pod_node: LinuxNode
) -> None:
    for look in range(1, EVERY):
        (machine.root / "pod/main/memory.high").write_text(f"{4096 * look}\n")
        assert pod_node.observe().cgroups["pod/main"].memory_high == 4096 * look


def test_a_new_container_of_a_pod_that_did_not_move_is_there_at_once(
    machine: Any, pod_node: LinuxNode
) -> None:
    machine.cgroup("pod/late")
    assert "pod/late" in pod_node.observe().cgroups
