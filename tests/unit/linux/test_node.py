from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from memqos.errors import Unsupported
from memqos.linux.node import LinuxNode
from memqos.model.snapshot import FEATURES, IoMax, IoStat
from memqos.node import Wake


def test_a_real_kernels_files_come_out_as_typed_values(machine: Any) -> None:
    machine.cgroup("pod")
    with machine.node() as node:
        snapshot = node.observe()
    pod = snapshot.cgroups["pod"]
    assert pod.inode == (machine.root / "pod").stat().st_ino
    assert pod.memory_current == int((machine.root / "pod/memory.current").read_text())
    assert pod.memory_stat is not None
    assert pod.memory_stat["anon"] > 0
    assert pod.io_max == {"254:0": IoMax(rbps=52428800, wiops=5000)}
    assert pod.io_stat is not None
    assert pod.io_stat["254:0"] == IoStat(107381760, 48926720, 458, 308, 0, 0)
    assert snapshot.boot_id == "7e3c"
    assert snapshot.node.meminfo["MemTotal"] == 749817856
    assert [swap.filename for swap in snapshot.node.swaps] == ["/dev/vdb"]
    assert snapshot.features <= FEATURES.keys()
    assert {
        "memory.reclaim",
        "memory.swap",
        "io.max",
        "psi",
        "swap",
        "mglru",
        "cgroup.kill",
    } <= snapshot.features


def test_an_unchanged_cgroup_is_the_same_object_and_a_changed_one_is_not(machine: Any) -> None:
    for path in ("a", "b"):
        machine.cgroup(path)
    with machine.node() as node:
        first = node.observe().cgroups
        (machine.root / "b/memory.current").write_text("8192\n")
        second = node.observe().cgroups
    assert second["a"] is first["a"]
    assert second["b"].memory_current == 8192
    assert first["b"].memory_current != 8192
    assert second["b"].memory_stat is first["b"].memory_stat


def test_a_file_that_outgrows_its_buffer_is_read_whole(machine: Any) -> None:
    machine.cgroup("a")
    line = "8:{} rbytes=1 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n"
    with machine.node() as node:
        node.observe()
        for disks in (3, 500, 2000):
            (machine.root / "a/io.stat").write_text("".join(line.format(i) for i in range(disks)))
            stat = node.observe().cgroups["a"].io_stat
            assert stat is not None
            assert len(stat) == disks


def test_a_missing_knob_is_none_and_not_tried_again(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.cgroup("a") / "memory.peak").unlink()
    with machine.node() as node:
        assert node.observe().cgroups["a"].memory_peak is None
        opened: list[Any] = []
        real = os.open
        monkeypatch.setattr(
            os, "open", lambda *args, **kwargs: (opened.append(args[0]), real(*args, **kwargs))[1]
        )
        assert node.observe().cgroups["a"].memory_peak is None
    assert [name for name in opened if "memory" in str(name)] == []


def test_a_controller_switched_on_later_brings_its_files(machine: Any) -> None:
    machine.cgroup("a")
    late = machine.cgroup("a/late")
    text = (late / "io.stat").read_text()
    (late / "io.stat").unlink()
    with machine.node() as node:
        assert node.observe().cgroups["a/late"].io_stat is None
        (late / "io.stat").write_text(text)
        (machine.root / "a/cgroup.subtree_control").write_text("memory io\n")
        assert node.observe().cgroups["a/late"].io_stat is not None


def test_a_controller_switched_off_takes_its_files(machine: Any, faulty: Any) -> None:
    directory = machine.cgroup("a")
    with machine.node() as node:
        assert node.observe().cgroups["a"].io_stat is not None
        (directory / "io.stat").unlink()
        faulty("a/io.stat", errno.ENODEV)
        found = node.observe().cgroups["a"]
    assert found.io_stat is None
    assert found.memory_stat is not None


def test_a_cgroup_that_vanishes_in_the_middle_is_left_out(machine: Any, faulty: Any) -> None:
    for path in ("a", "b", "c"):
        machine.cgroup(path)
    with machine.node() as node:
        node.observe()
        (machine.root / "cgroup.stat").write_text("nr_descendants 3\n")
        node.observe()
        shutil.rmtree(machine.root / "b")
        faulty("b/memory.stat", errno.ENODEV)
        assert list(node.observe().cgroups) == ["", "a", "c"]


def test_a_cgroup_reborn_unseen_is_found_by_its_dead_descriptors(machine: Any, faulty: Any) -> None:
    machine.cgroup("a")
    (machine.root / "cgroup.stat").write_text("nr_descendants 1\n")
    with machine.node() as node:
        first = node.observe().cgroups["a"]
        (machine.root / "a").rename(machine.root.parent / "old")
        (machine.cgroup("a") / "memory.current").write_text("4096\n")
        faulty("old/memory.stat", errno.ENODEV)
        second = node.observe().cgroups["a"]
    assert second.inode != first.inode
    assert second.memory_current == 4096


def test_the_tree_is_not_walked_while_the_kernel_counts_as_many_cgroups(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.cgroup("a")
    (machine.root / "cgroup.stat").write_text("nr_descendants 1\nnr_dying_descendants 0\n")
    with machine.node() as node:
        node.observe()
        walked: list[str] = []
        real = os.scandir
        monkeypatch.setattr(os, "scandir", lambda path: (walked.append(path), real(path))[1])
        node.observe()
        (machine.root / "cgroup.stat").write_text("nr_descendants 1\nnr_dying_descendants 7\n")
        node.observe()
        assert walked == []
        machine.cgroup("b")
        (machine.root / "cgroup.stat").write_text("nr_descendants 2\nnr_dying_descendants 0\n")
        assert "b" in node.observe().cgroups


def test_pressure_switched_off_and_on_again_goes_and_comes_back(machine: Any, faulty: Any) -> None:
    directory = machine.cgroup("a")
    texts = {name: (directory / name).read_bytes() for name in ("memory.pressure", "io.pressure")}
    with machine.node() as node:
        whole = node.observe().cgroups["a"]
        for name in texts:
            (directory / name).unlink()
            faulty(f"a/{name}", errno.ENODEV)
        (directory / "cgroup.pressure").write_text("0\n")
        off = node.observe().cgroups["a"]
        assert off == replace(whole, memory_pressure=None, io_pressure=None)
        for name, text in texts.items():
            (directory / name).write_bytes(text)
            faulty(f"a/{name}", 0)
        (directory / "cgroup.pressure").write_text("1\n")
        assert node.observe().cgroups["a"] == whole


@pytest.mark.parametrize("limit", [0, 30, 60])
def test_beyond_the_descriptor_limit_everything_is_still_read(machine: Any, limit: int) -> None:
    for path in ("a", "b", "b/c"):
        machine.cgroup(path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with machine.node(descriptors=limit) as node, machine.node() as free:
        for _ in range(3):
            (machine.root / "b/c/memory.current").write_text("4096\n")
            assert node.observe().cgroups == free.observe().cgroups
        shutil.rmtree(machine.root / "b/c")
        assert list(node.observe().cgroups) == ["", "a", "b"]
        assert node.kept_descriptors <= limit
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_cgroup_without_kept_descriptors_is_not_mixed_up_with_its_reborn_namesake(machine: Any) -> None:
    machine.cgroup("a")
    (machine.root / "cgroup.stat").write_text("nr_descendants 1\n")
    with machine.node(descriptors=0) as node:
        first = node.observe().cgroups["a"]
        (machine.root / "a").rename(machine.root.parent / "old")
        (machine.cgroup("a") / "memory.current").write_text("4096\n")
        second = node.observe().cgroups["a"]
    assert second.inode != first.inode
    assert second.memory_current == 4096


def test_no_descriptor_is_lost_over_births_and_deaths(machine: Any, faulty: Any) -> None:
    with machine.node() as node:
        node.observe()
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for turn in range(5):
            machine.cgroup("a")
            node.observe()
            faulty("a/memory.stat", errno.EACCES if turn % 2 else 0)
            assert len(node.observe().unread) == turn % 2
            shutil.rmtree(machine.root / "a")
            faulty("a/memory.stat", 0)
            node.observe()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_subtree_is_seen_with_its_ancestors_only(machine: Any) -> None:
    for path in ("kubepods", "kubepods/pod1", "system", "kubepods/pod1/c"):
        machine.cgroup(path)
    with machine.node(subtree="kubepods/pod1") as node:
        assert list(node.observe().cgroups) == ["", "kubepods", "kubepods/pod1", "kubepods/pod1/c"]


def test_a_subtree_that_is_not_there_yet_appears_when_it_is(machine: Any) -> None:
    with machine.node(subtree="kubepods") as node:
        assert list(node.observe().cgroups) == [""]
        machine.cgroup("kubepods/pod1")
        assert list(node.observe().cgroups)[:2] == ["", "kubepods"]


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        (["unified", "memory"], "is a hybrid of cgroup v1 and v2"),
        (["memory"], "is cgroup v1"),
        ([], "is not a cgroup v2 hierarchy"),
    ],
)
def test_a_machine_without_cgroup_v2_gets_one_sentence_with_the_remedy(
    tmp_path: Path, folders: list[str], text: str
) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(Unsupported, match=f"{text}.*; (boot|mount)"):
        LinuxNode(str(tmp_path))


def test_cgroup_v2_without_the_memory_controller_says_so(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu io\n")
    with pytest.raises(Unsupported, match="without the memory controller; boot"):
        LinuxNode(str(tmp_path))


def test_the_first_look_walks_the_tree_whatever_the_kernel_counts(machine: Any) -> None:
    (machine.root / "cgroup.stat").write_text("nr_descendants 0\nnr_dying_descendants 0\n")
    with machine.node() as node:
        assert list(node.observe().cgroups) == [""]


@pytest.mark.parametrize(
    ("took", "quiet"),
    [
        (0.0, 0.2),  # what the caller asks for
        (0.1, 0.4),  # four times what was taken of a processor
        (3.0, 0.5),  # but pressure is never unheard for longer than that
    ],
)
def test_pressure_is_unheard_as_long_as_looking_at_it_costs_others(
    machine: Any, monkeypatch: pytest.MonkeyPatch, took: float, quiet: float
) -> None:
    heard: list[float] = []
    with LinuxNode(str(machine.root), str(machine.proc), str(machine.sys)) as node:

        def wait(seconds: float, also: object, quiet: float) -> Wake:
            heard.append(quiet)
            return Wake("timeout")

        monkeypatch.setattr(node._pressed, "wait", wait)
        monkeypatch.setattr(time, "process_time", lambda: 10.0)
        node.wait(1.0, 0.2)
        monkeypatch.setattr(time, "process_time", lambda: 10.0 + took)
        node.wait(1.0, 0.2)
    assert heard == [0.0, pytest.approx(quiet)]
