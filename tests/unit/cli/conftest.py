"""`memqos` as a user runs it, over a tree of plain files that looks like cgroup v2."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from memqos.cli import exits
from memqos.cli.main import main

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: ledger
  annotations: {memqos.dev/swap-limit: 64Mi}
spec:
  containers:
    - name: main
      command: [sleep, "1"]
      resources: {requests: {memory: 32Mi}, limits: {memory: 64Mi}}
"""


KNOBS = {
    "cgroup.controllers": "cpu io memory\n",
    "memory.current": "8388608\n",
    "memory.min": "0\n",
    "memory.low": "0\n",
    "memory.high": "max\n",
    "memory.max": "max\n",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 2\noom_kill 2\noom_group_kill 0\n",
    "memory.stat": "anon 4194304\nfile 4194304\nkernel 0\nshmem 1048576\nfile_dirty 4096\nfile_writeback 0\n",
    "memory.swap.current": "0\n",
    "memory.swap.max": "max\n",
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["memqos", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A node with one Burstable pod of one container."""
    pod = "kubepods/burstable/pod6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
    for path in ("", "kubepods", "kubepods/burstable", pod, f"{pod}/main"):
        directory = tmp_path / "cgroup" / path
        directory.mkdir()
        for name, text in KNOBS.items() if path else [("cgroup.controllers", "cpu io memory\n")]:
            (directory / name).write_text(text)
    return tmp_path / "cgroup"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    return path


@pytest.fixture
def kubelet_pods(tmp_path: Path) -> Path:
    """The pod of `tree`, as its kubelet reports it."""
    uid = "6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
    pod = {"metadata": {"name": "ledger", "uid": uid}, "spec": {"containers": [{"name": "main"}]}}
    path = tmp_path / "pods.json"
    path.write_text(json.dumps({"kind": "PodList", "items": [pod]}))
    return path


@pytest.fixture
def state(run, tree: Path, kubelet_pods: Path, tmp_path: Path) -> Path:
    """The state directory of an agent that ran once: the pod of `tree` chose nothing."""
    arguments = ["--cgroup-root", tree, "--kubelet-pods", kubelet_pods, "--state", tmp_path / "state"]
    assert run("run", *arguments, "--seconds", "0")[0] == exits.OK
    return tmp_path / "state"
