from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from memqos.errors import Busy, InvalidValue, NodeError, Refused, Unreadable, Unsupported
from memqos.linux.node import LinuxNode
from memqos.linux.observed import OBSERVED
from memqos.linux.unread import SHOWN
from memqos.model.plan import Reclaim, Write
from memqos.model.snapshot import FEATURES, Cgroup, IoMax, IoStat
from memqos.node import Wake
from memqos.units import MIB, UNLIMITED


def node_of(machine: Any, **options: Any) -> LinuxNode:
    return LinuxNode(str(machine.root), str(machine.proc), str(machine.sys), **options)


def test_a_real_kernels_files_come_out_as_typed_values(machine: Any) -> None:
    machine.cgroup("pod")
    with node_of(machine) as node:
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
    with node_of(machine) as node:
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
    with node_of(machine) as node:
        node.observe()
        for disks in (3, 500, 2000):
            (machine.root / "a/io.stat").write_text("".join(line.format(i) for i in range(disks)))
            stat = node.observe().cgroups["a"].io_stat
            assert stat is not None
            assert len(stat) == disks


def test_a_missing_knob_is_none_and_not_tried_again(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.cgroup("a") / "memory.peak").unlink()
    with node_of(machine) as node:
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
    with node_of(machine) as node:
        assert node.observe().cgroups["a/late"].io_stat is None
        (late / "io.stat").write_text(text)
        (machine.root / "a/cgroup.subtree_control").write_text("memory io\n")
        assert node.observe().cgroups["a/late"].io_stat is not None


def test_a_controller_switched_off_takes_its_files(machine: Any, faulty: Any) -> None:
    directory = machine.cgroup("a")
    with node_of(machine) as node:
        assert node.observe().cgroups["a"].io_stat is not None
        (directory / "io.stat").unlink()
        faulty("a/io.stat", errno.ENODEV)
        found = node.observe().cgroups["a"]
    assert found.io_stat is None
    assert found.memory_stat is not None


def test_a_cgroup_that_vanishes_in_the_middle_is_left_out(machine: Any, faulty: Any) -> None:
    for path in ("a", "b", "c"):
        machine.cgroup(path)
    with node_of(machine) as node:
        node.observe()
        (machine.root / "cgroup.stat").write_text("nr_descendants 3\n")
        node.observe()
        shutil.rmtree(machine.root / "b")
        faulty("b/memory.stat", errno.ENODEV)
        assert list(node.observe().cgroups) == ["", "a", "c"]


def test_a_cgroup_reborn_unseen_is_found_by_its_dead_descriptors(machine: Any, faulty: Any) -> None:
    machine.cgroup("a")
    (machine.root / "cgroup.stat").write_text("nr_descendants 1\n")
    with node_of(machine) as node:
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
    with node_of(machine) as node:
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


@pytest.mark.parametrize("limit", [0, 1000])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EBUSY, errno.EIO])
def test_a_refused_file_counts_as_not_there_and_is_named_until_it_reads_again(
    machine: Any, faulty: Any, number: int, limit: int
) -> None:
    machine.cgroup("a")
    with node_of(machine, descriptors=limit) as node:
        whole = node.observe()
        assert whole.unread == ()
        faulty("a/memory.stat", number)
        for _ in range(2):
            found = node.observe()
            assert found.unread == (f"a: memory.stat: {os.strerror(number)}",)
            assert found.cgroups["a"] == replace(whole.cgroups["a"], memory_stat=None)
        faulty("a/memory.stat", 0)
        mended = node.observe()
    assert (mended.cgroups, mended.unread) == (whole.cgroups, ())


def test_a_file_of_a_new_form_counts_as_not_there_and_is_named_until_it_reads_again(machine: Any) -> None:
    directory = machine.cgroup("a")
    with node_of(machine) as node:
        whole = node.observe()
        (directory / "memory.current").write_text("12 pages\n")
        for _ in range(2):
            found = node.observe()
            assert found.unread == (r"a: memory.current: '12 pages' is not a number",)
            assert found.cgroups["a"] == replace(whole.cgroups["a"], memory_current=None)
        (directory / "memory.current").write_text("12\n")
        mended = node.observe()
    assert (mended.cgroups["a"].memory_current, mended.unread) == (12, ())


def test_a_new_form_that_stands_in_every_cgroup_is_said_once(machine: Any) -> None:
    for path in ("a", "b", "b/c"):
        (machine.cgroup(path) / "memory.peak").write_text("12 pages\n")
    with node_of(machine) as node:
        assert node.observe().unread == (
            "a: memory.peak: '12 pages' is not a number (and in 2 more cgroups)",
        )


def test_many_new_forms_are_counted_and_the_rest_of_the_node_is_seen(machine: Any) -> None:
    directory = machine.cgroup("a")
    for name in OBSERVED.values():
        (directory / name).write_text("?\n")
    with node_of(machine) as node:
        found = node.observe()
    assert len(found.unread) == SHOWN + 1
    assert found.unread[-1] == f"and {len(OBSERVED) - SHOWN} more files"
    assert found.cgroups["a"] == Cgroup(path="a", inode=directory.stat().st_ino)
    assert found.cgroups[""].memory_stat is not None


def test_a_cgroup_whose_directory_is_refused_is_there_without_values(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inode = machine.cgroup("a").stat().st_ino
    real = os.open

    def refuse(path: str, *args: Any, **options: Any) -> int:
        if path == f"{machine.root}/a":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *args, **options)

    with node_of(machine) as node:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            for _ in range(2):
                found = node.observe()
                assert found.unread == ("a: Permission denied",)
                assert found.cgroups["a"] == Cgroup(path="a", inode=inode)
        assert node.observe().cgroups["a"].memory_stat is not None


def test_a_directory_that_cannot_be_listed_hides_only_what_is_below_it(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("a", "a/b", "c"):
        machine.cgroup(path)
    real = os.scandir

    def refusing(where: str) -> Any:
        def refuse(path: str) -> Any:
            if path == where:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return real(path)

        return refuse

    with node_of(machine) as node:
        monkeypatch.setattr(os, "scandir", refusing(f"{machine.root}/a"))
        found = node.observe()
        assert (list(found.cgroups), found.unread) == (["", "a", "c"], ("a: Permission denied",))
        monkeypatch.setattr(os, "scandir", refusing(str(machine.root)))
        with pytest.raises(Refused):
            node.observe()
        monkeypatch.setattr(os, "scandir", real)
        assert list(node.observe().cgroups) == ["", "a", "a/b", "c"]


def test_a_file_of_proc_that_does_not_read_is_named_but_meminfo_must_read(machine: Any) -> None:
    (machine.proc / "swaps").write_text("new form\n")
    with node_of(machine) as node:
        found = node.observe()
        assert found.node.swaps == ()
        assert found.unread == (f"{machine.proc}/swaps: 'new form' is not the header",)
        assert found.node.zones
        (machine.proc / "meminfo").write_text("new form\n")
        with pytest.raises(Unreadable, match="meminfo"):
            node.observe()


def test_pressure_switched_off_and_on_again_goes_and_comes_back(machine: Any, faulty: Any) -> None:
    directory = machine.cgroup("a")
    texts = {name: (directory / name).read_bytes() for name in ("memory.pressure", "io.pressure")}
    with node_of(machine) as node:
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
    with node_of(machine, descriptors=limit) as node, node_of(machine) as free:
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
    with node_of(machine, descriptors=0) as node:
        first = node.observe().cgroups["a"]
        (machine.root / "a").rename(machine.root.parent / "old")
        (machine.cgroup("a") / "memory.current").write_text("4096\n")
        second = node.observe().cgroups["a"]
    assert second.inode != first.inode
    assert second.memory_current == 4096


def test_no_descriptor_is_lost_over_births_and_deaths(machine: Any, faulty: Any) -> None:
    with node_of(machine) as node:
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
    with node_of(machine, subtree="kubepods/pod1") as node:
        assert list(node.observe().cgroups) == ["", "kubepods", "kubepods/pod1", "kubepods/pod1/c"]


def test_a_subtree_that_is_not_there_yet_appears_when_it_is(machine: Any) -> None:
    with node_of(machine, subtree="kubepods") as node:
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


def test_io_max_is_written_as_a_whole(machine: Any) -> None:
    machine.cgroup("a")
    with node_of(machine) as node:
        new = {"8:0": IoMax(wbps=1 << 20)}
        assert node.apply(Write("a", "io.max", new, "")) == new
        assert node.observe().cgroups["a"].io_max == new
        assert node.apply(Write("a", "io.max", {}, "")) == {}


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EACCES, Refused), (errno.EBUSY, Busy), (errno.EINVAL, InvalidValue)]
)
def test_a_refused_write_is_one_error_and_the_next_one_goes_on(
    machine: Any, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[NodeError]
) -> None:
    machine.cgroup("a")

    def refuse(fd: int, text: bytes) -> int:
        raise OSError(number, os.strerror(number))

    with node_of(machine) as node:
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
    with node_of(machine) as node:
        assert node.apply(Write("a", "memory.reclaim", Reclaim(10 * MIB, 60), "")) is None
    assert written == [b"4194304 swappiness=60\n"] * 2 + [b"2097152 swappiness=60\n"]


def test_an_order_of_nothing_is_still_given_and_one_of_bytes_is_too(
    machine: Any, written: list[bytes]
) -> None:
    machine.cgroup("a")
    with node_of(machine) as node:
        node.apply(Write("a", "memory.reclaim", Reclaim(0), ""))
        node.apply(Write("a", "memory.reclaim", 4 * MIB, ""))
    assert written == [b"0\n", b"4194304\n"]


def test_a_stop_ends_an_order_to_reclaim_at_its_next_piece_and_leaves_other_writes_alone(
    machine: Any, written: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.cgroup("a")
    with node_of(machine) as node:

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
        node_of(machine) as node,
        pytest.raises(NodeError, match=r"a: memory.max: this cgroup has no such file"),
    ):
        node.apply(Write("a", "memory.max", 4096, ""))
    assert not (machine.root / "a/memory.max").exists()


def test_the_first_look_walks_the_tree_whatever_the_kernel_counts(machine: Any) -> None:
    (machine.root / "cgroup.stat").write_text("nr_descendants 0\nnr_dying_descendants 0\n")
    with node_of(machine) as node:
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
