"""The pod runner on a real kernel: born in the cgroup, limited, killed, restarted, cleaned away."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memqos.agent.evict import RunnerEvictor
from memqos.errors import LockHeld
from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.linux.runner import ContainerEvent, KubeletRules, PodRunner, spawn
from memqos.linux.runner.spawn import Launch
from memqos.model.plan import Eviction
from memqos.model.pods import Container, Pod, Resources
from memqos.units import GIB, MIB, parse_quantity

ROOT = Path("/sys/fs/cgroup")
PYTHON = sys.executable
RULES = KubeletRules(KubeletConfig(), NodeCapacity(GIB, GIB // 4, cpus=2))

# a static-looking probe: says where it is and what it is before it does anything else
WHERE = "cat /proc/self/cgroup /proc/self/oom_score_adj"
EAT = "import mmap,sys; m = mmap.mmap(-1, {size}); [m.write(b'x' * 4096) for _ in range({size} // 4096)]"


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[PodRunner]:
    runner = PodRunner(RULES, tmp_path / "logs", scale=0.01)
    yield runner
    if (ROOT / "kubepods").exists():
        runner.stop(grace=0)


def a_pod(*command: str, name: str = "p", limit: str = "32Mi", **fields: Any) -> Pod:
    resources = Resources({"memory": parse_quantity("16Mi")}, {"memory": parse_quantity(limit)})
    container = Container("main", resources, command=command)
    defaults = {"namespace": "default", "name": name, "uid": name, "containers": (container,)}
    return Pod(**defaults | {"restart_policy": "Never"} | fields)


def until(
    runner: PodRunner, done: Callable[[ContainerEvent], bool], seconds: float = 60
) -> list[ContainerEvent]:
    events: list[ContainerEvent] = []
    deadline = time.monotonic() + seconds
    while not any(map(done, events)):
        assert time.monotonic() < deadline, events
        events += runner.poll()
        runner.wait(0.1)
    return events


def run(runner: PodRunner, pod: Pod) -> ContainerEvent:
    runner.create(pod)
    runner.start(pod.uid)
    return until(runner, lambda event: event.kind in ("exited", "failed"))[-1]


def log_of(runner: PodRunner, pod: Pod, restart: int = 0) -> str:
    folder = runner.logs / f"{pod.namespace}_{pod.name}_{pod.uid}"
    return (folder / "main" / f"{restart}.log").read_text()


def test_the_kubelets_values_are_in_the_kernel(runner: PodRunner):
    placed = runner.create(a_pod("sleep", "9"))
    held = {
        (path, knob): (ROOT / path / knob).read_text().strip()
        for path in ("kubepods", str(placed.cgroup), placed.containers["main"])
        for knob in ("memory.max", "memory.swap.max", "memory.oom.group", "memory.low")
    }
    assert held["kubepods", "memory.max"] == str(GIB)
    assert held[str(placed.cgroup), "memory.max"] == str(32 * MIB)
    assert held[placed.containers["main"], "memory.max"] == str(32 * MIB)
    assert held[placed.containers["main"], "memory.swap.max"] == "0"
    assert held[placed.containers["main"], "memory.oom.group"] == "1"
    assert (ROOT / placed.containers["main"] / "io.stat").exists()


def test_the_processor_is_shared_by_requests_and_bounded_by_limits(runner: PodRunner):
    half, whole = parse_quantity("500m"), parse_quantity(1)
    placed = runner.create(
        a_pod(containers=(Container("main", Resources({"cpu": half}, {"cpu": whole}), command=("sleep",)),))
    )
    main = placed.containers["main"]
    weights = [
        int((ROOT / path / "cpu.weight").read_text()) for path in ("kubepods", placed.cgroup or "", main)
    ]
    assert weights == [79, 20, 59]
    assert (ROOT / main / "cpu.max").read_text() == "100000 100000\n"


def test_a_program_finds_itself_in_its_cgroup_with_its_adjustment(runner: PodRunner):
    pod = a_pod("sh", "-c", WHERE)
    assert run(runner, pod).kind == "exited"
    assert log_of(runner, pod) == "0::/kubepods/burstable/podp/main\n985\n"


@pytest.mark.parametrize("way", ["clone3", "fork"])
def test_not_a_page_of_a_program_is_charged_outside(
    runner: PodRunner, way: str, monkeypatch: pytest.MonkeyPatch
):
    ways = []
    born = spawn._clone_into

    def clone_into(cgroup: int) -> tuple[int, int] | None:
        ways.append(way)
        return born(cgroup) if way == "clone3" else None

    monkeypatch.setattr(spawn, "_clone_into", clone_into)
    # 24 MiB are touched and held; had they been charged outside, the container would not show them
    pod = a_pod(PYTHON, "-S", "-c", EAT.format(size=24 * MIB) + "; import time; time.sleep(60)", limit="64Mi")
    placed = runner.create(pod)
    before = int((ROOT / "memory.stat").read_text().split()[1])
    runner.start(pod.uid)
    runner.poll()
    (status,) = runner.statuses()
    assert Path(f"/proc/{status.pid}/cgroup").read_text() == f"0::/{placed.containers['main']}\n"
    current = ROOT / placed.containers["main"] / "memory.current"
    deadline = time.monotonic() + 60
    while int(current.read_text()) < 24 * MIB:
        assert time.monotonic() < deadline, (ways, current.read_text(), before)
        time.sleep(0.1)
    rss = sum(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{status.pid}/status").read_text().splitlines()
        if line.startswith("RssAnon")
    )
    anon = int((ROOT / placed.containers["main"] / "memory.stat").read_text().split()[1])
    assert ways == [way]
    assert anon >= rss - MIB // 2, (anon, rss)


def test_clone3_is_what_is_used_while_there_is_one_thread(tmp_path: Path):
    assert threading.active_count() == 1
    cgroup = ROOT / "clone-test"
    cgroup.mkdir()
    descriptor = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        born = spawn._clone_into(descriptor)
        assert born is not None, f"clone3 refused: errno {ctypes.get_errno()}"
        pid, pidfd = born
        if pid == 0:
            os._exit(int(Path("/proc/self/cgroup").read_text() != "0::/clone-test\n"))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(pidfd)
    finally:
        os.close(descriptor)
        cgroup.rmdir()


def test_a_program_beyond_its_limit_is_oom_killed_and_said_to_be(runner: PodRunner):
    event = run(runner, a_pod(PYTHON, "-S", "-c", EAT.format(size=64 * MIB)))
    assert event.termination is not None
    assert (event.termination.exit_code, event.termination.reason) == (137, "OOMKilled")
    assert event.termination.oom_kills == 1


def test_the_same_program_lives_when_swap_is_written_between_create_and_start(runner: PodRunner):
    pod = a_pod(PYTHON, "-S", "-c", EAT.format(size=64 * MIB))
    placed = runner.create(pod)
    (ROOT / placed.containers["main"] / "memory.swap.max").write_text("max")
    runner.start(pod.uid)
    event = until(runner, lambda event: event.kind == "exited")[-1]
    assert event.termination is not None
    assert (event.termination.exit_code, event.termination.reason) == (0, "Completed")


def test_a_killed_program_that_was_not_out_of_memory_is_an_error(runner: PodRunner):
    event = run(runner, a_pod("sh", "-c", "kill -9 $$$$"))
    assert event.termination is not None
    assert (event.termination.exit_code, event.termination.reason) == (137, "Error")


def test_a_restarted_container_gets_a_new_cgroup_with_the_same_limit(runner: PodRunner):
    pod = a_pod("sh", "-c", WHERE + "; exit 3", restart_policy="OnFailure")
    placed = runner.create(pod)
    first = (ROOT / placed.containers["main"]).stat().st_ino
    runner.start(pod.uid)
    events = until(runner, lambda event: event.kind == "started" and runner.statuses()[0].restarts == 2)
    assert "backoff" in [event.kind for event in events]
    assert (ROOT / placed.containers["main"]).stat().st_ino != first
    assert (ROOT / placed.containers["main"] / "memory.max").read_text() == f"{32 * MIB}\n"
    assert log_of(runner, pod, 1).startswith("0::/kubepods/burstable/podp/main\n")


def test_a_container_killed_on_purpose_ends_with_all_its_processes_and_is_started_again(runner: PodRunner):
    pod = a_pod("sh", "-c", "setsid sleep 1000 & sleep 1000", restart_policy="Always")
    placed = runner.create(pod)
    runner.start(pod.uid)
    until(runner, lambda event: event.kind == "started")
    procs = ROOT / placed.containers["main"] / "cgroup.procs"
    deadline = time.monotonic() + 60
    while len(first := procs.read_text().split()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    RunnerEvictor(runner).evict(Eviction(pod.uid, pod.key, "it leaks", container="main"))
    events = until(runner, lambda event: event.kind == "started")
    how = next(event.termination for event in events if event.termination is not None)
    assert (how.exit_code, how.reason, how.message) == (137, "Error", "memqos: it leaks")
    assert not set(first) & set(procs.read_text().split())


def test_what_a_program_leaves_behind_ends_with_it(runner: PodRunner):
    pod = a_pod("sh", "-c", "sleep 1000 & setsid sleep 1000 & exit 0")
    placed = runner.create(pod)
    runner.start(pod.uid)
    until(runner, lambda event: event.kind == "exited")
    deadline = time.monotonic() + 60
    while "populated 1" in (ROOT / placed.containers["main"] / "cgroup.events").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_ignores_sigterm_is_killed_and_nothing_is_left(runner: PodRunner):
    pod = a_pod("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    runner.create(pod)
    runner.start(pod.uid)
    runner.poll()
    time.sleep(1)
    events = runner.stop(grace=0.5)
    ended = next(event.termination for event in events if event.kind == "exited")
    assert ended is not None
    assert ended.exit_code == 137
    assert not (ROOT / "kubepods").exists()


def test_who_heeds_sigterm_is_not_killed(runner: PodRunner):
    pod = a_pod("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done")
    runner.create(pod)
    runner.start(pod.uid)
    runner.poll()
    time.sleep(1)
    ended = next(event.termination for event in runner.stop(grace=20) if event.kind == "exited")
    assert ended is not None
    assert ended.exit_code == 5


def test_a_program_of_a_threaded_process_lands_in_its_cgroup_too(runner: PodRunner):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        pod = a_pod("sh", "-c", WHERE)
        assert run(runner, pod).kind == "exited"
    finally:
        stop.set()
        thread.join()
    assert log_of(runner, pod).startswith("0::/kubepods/burstable/podp/main\n")


def test_a_tree_left_by_a_killed_runner_is_cleaned_and_a_living_ones_is_not(tmp_path: Path):
    script = """
import sys
from pathlib import Path
from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.linux.runner import KubeletRules, PodRunner
from memqos.model.pods import Container, Pod
runner = PodRunner(KubeletRules(KubeletConfig(), NodeCapacity(1 << 30)), Path(sys.argv[1]))
runner.create(Pod("default", "left", "left", (Container("main", command=("sleep", "1000")),)))
runner.start("left")
runner.poll()
print("up", flush=True)
sys.stdin.read()
"""
    other = subprocess.Popen(
        [PYTHON, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdin is not None
    try:
        assert other.stdout.readline() == b"up\n"
        with pytest.raises(LockHeld, match=f"process {other.pid}"):
            PodRunner(RULES, tmp_path)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
        other.stdin.close()
    assert (ROOT / "kubepods/besteffort/podleft/main/cgroup.procs").read_text()
    runner = PodRunner(RULES, tmp_path)
    assert not (ROOT / "kubepods/besteffort/podleft").exists()
    runner.stop()


def test_a_launch_into_a_cgroup_that_is_gone_is_a_reason(runner: PodRunner, tmp_path: Path):
    from memqos.linux.runner.command import Command
    from memqos.runner.world import NotStarted

    failed = spawn.spawn(
        Launch(Command("/bin/true", ("true",), {}, "/"), ROOT / "nowhere", 0, tmp_path / "log")
    )
    assert isinstance(failed, NotStarted)
    assert "nowhere" in failed.message
