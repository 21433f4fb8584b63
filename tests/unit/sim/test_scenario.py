from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from memqos.errors import ExperimentError
from memqos.kubelet.config import KubeletConfig
from memqos.model.pods import Container, Pod, Resources
from memqos.policy.ladder import ladder
from memqos.policy.settings import Settings
from memqos.sim.scenario import Scenario, Simulation, simulate
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import MIB, parse_quantity
from memqos.workload.spec import (
    Allocate,
    Order,
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


KUBELET = KubeletConfig(fail_swap_on=False, eviction_hard={"memory.available": "4Mi"})


def pod(name: str, command: str, limit: str = "", policy: str = "Never", **annotations: str) -> Pod:
    limits = {"memory": parse_quantity(limit)} if limit else {}
    container = Container("main", Resources(limits=limits), command=tuple(command.split()))
    notes = {f"memqos.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return Pod("default", name, f"uid-{name}", (container,), restart_policy=policy, annotations=notes)


def play(*pods: Pod, kernel: str = "6.12", seconds: float = 20.0, **fields: object) -> dict[str, object]:
    scenario = Scenario(node=NODE, pods=pods, seconds=seconds, kubelet=KUBELET, **fields)  # type: ignore[arg-type]
    return {key.removeprefix("default/"): value for key, value in simulate(scenario, kernel).pods.items()}


def test_a_reader_below_its_limit_reads_its_file_once_more_than_memory_holds() -> None:
    found = play(pod("a", "cat /data/f /data/f", "8Mi"), files={"/data/f": 16 * MIB})["a"]
    assert found.phase == "Succeeded"  # type: ignore[attr-defined]
    assert found.read == 32 * MIB  # type: ignore[attr-defined]
    assert found.peak == 8 * MIB  # type: ignore[attr-defined]


def test_a_command_that_is_not_simulated_is_named_before_anything_runs() -> None:
    with pytest.raises(ExperimentError, match="nginx"):
        play(pod("a", "nginx"))


def test_a_leak_is_killed_and_restarted_with_back_off() -> None:
    leak = Workload((Allocate("heap", 16 * MIB), Touch("heap", write=True)))
    found = play(
        pod("a", "memqos workload leak.yaml", "4Mi", policy="Always"),
        workloads={"leak.yaml": leak},
        seconds=35,
    )["a"]
    # at 0, at once, after 10 s, after 20 s more
    assert found.oom_kills == 4  # type: ignore[attr-defined]
    assert found.restarts == 3  # type: ignore[attr-defined]
    assert found.phase == "Running"  # type: ignore[attr-defined]


def test_a_node_short_of_memory_evicts_the_pod_beyond_its_request() -> None:
    hog = Workload((Allocate("heap", 56 * MIB), Touch("heap", write=True), Sleep(1000)))
    small = Workload((Allocate("heap", 8 * MIB), Touch("heap", write=True), Sleep(1000)))
    scenario = Scenario(
        node=replace(NODE, swap=0),
        pods=(pod("hog", "memqos workload hog"), pod("small", "memqos workload small", "16Mi")),
        workloads={"hog": hog, "small": small},
        kubelet=KubeletConfig(fail_swap_on=False, eviction_hard={"memory.available": "40Mi"}),
        seconds=30,
    )
    result = simulate(scenario)
    assert result.pods["default/hog"].reason == "Evicted"
    assert result.pods["default/small"].phase == "Running"
    assert [h.at for h in result.happenings if "evicted" in h.what] == [pytest.approx(10, abs=0.1)]


def test_the_swap_policy_saves_the_pod_whose_user_chose_swap() -> None:
    grows = Workload((Sleep(2), Allocate("heap", 12 * MIB), Touch("heap", write=True), Sleep(1000)))
    scenario = Scenario(
        node=replace(NODE, swap=192 * MIB),
        kubelet=KUBELET,
        pods=(pod("a", "memqos workload grows", "8Mi", swap_limit="16Mi"),),
        workloads={"grows": grows},
        seconds=8,
    )
    alone = simulate(scenario)
    managed = simulate(scenario, policies=ladder(Settings()))
    assert alone.pods["default/a"].oom_kills == 1
    assert managed.pods["default/a"].oom_kills == 0
    assert managed.pods["default/a"].swapped_out > 0
    assert managed.writes > 0


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_the_same_scenario_and_seed_is_the_same_to_the_byte(kernel: str) -> None:
    service = Workload(
        (
            Allocate("heap", 6 * MIB),
            Touch("heap", write=True),
            Requests("heap", 4, 200.0, Order("zipf", exponent=1.0, scatter=True), seconds=2.0),
        )
    )
    scenario = Scenario(
        node=NODE,
        files={"/data/f": 24 * MIB},
        pods=(pod("a", "memqos workload service", "8Mi"), pod("b", "md5sum /data/f", "6Mi")),
        workloads={"service": service},
    )
    one, two = (
        msgspec.json.encode(simulate(scenario, kernel), enc_hook=dict, order="deterministic")
        for _ in range(2)
    )
    assert one == two


def test_requests_are_counted_and_timed() -> None:
    service = Workload(
        (Allocate("heap", MIB), Touch("heap", write=True), Requests("heap", 8, 100.0, count=50), Sleep(1))
    )
    found = play(pod("a", "memqos workload s"), workloads={"s": service})["a"]
    requests = [phase.requests for phase in found.phases["main"] if phase.requests]  # type: ignore[attr-defined]
    assert [(each.completed, each.late, each.unserved) for each in requests] == [(50, 0, 0)]
    assert 0 < requests[0].p50_us <= requests[0].p99_us < 1000


def test_a_slowed_down_read_takes_its_time() -> None:
    slow = Workload((ReadFile("/data/f", bytes_per_second=4 * MIB), Sleep(0.1)))
    found = play(pod("a", "memqos workload s"), workloads={"s": slow}, files={"/data/f": 8 * MIB})["a"]
    phases = found.phases["main"]  # type: ignore[attr-defined]
    assert (phases[0].end_us - phases[0].start_us) / 1e6 == pytest.approx(2.0, rel=0.02)


def test_a_written_file_is_on_the_disk_when_synced_and_can_be_read_again() -> None:
    log = Workload((Repeat((WriteFile("/data/log", 4 * MIB, sync=True), ReadFile("/data/log")), times=2),))
    found = play(pod("a", "memqos workload s"), workloads={"s": log})["a"]
    assert found.written == 8 * MIB  # type: ignore[attr-defined]
    assert found.read == 0  # type: ignore[attr-defined]


def test_pods_start_and_stop_when_they_should() -> None:
    scenario = Scenario(
        node=NODE,
        pods=(pod("a", "sleep 100"),),
        starts={"default/a": 3.0},
        stops={"default/a": 5.0},
        seconds=10,
    )
    simulation = Simulation(scenario)
    simulation.run(2)
    assert simulation.pods() == ()
    simulation.run(2)
    assert [placed.pod.phase for placed in simulation.pods()] == ["Running"]
    simulation.run(2)
    assert [placed.pod.phase for placed in simulation.pods()] == ["Succeeded"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"seconds": 0.0}, "seconds: 0 is not a time"),
        ({"starts": {"default/b": 1.0}}, "starts: there is no pod default/b"),
        ({"stops": {"default/a": -1.0}}, "stops.default/a: -1 is before the start"),
        ({"files": {"/data/f": -5}}, "files./data/f: -5 is not a size"),
        ({"node": replace(NODE, memory=0)}, "memory: 0 is too little"),
        ({"node": replace(NODE, swap_disk="vdz")}, "swap_disk: there is no disk 'vdz'"),
        ({"node": replace(NODE, swappiness=300)}, "swappiness: 300 is no swappiness"),
        ({"pods": (pod("a", "sleep 1"), pod("a", "sleep 2"))}, "pods: two pods have the same name"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_one_clear_error(fields: dict[str, object], problem: str) -> None:
    scenario = Scenario(**({"node": NODE, "pods": (pod("a", "sleep 1"),)} | fields))  # type: ignore[arg-type]
    with pytest.raises(ExperimentError) as caught:
        simulate(scenario)
    assert str(caught.value).startswith(problem)


def test_an_unknown_kernel_is_named() -> None:
    with pytest.raises(ExperimentError, match=r"'5\.15' is not simulated; choose one of 6\.1, 6\.12, 7\.2"):
        simulate(Scenario(node=NODE), "5.15")
