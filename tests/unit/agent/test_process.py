"""The agent as a process of its own, over a tree of plain files that looks like cgroup v2."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import memqos
from memqos.agent.originals import Originals
from memqos.agent.restore import restore
from memqos.linux.node import LinuxNode

PROGRAM = """
import sys
from pathlib import Path
from memqos.agent.journal import Journal
from memqos.agent.lock import Lock
from memqos.agent.loop import Agent
from memqos.agent.originals import Originals
from memqos.linux.node import LinuxNode
from memqos.model.plan import Plan, Write

class Hold:
    name = "hold"
    def initial(self): return None
    def decide(self, memory, view):
        return None, Plan((Write("pod", "memory.max", 1 << 30, "held", "hold"),))

where = Path(sys.argv[1])
with Lock(where / "state"), LinuxNode(*(str(where / part) for part in ("cgroup", "proc", "sys"))) as node:
    originals = Originals(where / "state", node.observe().boot_id)
    with Journal(where / "journal") as journal:
        agent = Agent(node, (Hold(),), lambda _: (), originals, journal=journal)
        agent.settings = type(agent.settings)(interval_seconds=60)
        agent.run()
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Make a node of one cgroup, `pod`."""
    stat, limits = "anon 4096\nfile 0\n", {"memory.max": "max\n", "memory.current": "4096\n"}
    (tmp_path / "cgroup/pod").mkdir(parents=True)
    (tmp_path / "cgroup/cgroup.controllers").write_text("memory\n")
    (tmp_path / "cgroup/memory.stat").write_text(stat)
    for knob, text in {"cgroup.controllers": "memory\n", "memory.stat": stat, **limits}.items():
        (tmp_path / "cgroup/pod" / knob).write_text(text)
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("this-boot\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1024000 kB\n")
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 128000\n")
    (tmp_path / "sys").mkdir()
    return tmp_path


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(memqos.__file__).parents[1])}


def knob(world: Path) -> str:
    return (world / "cgroup/pod/memory.max").read_text().strip()


def start(world: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(world)], stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    deadline = time.monotonic() + 60  # a plain file is empty before it is written anew
    while knob(world) in ("max", "") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_sigterm_ends_the_agent_in_the_middle_of_its_wait_and_the_limits_are_back(world: Path) -> None:
    process = start(world)
    assert knob(world) == "1073741824"
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < 50  # its wait is a minute
    assert (process.returncode, errors) == (0, b"")
    assert knob(world) == "max"


def test_after_kill_9_a_restore_brings_the_limits_back(world: Path) -> None:
    process = start(world)
    process.kill()
    process.communicate(timeout=60)
    assert knob(world) == "1073741824"
    with LinuxNode(*(str(world / part) for part in ("cgroup", "proc", "sys"))) as node:
        outcomes = restore(node, Originals(world / "state", node.observe().boot_id))
    assert [outcome.status for outcome in outcomes] == ["written"]
    assert knob(world) == "max"


def test_a_second_agent_ends_at_once_and_touches_nothing(world: Path) -> None:
    first = start(world)
    second = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(world)], capture_output=True, timeout=60, env=ENVIRONMENT
    )
    assert second.returncode == 1
    assert f"another agent manages this node (pid {first.pid}, since".encode() in second.stderr
    assert knob(world) == "1073741824"
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert knob(world) == "max"
