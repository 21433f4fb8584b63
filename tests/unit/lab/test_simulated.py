from pathlib import Path
from typing import Any

import pytest
import yaml

from memqos.errors import ExperimentError
from memqos.lab.campaign import check_inputs
from memqos.lab.experiment import Experiment, play, read
from memqos.lab.recording import Recording, decode, encode
from memqos.lab.simulated import check_commands, evaluate, node_of, record
from memqos.units import MIB

LOAD = ["python3", "-m", "memqos.lab.load"]


def pod(name: str, *command: str, limit: str = "", **spec: Any) -> dict[str, Any]:
    resources = {"limits": {"memory": limit}} if limit else {}
    container = {"name": "main", "command": list(command), "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", **spec, "containers": [container]},
    }


def experiment(
    tmp_path: Path, pods: list[dict[str, Any]], *timeline: dict[str, Any], **rest: Any
) -> Experiment:
    path = tmp_path / "x.yaml"
    document = {
        "apiVersion": "memqos.dev/v1alpha1",
        "kind": "Experiment",
        "name": "x",
        "title": "t",
        "study": "s",
        "node": {"memory": "256Mi"},
        "pods": pods,
        "timeline": list(timeline),
    }
    path.write_text(yaml.safe_dump({**document, **rest}))
    return read(path)


def played(wanted: Experiment, **how: Any) -> Recording:
    return record(wanted, play(wanted, "run"), "6.12", **how)


def test_a_file_larger_than_the_limit_is_read_from_the_disk_again(tmp_path: Path) -> None:
    again = {"pod": "reader", "command": ["md5sum", "/data/f"]}
    wanted = experiment(
        tmp_path,
        [pod("reader", "sleep", "infinity", limit="1Mi")],
        {"start": "reader"},
        {"exec": {**again, "as": "first"}},
        {"mark": "between"},
        {"exec": {**again, "as": "second"}},
        files=[{"path": "f", "size": "4Mi"}],
        disks={"data": {"size": "16Mi", "bandwidth": "100Mi"}},
        measures={"reread": {"of": 'io("reader", "rbytes") - io("reader", "rbytes", "between")'}},
        expect=[{"that": "reread == 4 * MiB"}],
    )
    recording = played(wanted)
    result = evaluate(wanted, [recording], "6.12")
    assert result.holds, result.checks
    assert recording.execs["second"].status == 0
    assert result.kernel == "sim 6.12"


def test_a_pod_over_its_limit_is_killed_and_waits_before_its_third_start(tmp_path: Path) -> None:
    hog = pod("hog", *LOAD, "mib=3", limit="1Mi", restartPolicy="Always")
    recording = played(experiment(tmp_path, [hog], {"start": "hog"}, {"sleep": 5}))
    last = recording.samples[-1].pods["hog"]
    assert (last.restarts, last.oom_kills, last.exit_code, last.reason) == (1, 2, 137, "OOMKilled")
    assert len(recording.kernel_log) == 2
    assert [each.text for each in recording.events if each.what == "backoff"] == [
        "back-off 10s restarting the container"
    ]


def test_what_a_program_says_can_be_waited_for(tmp_path: Path) -> None:
    wait = {"wait": {"pod": "slow", "until": "said", "word": "held 2 MiB"}}
    slow = pod("slow", *LOAD, "mib=2", "step=1", "every=3")
    recording = played(experiment(tmp_path, [slow], {"start": "slow"}, wait))
    assert recording.logs["slow/main"] == "held 1 MiB\nheld 2 MiB\n"
    assert 3 <= recording.seconds < 8


def starved(tmp_path: Path) -> Experiment:
    greedy = pod("greedy", *LOAD, "mib=4")
    modest = pod("modest", "sleep", "infinity")
    # a threshold that is met from the start
    kubelet = {"evictionHard": {"memory.available": "250Mi"}}
    steps = ({"start": "modest"}, {"start": "greedy"}, {"sleep": 12})
    return experiment(tmp_path, [greedy, modest], *steps, kubelet=kubelet)


def test_the_kubelet_evicts_the_pod_that_holds_most_at_its_ten_seconds_look(tmp_path: Path) -> None:
    recording = played(starved(tmp_path))
    evicted = [each for each in recording.events if each.what == "evicting"]
    assert evicted[0].subject == "default/greedy"
    assert evicted[0].seconds == pytest.approx(10, abs=0.1)
    last = recording.samples[-1].pods["greedy"]
    assert (last.phase, last.reason) == ("Failed", "Evicted")


def test_nobody_is_evicted_where_there_is_no_eviction_manager(tmp_path: Path) -> None:
    recording = played(starved(tmp_path), evictions=False)
    assert recording.samples[-1].pods["greedy"].phase == "Running"


def test_the_same_experiment_leaves_the_same_recording_and_it_can_be_kept(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, [pod("hog", *LOAD, "mib=3", limit="1Mi")], {"start": "hog"}, {"sleep": 2})
    first, second = encode(played(wanted)), encode(played(wanted))
    assert first == second
    assert encode(decode(first)) == first


def test_a_command_that_is_not_simulated_is_named_with_its_pod(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, [pod("web", "nginx", "-g")], {"start": "web"})
    with pytest.raises(ExperimentError, match="pod web: the command 'nginx -g' is not simulated"):
        played(wanted)


def test_the_machine_is_the_guest_that_the_file_asks_for(tmp_path: Path) -> None:
    disks = {"data": {"size": "16Mi", "bandwidth": "10Mi", "iops": 100}, "swap": {"size": "64Mi"}}
    spec = node_of(experiment(tmp_path, [], {"sleep": 1}, node={"memory": "1Gi"}, disks=disks))
    assert spec.memory == 967 * MIB
    assert (spec.swap, spec.swap_disk, spec.disks[0].read_bps) == (64 * MIB, "swap", 10 * MIB)


def test_a_sysctl_that_is_not_simulated_is_refused(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, [], {"sleep": 1}, node={"sysctl": {"vm.overcommit_memory": "2"}})
    with pytest.raises(ExperimentError, match="overcommit_memory is not simulated"):
        node_of(wanted)


def test_every_command_of_the_example_is_simulated() -> None:
    wanted = read(Path(__file__).parents[3] / "examples" / "scenarios" / "mixed.yaml")
    check_inputs(wanted)
    for name in wanted.variant_names:
        check_commands(wanted, play(wanted, name))
