"""What is not seen for want of permission or of a form that is known, and how that is said."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from msgspec.structs import replace

from memqos.errors import Refused, Unreadable
from memqos.linux.observed import OBSERVED
from memqos.linux.unread import SHOWN
from memqos.model.snapshot import Cgroup


@pytest.mark.parametrize("limit", [0, 1000])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EBUSY, errno.EIO])
def test_a_refused_file_counts_as_not_there_and_is_named_until_it_reads_again(
    machine: Any, faulty: Any, number: int, limit: int
) -> None:
    machine.cgroup("a")
    with machine.node(descriptors=limit) as node:
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
    with machine.node() as node:
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
    with machine.node() as node:
        assert node.observe().unread == (
            "a: memory.peak: '12 pages' is not a number (and in 2 more cgroups)",
        )


def test_many_new_forms_are_counted_and_the_rest_of_the_node_is_seen(machine: Any) -> None:
    directory = machine.cgroup("a")
    for name in OBSERVED.values():
        (directory / name).write_text("?\n")
    with machine.node() as node:
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

    with machine.node() as node:
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

    with machine.node() as node:
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
    with machine.node() as node:
        found = node.observe()
        assert found.node.swaps == ()
        assert found.unread == (f"{machine.proc}/swaps: 'new form' is not the header",)
        assert found.node.zones
        (machine.proc / "meminfo").write_text("new form\n")
        with pytest.raises(Unreadable, match="meminfo"):
            node.observe()
