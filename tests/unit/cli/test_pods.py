from __future__ import annotations

import json
from pathlib import Path

from memqos.cli import exits


def test_pods_are_found_in_the_tree_alone(run, tree: Path) -> None:
    status, out, _ = run("pods", "--cgroup-root", tree, "--json")
    (pod,) = json.loads(out)["pods"]
    assert status == exits.OK
    assert pod["pod"] == "?/6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
    assert pod["qos"] == "Burstable"
    assert (pod["anon"], pod["shmem"], pod["file_clean"], pod["file_dirty"]) == (
        4 << 20,
        1 << 20,
        (3 << 20) - 4096,
        4096,
    )
    assert pod["oom_kills"] == 2


def test_pods_in_a_pipe_are_plain_text(run, tree: Path) -> None:
    _, out, _ = run("pods", "--cgroup-root", tree)
    assert "\x1b" not in out
    assert "Burstable" in out


def test_what_was_named_wrongly_is_told_before_the_node_is_looked_at(run, tmp_path: Path) -> None:
    status, _, err = run("pods", "--cgroup-root", tmp_path, "--kubelet-pods", tmp_path / "none.json")
    assert status == exits.BAD_INPUT
    assert err == f"memqos: {tmp_path}/none.json: cannot be read: No such file or directory\n"
