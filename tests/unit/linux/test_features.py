"""Whether this process may change anything here."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from memqos.errors import Unsupported
from memqos.linux.features import check_writable


def allow(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) in paths)


def test_a_tree_that_may_be_written_to_is_fine(tmp_path: Path) -> None:
    check_writable(str(tmp_path))


def test_a_cgroup_that_was_handed_to_this_process_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubepods").mkdir()
    allow(monkeypatch, tmp_path / "kubepods")
    check_writable(str(tmp_path))


def test_without_permission_the_remedy_is_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubepods").mkdir()
    allow(monkeypatch)
    with pytest.raises(Unsupported, match=r"may not write to the cgroups below .*; run as root"):
        check_writable(str(tmp_path))


def test_a_read_only_mount_is_no_matter_of_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(Unsupported, match=r"is mounted read-only; mount -o remount,rw "):
        check_writable(str(tmp_path))
