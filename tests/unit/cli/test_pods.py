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
