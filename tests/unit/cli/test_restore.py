from __future__ import annotations

import json
from pathlib import Path

from memqos.cli import exits


def test_restore_after_nothing_restores_nothing(run, tree: Path, tmp_path: Path) -> None:
    status, out, _ = run("restore", "--cgroup-root", tree, "--state", tmp_path / "state", "--json")
    assert (status, json.loads(out)) == (exits.OK, {"restored": []})


def test_restore_says_that_there_is_nothing_and_makes_no_directory(run, tree: Path, tmp_path: Path) -> None:
    state = tmp_path / "stat"
    status, _, err = run("restore", "--cgroup-root", tree, "--state", state)
    assert (status, state.exists()) == (exits.OK, False)
    assert f"nothing is remembered in {state}" in err


def test_restore_says_that_what_is_remembered_is_damaged(run, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "originals").write_text("hello\n")
    status, out, err = run("restore", "--cgroup-root", tree, "--state", tmp_path, "--json")
    assert (status, json.loads(out)) == (exits.NOT_HELD, {"restored": []})
    assert "1 records of" in err
    assert "originals are damaged" in err
