"""What goes wrong around an agent: another agent, and disks that are full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CGROUP = Path("/sys/fs/cgroup")
UID = "6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
POD = CGROUP / f"kubepods/burstable/pod{UID}"
KNOB = POD / "memory.swap.max"

POLICY = """
apiVersion: memqos.dev/v1alpha1
kind: MemoryPolicy
spec: {swap: {maximumPerPod: 128Mi, reserve: 0}}
"""


def memqos(*arguments: str | Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "memqos", *map(str, arguments)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def manage(tmp_path: Path) -> Iterator[list[str]]:
    """Give the arguments that manage one pod, of which the user chose 32 MiB of swap."""
    for directory in (POD.parent.parent, POD.parent, POD):
        directory.mkdir()
        if directory != POD:
            (directory / "cgroup.subtree_control").write_text("+memory")
    resources = {"requests": {"memory": "32Mi"}}
    pod = {
        "metadata": {
            "name": "p",
            "namespace": "default",
            "uid": UID,
            "annotations": {"memqos.dev/swap-limit": "32Mi"},
        },
        "spec": {"containers": [{"name": "main", "resources": resources}]},
        "status": {"phase": "Running", "qosClass": "Burstable"},
    }
    listed = {"kind": "PodList", "apiVersion": "v1", "items": [pod]}
    (tmp_path / "pods.json").write_text(json.dumps(listed))
    (tmp_path / "policy.yaml").write_text(POLICY)
    yield [
        "run",
        "--kubelet-pods",
        str(tmp_path / "pods.json"),
        "--policy",
        str(tmp_path / "policy.yaml"),
        "--json",
    ]
    for directory in (POD, POD.parent, POD.parent.parent):
        directory.rmdir()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """Give a directory of a file system without a byte of room."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=32", "small", str(small)], check=True)
    filled = subprocess.run(["dd", "if=/dev/zero", f"of={small / 'ballast'}", "bs=4096"], check=False)
    assert filled.returncode != 0
    assert os.statvfs(small).f_bfree == 0
    yield small
    subprocess.run(["umount", str(small)], check=True)


def test_a_second_agent_ends_with_a_clear_line_and_touches_nothing(tmp_path: Path, manage: list[str]) -> None:
    first = memqos(*manage, "--state", tmp_path / "s")
    try:
        deadline = time.monotonic() + 60
        while KNOB.read_text() != f"{32 << 20}\n":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        second = memqos(*manage, "--state", tmp_path / "s")
        out, error = second.communicate(timeout=60)
        assert second.returncode == 4
        assert out == ""
        assert error.startswith(f"memqos: another agent manages this node (pid {first.pid}, since ")
        assert error.count("\n") == 1
        assert KNOB.read_text() == f"{32 << 20}\n"
    finally:
        first.terminate()
        first.communicate(timeout=60)
    assert KNOB.read_text() == "max\n"


def session(*arguments: str | Path) -> Any:
    agent = memqos(*arguments, "--seconds", "3", "--interval", "0.5")
    out, error = agent.communicate(timeout=120)
    assert agent.returncode == 0, error
    return json.loads(out)


def test_an_agent_whose_journal_has_no_room_goes_on(tmp_path: Path, full: Path, manage: list[str]) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/journal").symlink_to(full)
    document = session(*manage, "--state", tmp_path / "s")
    assert document["ticks"] >= 2
    assert document["ticks_not_recorded"] == document["ticks"]
    assert ("memory.swap.max", "written") in [(each["knob"], each["status"]) for each in document["writes"]]
    assert [(each["knob"], each["status"]) for each in document["restored"]] == [
        ("memory.swap.max", "written")
    ]


def test_an_agent_that_cannot_remember_originals_writes_nothing_and_goes_on(
    full: Path, manage: list[str]
) -> None:
    document = session(*manage, "--state", full)
    assert document["ticks"] >= 2
    assert {each["status"] for each in document["writes"]} == {"failed"}
    assert all("cannot be kept on disk" in each["why"] for each in document["writes"])
    assert KNOB.read_text() == "max\n"
