"""`memqos run` on a real kernel, as a user starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")
# Not faster than the disk: memcg reclaim does not wait for swap pages under writeback, so on a slow
# disk a program that outruns it is killed with swap to spare (seen on 6.12: 29 of 64 MiB in flight).
EAT = """
import time
m = bytearray(96 << 20)
for start in range(0, len(m), 1 << 20):
    for page in range(start, start + (1 << 20), 4096):
        m[page] = 1 + page % 251
    time.sleep(0.03)
"""

PODS = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  restartPolicy: Never
  containers:
    - name: main
      command: {command}
      resources: {{requests: {{memory: 48Mi}}, limits: {{memory: 64Mi}}}}
"""

POLICY = """
apiVersion: memqos.dev/v1alpha1
kind: MemoryPolicy
spec:
  swap: {mode: PodChoice, maximumPerPod: 128Mi, reserve: 0}
"""


def write(directory: Path, name: str, command: list[str], annotations: str = "") -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(PODS.format(name=name, command=json.dumps(command), annotations=annotations))
    return path


def memqos(*arguments: str | Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "memqos", *map(str, arguments)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], status: int = 0) -> Any:
    out, err = process.communicate(timeout=240)
    assert process.returncode == status, err
    return json.loads(out)


def until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_pod_whose_user_chose_swap_outlives_its_limit(tmp_path: Path):
    eat = [sys.executable, "-S", "-c", EAT]
    choice = 'memqos.dev/swap-limit: "64Mi"'
    pods = [write(tmp_path, "without", eat), write(tmp_path, "with", eat, choice)]
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    arguments = [each for path in pods for each in ("--pods", path)]
    document = ended(
        memqos("run", *arguments, "--policy", policy, "--state", tmp_path / "s", "--until-done", "--json")
    )
    by_pod = {each["pod"]: each for each in document["containers"]}
    assert by_pod["default/without"]["reason"] == "OOMKilled"
    assert by_pod["default/without"]["exit_code"] == 137
    assert by_pod["default/with"]["reason"] == "Completed"
    assert any("memqos.dev/swap-limit" in each["why"] for each in document["writes"])
    assert not (CGROUP / "kubepods").exists()


def test_sigterm_ends_the_agent_within_a_second_and_takes_its_pods_away(tmp_path: Path):
    pod = write(tmp_path, "sleeper", ["sleep", "600"])
    agent = memqos("run", "--pods", pod, "--state", tmp_path / "s", "--grace", "0", "--json")
    until(lambda: list(CGROUP.glob("kubepods/*/*/main/memory.max")))
    time.sleep(2)
    agent.send_signal(signal.SIGTERM)
    began = time.monotonic()
    document = ended(agent)
    seconds = time.monotonic() - began
    took = f"restored {document['ended_in_us']} us after SIGTERM, all gone after {seconds:.2f} s"
    Path(os.environ["MEMQOS_OUT"], "sigterm.txt").write_text(took + "\n")
    # fifty times what it takes; the rest is the interpreter's own end
    assert document["ended_in_us"] < 1_000_000, took
    assert not (CGROUP / "kubepods").exists()


def test_a_second_signal_ends_the_grace_period_of_pods_that_do_not_heed_the_first(tmp_path: Path):
    pod = write(tmp_path, "deaf", ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.2; done"])
    agent = memqos("run", "--pods", pod, "--state", tmp_path / "s", "--grace", "600", "--json")
    until(lambda: [log for log in tmp_path.glob("s/logs/*/main/0.log") if log.read_text()])
    agent.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert agent.poll() is None
    agent.send_signal(signal.SIGTERM)
    out, said = agent.communicate(timeout=240)
    assert agent.returncode == 0, said
    assert "default/deaf/main: exited Error, exit code 137" in said
    (container,) = json.loads(out)["containers"]  # as it was when the agent was told to end
    assert container["state"] == "running"
    assert not (CGROUP / "kubepods").exists()


def test_what_a_killed_agent_changed_is_restored_by_command(tmp_path: Path):
    uid = "6c1a4e95-6bb6-11e6-bc26-28d2444e470d"
    leaf = CGROUP / f"kubepods/burstable/pod{uid}"
    for directory in (CGROUP / "kubepods", CGROUP / "kubepods/burstable", leaf):
        directory.mkdir()
        if directory != leaf:
            (directory / "cgroup.subtree_control").write_text("+memory")
    (leaf / "memory.swap.max").write_text("12288")
    try:
        pods = {"kind": "PodList", "apiVersion": "v1", "items": [_pod(uid)]}
        (tmp_path / "pods.json").write_text(json.dumps(pods))
        (tmp_path / "policy.yaml").write_text(POLICY)
        agent = memqos(
            "run",
            "--kubelet-pods",
            tmp_path / "pods.json",
            "--policy",
            tmp_path / "policy.yaml",
            "--state",
            tmp_path / "s",
        )
        until(lambda: (leaf / "memory.swap.max").read_text() == f"{32 << 20}\n")
        agent.kill()
        agent.communicate()
        assert (leaf / "memory.swap.max").read_text() == f"{32 << 20}\n"
        ended(memqos("restore", "--state", tmp_path / "s", "--json"))
        assert (leaf / "memory.swap.max").read_text() == "12288\n"
    finally:
        for directory in (leaf, leaf.parent, leaf.parent.parent):
            directory.rmdir()


def _pod(uid: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "default",
            "uid": uid,
            "annotations": {"memqos.dev/swap-limit": "32Mi"},
        },
        "spec": {"containers": [{"name": "main", "resources": {"requests": {"memory": "32Mi"}}}]},
        "status": {"phase": "Running", "qosClass": "Burstable"},
    }
