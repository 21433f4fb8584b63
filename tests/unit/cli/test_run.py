from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from memqos.cli import exits
from memqos.model.plan import Outcome, Write


def test_run_says_so_when_the_kubelets_pods_cannot_be_read(run, tmp_path: Path) -> None:
    missing = tmp_path / "pods.json"
    status, _, errors = run("run", "--kubelet-pods", str(missing), "--state", str(tmp_path / "s"))
    assert (status, str(missing) in errors) == (2, True)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("option", ["--seconds", "--interval", "--grace"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e30"])
def test_a_time_that_is_none_is_wrong_usage(run, manifest: Path, option: str, value: str) -> None:
    status, _, err = run("run", "--pods", manifest, option, value)
    assert status == exits.BAD_INPUT
    assert f"Invalid value for '{option}'" in err


def test_a_machine_without_cgroup_v2_is_told_before_the_agent_protects_itself(
    run, manifest: Path, tmp_path: Path
) -> None:
    status, out, err = run(
        "run", "--cgroup-root", tmp_path / "no", "--pods", manifest, "--state", tmp_path / "s"
    )
    assert (status, out) == (exits.CANNOT_HERE, "")
    assert err.count("\n") == 1


def test_run_ends_at_once_where_it_may_write_nothing(
    run, tree: Path, kubelet_pods: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", tmp_path / "s"]
    status, out, err = run("run", *arguments, "--seconds", "0")
    assert (status, out) == (exits.CANNOT_HERE, "")
    assert err == f"memqos: this process may not write to the cgroups below {tree}; run as root\n"
    assert run("run", *arguments, "--seconds", "0", "--dry-run")[0] == exits.OK


def test_run_manages_without_a_journal_where_there_can_be_none(
    run, tree: Path, kubelet_pods: Path, tmp_path: Path
) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "journal").touch()
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", tmp_path / "s"]
    status, out, _ = run("run", *arguments, "--seconds", "0", "--json")
    report = json.loads(out)
    assert status == exits.OK
    assert report["ticks"] > 0
    assert any("it keeps no journal: " in each["problem"] for each in report["advice"])


def test_what_cannot_be_put_back_is_named_with_the_command_that_tries_again(
    run, tree: Path, kubelet_pods: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Outcome(Write("kubepods", "memory.low", 0, "it held 0 B"), "failed", error="Read-only file system")
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", tmp_path / "s"]
    status, out, err = run("run", *arguments, "--seconds", "0")
    assert (status, err) == (exits.OK, "")
    assert out.endswith("2 values were put back\n")
    monkeypatch.setattr("memqos.agent.loop.restore", lambda node, originals: (left,))
    status, out, err = run("run", *arguments, "--seconds", "0")
    assert status == exits.NODE_REFUSED
    assert "Not put back:" in out
    assert "Read-only file system" in out
    assert err.endswith(f"memqos restore --state {tmp_path}/s\n")
