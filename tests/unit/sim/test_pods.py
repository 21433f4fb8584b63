from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from memqos.errors import ExperimentError
from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.model.pods import Container, Pod, Resources
from memqos.model.snapshot import Cgroup
from memqos.runner.rules import KubeletRules
from memqos.runner.status import ContainerStatus
from memqos.sim.files import Files
from memqos.sim.machine import SECOND, Machine
from memqos.sim.node import SimNode
from memqos.sim.pods import SimPods
from memqos.sim.profiles import PROFILES, profile
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import MIB, parse_quantity
from memqos.workload.result import Result
from memqos.workload.spec import (
    Action,
    Allocate,
    Free,
    MapFile,
    ReadFile,
    Repeat,
    Requests,
    Sleep,
    Touch,
    Workload,
    WriteFile,
)

NODE = NodeSpec(
    memory=96 * MIB,
    swap=96 * MIB,
    disks=(Disk("vda", 100 * MIB, 100 * MIB), Disk("vdb", 50 * MIB, 50 * MIB)),
    swap_disk="vdb",
)


def pod(name: str, command: str, limit: str = "", policy: str = "Never") -> Pod:
    limits = {"memory": parse_quantity(limit)} if limit else {}
    container = Container("main", Resources(limits=limits), command=tuple(command.split()))
    return Pod("default", name, f"uid-{name}", (container,), restart_policy=policy)


class Played:
    """One pod on one small node, for so many seconds or until it has ended."""

    def __init__(
        self,
        subject: Pod,
        seconds: float = 20,
        *,
        files: Mapping[str, int] | None = None,
        workload: tuple[Action | Repeat, ...] = (),
    ) -> None:
        self.machine = Machine(PROFILES["6.12"], NODE)
        rules = KubeletRules(KubeletConfig(fail_swap_on=False), NodeCapacity(NODE.memory, NODE.swap))
        self.node = SimNode(self.machine)
        workloads = {"w": Workload(workload)}
        runner = SimPods(self.node, rules, Files(self.machine, files or {}), workloads)
        placed = runner.create(subject)
        runner.start(subject.uid)
        end = round(seconds * SECOND)
        while self.machine.now < end and runner.pods()[0].phase not in ("Succeeded", "Failed"):
            runner.poll()
            runner.wait((end - self.machine.now) / SECOND)
        runner.poll()
        self.phase = runner.pods()[0].phase
        self.main: ContainerStatus = runner.statuses()[0]
        self.pod: Cgroup = self.node.observe().cgroups[placed.cgroup or ""]
        program = runner.logs[f"{subject.name}/main"][-1]
        self.results: list[Result] = program.members[0].results

    def moved(self, field: str) -> int:
        return sum(int(getattr(line, field)) for line in (self.pod.io_stat or {}).values())


def test_a_reader_below_its_limit_reads_its_file_once_more_than_memory_holds() -> None:
    seen = Played(pod("a", "cat /data/f /data/f", "8Mi"), files={"/data/f": 16 * MIB})
    assert seen.phase == "Succeeded"
    assert seen.moved("rbytes") == 32 * MIB
    assert seen.pod.memory_peak == 8 * MIB


def test_dd_stops_at_the_end_of_its_file_however_much_it_may_read() -> None:
    played = Played(pod("a", "dd if=/data/f of=/dev/null bs=1M count=40"), files={"/data/f": 8 * MIB})
    assert played.phase == "Succeeded"
    assert played.moved("rbytes") == 8 * MIB
    assert played.results[0].bytes_read == 8 * MIB


def anew(times: int) -> tuple[Action | Repeat, ...]:
    """Memory that is mapped and touched anew, and a file written anew in two sizes, so many times."""
    phases = (
        Allocate("heap", 16 * MIB),
        Touch("heap", write=True),
        Free("heap"),
        WriteFile("/data/log", 4 * MIB),
        WriteFile("/data/log", 5 * MIB),
        Sleep(2.0),
    )
    return (Repeat(phases, times=times),)


def test_what_is_mapped_and_written_anew_all_the_time_takes_no_more_memory_here(
    check: Callable[[Machine], None],
) -> None:
    few, many = (Played(pod("a", "memqos workload w"), 99, workload=anew(n)) for n in (3, 9))
    assert (few.phase, many.phase) == ("Succeeded", "Succeeded")
    assert many.machine.pages == few.machine.pages
    check(many.machine)
    # and each time it is the same work on fresh pages
    faults = [(seen.pod.memory_stat or {})["pgfault"] for seen in (few, many)]
    assert faults[1] - faults[0] >= 6 * 4096


def test_a_program_that_is_started_again_takes_no_more_memory_here() -> None:
    leak = (Allocate("heap", 16 * MIB), Touch("heap", write=True))
    short, long = (
        Played(pod("a", "memqos workload w", "4Mi", policy="Always"), seconds, workload=leak)
        for seconds in (15, 200)
    )
    assert long.main.restarts > short.main.restarts > 1
    assert long.machine.pages == short.machine.pages


def test_a_command_that_is_not_simulated_is_named_with_its_pod() -> None:
    with pytest.raises(ExperimentError, match="a/main: the command 'nginx' is not simulated"):
        Played(pod("a", "nginx"))


def test_a_leak_is_killed_and_restarted_with_back_off() -> None:
    leak = (Allocate("heap", 16 * MIB), Touch("heap", write=True))
    seen = Played(pod("a", "memqos workload w", "4Mi", policy="Always"), 35, workload=leak)
    # at 0, at once, after 10 s, after 20 s more
    assert (seen.main.oom_kills, seen.main.restarts) == (4, 3)
    assert seen.phase == "Running"


def test_requests_are_counted_and_timed() -> None:
    service = (Allocate("heap", MIB), Touch("heap", write=True), Requests("heap", 8, 100.0, count=50))
    stats = Played(pod("a", "memqos workload w"), workload=service).results[-1].requests
    assert stats is not None
    assert (stats.completed, stats.late, stats.unserved) == (50, 0, 0)
    assert 0 < stats.p50_us <= stats.p99_us < 1000


def test_a_slowed_down_read_takes_its_time() -> None:
    slow = (ReadFile("/data/f", bytes_per_second=4 * MIB), Sleep(0.1))
    read = Played(pod("a", "memqos workload w"), workload=slow, files={"/data/f": 8 * MIB}).results[0]
    assert (read.end_us - read.start_us) / 1e6 == pytest.approx(2.0, rel=0.02)


def test_a_written_file_is_on_the_disk_when_synced_and_can_be_read_again() -> None:
    log = (Repeat((WriteFile("/data/log", 4 * MIB, sync=True), ReadFile("/data/log")), times=2),)
    seen = Played(pod("a", "memqos workload w"), workload=log)
    assert (seen.moved("wbytes"), seen.moved("rbytes")) == (8 * MIB, 0)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"memory": 0}, "memory: 0 is too little"),
        ({"swap_disk": "vdz"}, "swap_disk: there is no disk 'vdz'"),
        ({"swappiness": 300}, "swappiness: 300 is no swappiness"),
        ({"system": 1 << 40}, "system: the system takes all memory"),
        ({"disks": ()}, "disks: 0 disks"),
    ],
)
def test_a_machine_that_makes_no_sense_is_one_clear_error(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        Machine(PROFILES["6.12"], NodeSpec(**fields))  # type: ignore[arg-type]
    assert str(caught.value).startswith(problem)


def test_an_unknown_kernel_is_named() -> None:
    with pytest.raises(ExperimentError, match=r"'5\.15' is not simulated; choose one of 6\.1, 6\.12, 7\.2"):
        profile("5.15")


def test_stress_ng_ends_with_its_timeout() -> None:
    seen = Played(pod("stress", "stress-ng --vm 2 --vm-bytes 8M --timeout 3"))
    last = seen.main.last
    assert last is not None
    assert (seen.phase, last.exit_code) == ("Succeeded", 0)
    assert last.finished_us - last.started_us == pytest.approx(3e6, abs=1e5)


def test_a_program_fails_on_a_file_that_is_not_there() -> None:
    seen = Played(pod("a", "cat /data/none"))
    assert (seen.phase, seen.main.last and seen.main.last.exit_code) == ("Failed", 1)
    seen = Played(pod("a", "memqos workload w"), workload=(MapFile("f", "/data/none"), Touch("f")))
    assert (seen.phase, seen.main.last and seen.main.last.exit_code) == ("Failed", 2)


@pytest.mark.parametrize(
    "phases",
    [
        (MapFile("f", "/data/f", size=2 * MIB), Touch("f")),
        (MapFile("f", "/data/f"), Touch("f", offset=MIB)),
        (MapFile("f", "/data/f"), Touch("f", size=2 * MIB)),
    ],
)
def test_a_workload_fails_where_it_reaches_beyond_a_file(phases: tuple[Action, ...]) -> None:
    seen = Played(pod("a", "memqos workload w"), files={"/data/f": MIB}, workload=phases)
    assert (seen.phase, seen.main.last and seen.main.last.exit_code) == ("Failed", 2)
    assert seen.moved("rbytes") == 0


def test_what_was_given_back_is_still_mapped() -> None:
    again = (Allocate("f", MIB), Touch("f", write=True), Free("f", MIB), Touch("f", write=True))
    seen = Played(pod("a", "memqos workload w"), workload=again)
    assert seen.phase == "Succeeded"
    assert [each.pages for each in seen.results] == [0, 256, 0, 256]
