"""The agent's own protection on a real kernel: taken, undone, and what it is good for."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from memqos.units import MIB

ROOT = Path("/sys/fs/cgroup")
OWN = ROOT / "memqos.slice"
POLICY = """
apiVersion: memqos.dev/v1alpha1
kind: MemoryPolicy
spec:
  agent: {{intervalSeconds: 0.5, protectItself: {protect}}}
"""


def shared() -> Any:
    """`benchmarks/shared.py`: how benchmarks start pods, and what thrashes a node."""
    file = Path(__file__).resolve().parents[2] / "benchmarks/shared.py"
    spec = importlib.util.spec_from_file_location("benchmarks_shared", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHARED = shared()
STREAM = "while :; do cat {file} > /dev/null; done"


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _end_all() -> Iterator[None]:
    yield
    for agent in STARTED:
        if agent.poll() is None:
            agent.send_signal(signal.SIGTERM)
            agent.wait(240)
    STARTED.clear()


def start(where: Path, protect: bool, commands: dict[str, list[str]]) -> subprocess.Popen[str]:
    where.mkdir()
    pods = {name: SHARED.manifest(name, command) for name, command in commands.items()}
    agent: subprocess.Popen[str] = SHARED.memqos_run(where, POLICY.format(protect=str(protect).lower()), pods)
    STARTED.append(agent)
    return agent


def until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def status(pid: int, key: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{key}:")[2].split()[0])


def test_a_session_is_sheltered_while_it_lasts(tmp_path: Path) -> None:
    before = Path("/proc/self/cgroup").read_text()
    agent = start(tmp_path / "a", True, {"idle": ["sleep", "600"]})
    until(lambda: list(ROOT.glob("kubepods/*/*/main/cgroup.procs")))
    until(lambda: status(agent.pid, "VmLck") > 0)
    assert Path(f"/proc/{agent.pid}/cgroup").read_text() == "0::/memqos.slice\n"
    assert Path(f"/proc/{agent.pid}/oom_score_adj").read_text() == "-999\n"
    assert status(agent.pid, "VmLck") > 10_000  # kB: all that is mapped
    assert int((OWN / "memory.min").read_text()) > status(agent.pid, "VmRSS") * 1024
    (pod,) = ROOT.glob("kubepods/*/*/main")
    until(lambda: (pod / "cgroup.procs").read_text())
    program = (pod / "cgroup.procs").read_text().split()[0]
    adjusted = Path(f"/proc/{program}/oom_score_adj")  # it is born with the agent's, and sets its own
    until(lambda: adjusted.read_text() == "1000\n")
    assert status(int(program), "VmLck") == 0
    told = f"VmRSS {status(agent.pid, 'VmRSS')} kB, VmLck {status(agent.pid, 'VmLck')} kB"
    Path(os.environ["MEMQOS_OUT"], "sheltered.txt").write_text(told + "\n")
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(120) == 0, (tmp_path / "a/said").read_text()
    report = json.loads((tmp_path / "a/report").read_text())
    assert [each for each in report["advice"] if each["policy"] == "agent"] == []
    assert not OWN.exists()
    assert Path("/proc/self/cgroup").read_text() == before


def test_what_a_killed_agent_leaves_is_harmless_and_goes_with_the_next(tmp_path: Path) -> None:
    agent = start(tmp_path / "a", True, {"idle": ["sleep", "600"]})
    until(lambda: list(ROOT.glob("kubepods/*/*/main/cgroup.procs")))
    agent.kill()
    agent.wait()
    until(lambda: (OWN / "cgroup.procs").read_text() == "")
    second = start(tmp_path / "b", True, {"idle": ["sleep", "600"]})
    journal = tmp_path / "b/s/journal"  # not its pods: the first one's live on
    until(lambda: journal.exists() and any(each.stat().st_size for each in journal.iterdir()))
    assert (OWN / "cgroup.procs").read_text()
    second.send_signal(signal.SIGTERM)
    second.wait(120)
    assert not OWN.exists()


def thrashed(where: Path, protect: bool, pods: dict[str, list[str]]) -> tuple[list[float], str]:
    """Watch an agent for 25 s from its third turn on; return the seconds between turns, and a sentence."""
    agent = start(where, protect, pods)
    ready = time.monotonic() + 120
    while not SHARED.looks(where) and time.monotonic() < ready and agent.poll() is None:
        time.sleep(1)
    faults, end = 0, time.monotonic() + 25
    while time.monotonic() < end and agent.poll() is None:
        faults = SHARED.major_faults(agent.pid)
        time.sleep(0.5)
    agent.send_signal(signal.SIGTERM)
    agent.wait(240)
    found = sorted(b - a for a, b in pairwise(SHARED.looks(where)))
    if not found:
        return found, f"{where.name}: fewer than four turns, {faults} major faults"
    return found, (
        f"{where.name}: {len(found)} turns, longest gap {found[-1]:.2f} s, "
        f"median {found[len(found) // 2]:.2f} s, {faults} major faults; it ended with {agent.returncode}: "
        f"{(where / 'said').read_text()[-1500:]}"
    )


def test_a_sheltered_agent_keeps_deciding_while_the_node_thrashes(tmp_path: Path) -> None:
    """The same node with the same neighbours twice: more memory than there is, swap and page cache.

    How an agent without a shelter fares is written beside it and judged by nobody: it may not turn at all.
    Nor is the longest gap: a host that has no processor for its guest makes one of any length.
    """
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    file = Path("/data/thrash")
    with file.open("wb") as written:
        for _ in range(100):
            written.write(os.urandom(MIB))
    hog = [sys.executable, "-S", "-c", SHARED.THRASH.format(size=total * 11 // 20)]
    pods = {"one": hog, "two": hog, "stream": ["sh", "-c", STREAM.format(file=file)]}
    _, bare = thrashed(tmp_path / "bare", False, pods)
    gaps, sheltered = thrashed(tmp_path / "sheltered", True, pods)
    file.unlink()
    Path(os.environ["MEMQOS_OUT"], "gaps.txt").write_text(f"{bare}\n{sheltered}\n")
    assert len(gaps) >= 10, sheltered
    assert gaps[len(gaps) // 2] < 2, sheltered  # four times its interval
