from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import structs

from memqos.errors import ExperimentError
from memqos.lab.campaign import check_inputs
from memqos.lab.experiment import Experiment
from memqos.lab.reading import read
from memqos.lab.recording import Recording, decode, encode
from memqos.lab.room import room_of
from memqos.lab.simulated import evaluate, record
from memqos.lab.simulated_commands import check_commands
from memqos.lab.simulated_machine import guest_holds, node_of
from memqos.lab.variant import play
from memqos.units import MIB, UNLIMITED

LOAD = ["python3", "-m", "memqos.lab.load"]
SWAPPING = {"failSwapOn": False, "memorySwap": {"swapBehavior": "NoSwap"}}


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
        "pods": pods or [pod("idle", "sleep", "1")],
        "timeline": list(timeline) or [{"start": "idle"}],
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


@pytest.mark.parametrize(("policy", "status"), [("Never", 137), ("Always", 0)])
def test_nothing_can_be_run_in_a_container_that_has_ended(tmp_path: Path, policy: str, status: int) -> None:
    timeline = [
        {"start": "a"},
        {"exec": {"pod": "a", "command": [*LOAD, "mib=16"], "as": "hog"}},
        {"sleep": 2},
        {"exec": {"pod": "a", "command": ["md5sum", "/data/f"], "as": "late"}},
    ]
    wanted = experiment(
        tmp_path,
        [pod("a", "sleep", "infinity", limit="12Mi", restartPolicy=policy)],
        *timeline,
        files=[{"path": "f", "size": "4Mi"}],
        disks={"data": {"size": "16Mi"}},
    )
    recording = played(wanted)
    assert recording.execs["hog"].status == 137
    assert recording.execs["late"].status == status


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


def test_a_patient_wait_for_a_word_ends_when_whoever_has_not_said_it_is_dead(tmp_path: Path) -> None:
    pods = [pod("large", *LOAD, "mib=3", limit="1Mi")]
    wait = {"until": "said", "word": "held 3 MiB", "timeout": 90}
    timeline = [{"start": "large"}, {"wait": {"pod": "large", "patient": True, **wait}}, {"mark": "dead"}]
    recording = played(experiment(tmp_path, pods, *timeline))
    assert recording.marks["dead"].seconds < 10
    impatient = played(experiment(tmp_path, pods, timeline[0], {"wait": {"pod": "large", **wait}}))
    assert impatient.events[-1].text == "waited 90 s in vain for large to have said held 3 MiB"


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


def test_a_command_that_is_not_simulated_is_not_played(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, [pod("web", "nginx", "-g")], {"start": "web"})
    with pytest.raises(ExperimentError, match="command: the command 'nginx -g' is not simulated"):
        played(wanted)


def test_an_empty_dir_in_memory_is_refused(tmp_path: Path) -> None:
    web = pod("web", "sleep", "1")
    web["spec"]["volumes"] = [{"name": "cache", "emptyDir": {"medium": "Memory"}}]
    with pytest.raises(ExperimentError, match="an emptyDir in memory is a tmpfs, which is not simulated"):
        played(experiment(tmp_path, [web], {"start": "web"}))


def test_the_machine_is_the_guest_that_the_file_asks_for(tmp_path: Path) -> None:
    disks = {"data": {"size": "16Mi", "bandwidth": "10Mi", "iops": 100}, "swap": {"size": "64Mi"}}
    spec = node_of(experiment(tmp_path, [], {"sleep": 1}, node={"memory": "1Gi"}, disks=disks))
    assert spec.memory == 967 * MIB
    assert (spec.swap, spec.swap_disk, spec.disks[0].read_bps) == (64 * MIB, "swap", 10 * MIB)


@pytest.mark.parametrize(
    ("memory", "total"), [("384Mi", 338), ("400Mi", 352), ("512Mi", 464), ("768Mi", 715), ("1Gi", 967)]
)
def test_memory_is_what_guests_of_that_size_have(tmp_path: Path, memory: str, total: int) -> None:
    spec = node_of(experiment(tmp_path, [], {"sleep": 1}, node={"memory": memory}))
    assert abs(spec.memory - total * MIB) <= MIB


def test_a_guest_that_writes_holds_its_workers_and_one_with_an_agent_that_too(tmp_path: Path) -> None:
    write = {"write": {"pod": "a", "knob": "memory.low", "value": "1Mi"}}
    plain = play(experiment(tmp_path, [pod("a", "sleep", "1")], {"start": "a"}), "run")
    writes = play(experiment(tmp_path, [pod("a", "sleep", "1")], {"start": "a"}, write), "run")
    managed = structs.replace(plain, manager="memqos")
    held = [guest_holds("6.1", each) >> 20 for each in (plain, writes, managed)]
    assert held == [121, 132, 145]


def test_a_sysctl_that_is_not_simulated_is_refused(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, [], {"sleep": 1}, node={"sysctl": {"vm.overcommit_memory": "2"}})
    with pytest.raises(ExperimentError, match="overcommit_memory is not simulated"):
        node_of(wanted)


@pytest.mark.parametrize(
    ("sysctl", "remedy"),
    [
        ({"vm.dirty_ratio": "²"}, "write 0 to 100"),
        ({"vm.dirty_ratio": "101"}, "write 0 to 100"),
        ({"vm.page-cluster": "32"}, "write 0 to 31"),
        ({"vm.swappiness": "-1"}, "write 0 to 200"),
    ],
)
def test_a_sysctls_value_is_one_that_the_kernel_takes(
    tmp_path: Path, sysctl: dict[str, str], remedy: str
) -> None:
    wanted = experiment(tmp_path, [], {"sleep": 1}, node={"sysctl": sysctl})
    with pytest.raises(ExperimentError, match="is no value of it") as caught:
        node_of(wanted)
    assert (caught.value.field, caught.value.remedy) == (f"node.sysctl.{next(iter(sysctl))}", remedy)


def checked(wanted: Experiment) -> str:
    """The one error of its commands; "" for none."""
    try:
        check_commands(wanted, play(wanted, "run"))
    except ExperimentError as error:
        return str(error)
    return ""


def test_a_command_that_is_not_simulated_is_named_with_its_own_line(tmp_path: Path) -> None:
    second = pod("second", "sleep", "1", initContainers=[{"name": "first", "command": ["nginx", "-t"]}])
    wanted = experiment(tmp_path, [pod("first", "sleep", "1"), second], {"start": "first"})
    lines = Path(wanted.source).read_text().splitlines()
    line = next(number for number, text in enumerate(lines) if "nginx" in text)
    where = f"{wanted.source}:{line}: pods[1].spec.initContainers[0].command: "
    assert checked(wanted).startswith(f"{where}the command 'nginx -t' is not simulated")
    copied = structs.replace(wanted, copies={"second": 2})
    assert checked(copied) == checked(wanted)


def test_a_file_that_nobody_lists_or_writes_is_an_error_before_anything_is_played(tmp_path: Path) -> None:
    disks = {"data": {"size": "16Mi"}}
    reader = pod("reader", "cat", "/data/f")
    error = checked(experiment(tmp_path, [reader], {"start": "reader"}, disks=disks))
    assert error.endswith(
        "pods[0].spec.containers[0].command: there is no file /data/f; list it in files; that of "
        "`path: NAME` is /data/NAME"
    )
    assert error.startswith(f"{tmp_path}/x.yaml:")
    writer = pod("writer", "dd", "if=/dev/zero", "of=/data/f", "bs=1M", "count=8")
    assert not checked(experiment(tmp_path, [reader, writer], {"start": "reader"}, disks=disks))


def test_a_file_larger_than_the_disk_cannot_be_written(tmp_path: Path) -> None:
    writer = pod("writer", "dd", "if=/dev/zero", "of=/data/f", "bs=1M", "count=17")
    error = checked(experiment(tmp_path, [writer], {"start": "writer"}, disks={"data": {"size": "16Mi"}}))
    assert "pods[0].spec.containers[0].command: /data/f of 17 MiB does not fit on the disk data" in error


def test_files_that_are_written_share_the_disk_with_those_that_are_there(tmp_path: Path) -> None:
    def wrong(*written: str) -> str:
        pods = [
            pod(f"p{at}", "dd", "if=/dev/zero", f"of=/data/{path}", "bs=1M", "count=6")
            for at, path in enumerate(written)
        ]
        files = [{"path": "there", "size": "6Mi"}]
        disks = {"data": {"size": "16Mi"}}
        return checked(experiment(tmp_path, pods, {"start": "p0"}, files=files, disks=disks))

    assert not wrong("a")
    assert not wrong("a", "a", "there")  # the same files again
    error = wrong("a", "b")
    assert "pods[1].spec.containers[0].command: with what is written here" in error
    assert "the files of the disk data take 18 MiB and do not fit; make the disk larger" in error


def test_a_file_is_written_only_where_there_is_a_disk(tmp_path: Path) -> None:
    writer = pod("writer", "dd", "if=/dev/zero", "of=/data/f", "bs=1M", "count=8")
    error = checked(experiment(tmp_path, [writer], {"start": "writer"}))
    assert "command: there is no disk data, so /data/f lies nowhere; add disks: {data:" in error


@pytest.mark.parametrize("volumes", [5, [{"name": "v", "emptyDir": "x"}], [{"name": "v", "emptyDir": {}}]])
def test_volumes_of_any_form_are_read_without_a_crash(tmp_path: Path, volumes: Any) -> None:
    assert not checked(experiment(tmp_path, [pod("a", "sleep", "1", volumes=volumes)], {"start": "a"}))


def test_every_command_of_the_example_is_simulated() -> None:
    wanted = read(Path(__file__).parents[3] / "examples" / "scenarios" / "mixed.yaml")
    check_inputs(wanted)
    for name in wanted.variant_names:
        check_commands(wanted, play(wanted, name))


def test_a_pod_without_requests_is_refused_while_the_node_is_short_of_memory(tmp_path: Path) -> None:
    wanted = starved(tmp_path)
    late = pod("late", "sleep", "infinity")
    timeline = [*wanted.timeline, {"start": "late"}, {"sleep": 2}]
    wanted = msgspec.structs.replace(wanted, pods=[*wanted.pods, late], timeline=timeline)
    recording = played(wanted)
    assert [each.subject for each in recording.events if each.what == "refused"] == ["default/late"]
    last = recording.samples[-1].pods["late"]
    assert (last.phase, last.reason, last.running) == ("Failed", "Evicted", 0)
    assert recording.cgroups["late"] not in recording.samples[-1].snapshot.cgroups


def test_a_pod_that_was_refused_has_ended(tmp_path: Path) -> None:
    wanted = starved(tmp_path)
    timeline = [*wanted.timeline, {"start": "late"}, {"wait": {"pod": "late", "timeout": 5}}, {"mark": "on"}]
    wanted = msgspec.structs.replace(
        wanted, pods=[*wanted.pods, pod("late", "sleep", "infinity")], timeline=timeline
    )
    recording = played(wanted)
    assert recording.marks["on"].pods["late"].phase == "Failed"
    assert recording.marks["on"].seconds < 13


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            {"exec": {"pod": "late", "command": ["sleep", "1"]}},
            "late/main has no cgroup: the pod was not adm",
        ),
        ({"exec": {"pod": "greedy", "command": ["sleep", "1"]}}, "nothing can be run in greedy: "),
        (
            {"write": {"pod": "late", "container": "main", "knob": "memory.max", "value": "1Mi"}},
            "late/main has no cgroup: the pod was not admitted",
        ),
        ({"write": {"pod": "greedy", "knob": "memory.max", "value": "1Mi"}}, "memory.max: "),
    ],
)
def test_a_step_on_a_pod_that_is_not_there_any_more_ends_the_play_and_says_so(
    tmp_path: Path, step: dict[str, Any], problem: str
) -> None:
    """`late` was refused and `greedy` evicted: what was seen until then is kept."""
    wanted = starved(tmp_path)
    timeline = [*wanted.timeline, {"start": "late"}, step]
    wanted = msgspec.structs.replace(
        wanted, pods=[*wanted.pods, pod("late", "sleep", "infinity")], timeline=timeline
    )
    recording = played(wanted)
    assert recording.events[-1].what == "broken"
    assert problem in recording.events[-1].text
    assert recording.samples


def test_pods_start_and_stop_when_the_timeline_says(tmp_path: Path) -> None:
    steps = ({"at": 3.0, "start": "a"}, {"at": 5.0, "stop": "a"}, {"sleep": 2})
    recording = played(experiment(tmp_path, [pod("a", "sleep", "100")], *steps))
    at = {each.what: each.seconds for each in recording.events}
    assert at["started"] == pytest.approx(3, abs=0.01)
    assert at["gone"] == pytest.approx(5, abs=0.3)
    assert recording.samples[-1].pods["a"].running == 0


def test_the_swap_policy_saves_the_pod_whose_user_chose_swap_and_says_why(tmp_path: Path) -> None:
    hog = pod("hog", *LOAD, "mib=6", limit="4Mi")
    hog["metadata"]["annotations"] = {"memqos.dev/swap-limit": "8Mi"}
    wanted = experiment(
        tmp_path, [hog], {"start": "hog"}, {"sleep": 3}, disks={"swap": {"size": "64Mi"}}, kubelet=SWAPPING
    )
    alone = played(wanted)
    spec = {"swap": {"mode": "PodChoice", "maximumPerPod": "16Mi", "reserve": "0"}}
    head = {"apiVersion": "memqos.dev/v1alpha1", "kind": "MemoryPolicy", "metadata": {"name": "default"}}
    managed = played(msgspec.structs.replace(wanted, policy={**head, "spec": spec}))
    assert [each.samples[-1].pods["hog"].oom_kills for each in (alone, managed)] == [1, 0]
    pswpout = [each.samples[-1].snapshot.node.vmstat["pswpout"] for each in (alone, managed)]
    assert pswpout[1] > 256 > pswpout[0]
    assert alone.writes == []
    assert any("chose 8 MiB of swap" in each.why for each in managed.writes)


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_the_same_pods_and_seed_are_the_same_to_the_byte(tmp_path: Path, kernel: str) -> None:
    service = tmp_path / "service.yaml"
    service.write_text(yaml.safe_dump(SERVICE))
    pods = [
        pod("service", "memqos", "workload", str(service), limit="18Mi"),
        pod("reader", "md5sum", "/data/f", limit="4Mi"),
    ]
    rest = {"files": [{"path": "f", "size": "12Mi"}], "disks": {"data": {"size": "32Mi"}}}
    steps = ({"start": "service"}, {"start": "reader"}, {"sleep": 3})
    wanted = experiment(tmp_path, pods, *steps, **rest)
    one, two = (encode(record(wanted, play(wanted, "run"), kernel, seed=7)) for _ in range(2))
    assert one == two
    served = decode(one).results["service/main"][-1].requests
    assert served is not None
    assert served.completed == 200


def test_requests_of_a_service_that_runs_on_are_counted_at_the_end(tmp_path: Path) -> None:
    document = {**SERVICE, "phases": [*SERVICE["phases"][:2], {"requests": {**REQUESTS, "perSecond": 100}}]}
    service = tmp_path / "service.yaml"
    service.write_text(yaml.safe_dump(document))
    pods = [pod("service", "memqos", "workload", str(service), limit="18Mi")]
    last = played(experiment(tmp_path, pods, {"start": "service"}, {"sleep": 2})).results["service/main"][-1]
    assert last.stopped
    assert last.requests is not None
    assert 195 <= last.requests.completed <= 201


REQUESTS = {"region": "heap", "pages": 4, "order": {"zipf": 1.0, "scatter": True}}
SERVICE: dict[str, Any] = {
    "apiVersion": "memqos.dev/v1alpha1",
    "kind": "Workload",
    "phases": [
        {"allocate": {"name": "heap", "size": "4Mi"}},
        {"touch": {"region": "heap", "write": True}},
        {"requests": {**REQUESTS, "perSecond": 200, "seconds": 1}},
    ],
}  # fmt: skip


def test_the_timeline_may_write_a_limit_and_take_memory_back(tmp_path: Path) -> None:
    recording = played(
        experiment(
            tmp_path,
            [pod("reader", "sleep", "infinity", limit="8Mi")],
            {"start": "reader"},
            {"exec": {"pod": "reader", "command": ["md5sum", "/data/f"]}},
            {"mark": "read"},
            {"write": {"pod": "reader", "knob": "memory.reclaim", "value": "1Mi"}},
            {"mark": "less"},
            {"write": {"pod": "reader", "container": "main", "knob": "memory.max", "value": "max"}},
            files=[{"path": "f", "size": "4Mi"}],
            disks={"data": {"size": "16Mi"}},
        )
    )
    before, after = (recording.marks[name].snapshot.cgroups for name in ("read", "less"))
    path = recording.cgroups["reader"]
    assert (before[path].memory_current or 0) - (after[path].memory_current or 0) >= MIB
    last = recording.samples[-1].snapshot.cgroups
    assert last[recording.cgroups["reader/main"]].memory_max == UNLIMITED
    assert [each.knob for each in recording.writes] == ["memory.reclaim", "memory.max"]


def test_an_order_to_take_back_more_than_there_is_fails_and_is_noted(tmp_path: Path) -> None:
    order = {"pod": "idle", "knob": "memory.reclaim", "value": "4Mi"}
    recording = played(experiment(tmp_path, [pod("idle", "sleep", "9")], {"start": "idle"}, {"write": order}))
    assert [each.status for each in recording.writes] == ["failed"]


def test_a_size_to_write_that_is_none_is_an_error_with_its_line(tmp_path: Path) -> None:
    order = {"pod": "idle", "knob": "memory.max", "value": "much"}
    with pytest.raises(ExperimentError, match="much") as caught:
        experiment(tmp_path, [pod("idle", "sleep", "9")], {"write": order})
    assert "x.yaml:" in str(caught.value)


def managed(
    tmp_path: Path, manager: str, *pods: dict[str, Any], guest: bool = False, **rest: Any
) -> Recording:
    timeline = [{"start": each["metadata"]["name"]} for each in pods]
    wanted = experiment(
        tmp_path,
        list(pods),
        *timeline,
        {"sleep": 25},
        {"mark": "end"},
        variants=[{"name": "it", "manager": manager}],
        **rest,
    )
    return record(wanted, play(wanted, "it"), "6.12", guest=guest)


def test_senpai_lowers_memory_high_of_an_idle_pod(tmp_path: Path) -> None:
    found = managed(tmp_path, "senpai", pod("idle", *LOAD, "mib=64"))
    limits = [each.value for each in found.writes if each.knob == "memory.high"]
    assert len(limits) >= 2
    cgroup = found.marks["end"].snapshot.cgroups[found.cgroups["idle"]]
    assert cgroup.memory_high is not None
    assert cgroup.memory_high < 68 * MIB


def test_systemd_oomds_rules_kill_who_fills_the_swap(tmp_path: Path) -> None:
    swapping = {"failSwapOn": False, "memorySwap": {"swapBehavior": "LimitedSwap"}}
    hog = pod("hog", *LOAD, "mib=330", "step=4", "every=0.1", "passes=0")
    hog["spec"]["containers"][0]["resources"] = {"requests": {"memory": "200Mi"}}
    found = managed(
        tmp_path,
        "systemd-oomd",
        hog,
        disks={"swap": {"size": "128Mi", "bandwidth": "100Mi"}},
        kubelet={**swapping, "evictionHard": {"memory.available": "1Mi"}},
        guest=True,  # a fast processor fills all swap at once, ahead of so slow a disk
    )
    kills = [each for each in found.writes if each.knob == "evict"]
    assert kills
    assert "of swap are used" in kills[0].why
    assert any(each.what == "exited" for each in found.events)


def test_the_kubelet_evicts_only_where_somebody_manages(tmp_path: Path) -> None:
    hog = pod("hog", *LOAD, "mib=120")
    evictions = {
        manager: sum(each.what == "evicting" for each in managed(tmp_path, manager, hog).events)
        for manager in ("nobody", "kubelet")
    }
    assert evictions == {"nobody": 0, "kubelet": 1}


def test_an_experiment_brings_its_own_workloads(tmp_path: Path) -> None:
    phases = [
        {"allocate": {"name": "heap", "size": "1Mi"}},
        {"requests": {"region": "heap", "pages": 1, "perSecond": 10, "seconds": 4, "report": 1}},
    ]
    wanted = experiment(
        tmp_path,
        [pod("service", "memqos", "workload", "${workloads}/service")],
        {"start": "service"},
        {"wait": {"pod": "service"}},
        workloads={"service": {"phases": phases}},
    )
    results = played(wanted).results["service/main"]
    counts = [each.requests.completed for each in results if each.requests is not None]
    assert counts == [10, 10, 10, 10]
    bad = msgspec.structs.replace(wanted, workloads={"other": {"phases": phases}})
    with pytest.raises(ExperimentError, match="there is no workload 'service'"):
        check_commands(bad, play(bad, "run"))


@pytest.mark.parametrize("path", ["none.yaml", "", "/"])
def test_a_workload_file_that_is_not_there_is_told_where_it_is_named(tmp_path: Path, path: str) -> None:
    wanted = experiment(tmp_path, [pod("service", "memqos", "workload", path)], {"start": "service"})
    with pytest.raises(ExperimentError, match="there is no workload file") as caught:
        check_commands(wanted, play(wanted, "run"))
    assert caught.value.field == "pods[0].spec.containers[0].command"
    assert caught.value.source.startswith(wanted.source + ":")
    assert "${here}/NAME" in caught.value.remedy


def test_a_pod_ends_as_its_own_container_does_and_not_as_its_sidecar(tmp_path: Path) -> None:
    """The sidecar is told to end by SIGTERM once the pod's own container is done."""
    sidecar = {"name": "side", "command": ["sleep", "infinity"], "restartPolicy": "Always"}
    subject = pod("a", "sleep", "2", initContainers=[sidecar])
    recording = played(experiment(tmp_path, [subject], {"start": "a"}, {"wait": {"pod": "a"}}))
    last = recording.samples[-1].pods["a"]
    assert (last.phase, last.exit_code, last.reason) == ("Succeeded", 0, "Completed")


def test_a_guests_pods_have_the_room_that_is_asked_for(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, [pod("reader", "sleep", "2")], {"start": "reader"}, {"sleep": 1})
    recording = played(wanted, guest=True, room=100 * MIB)
    assert room_of(recording) == pytest.approx(100 * MIB, abs=MIB)


def test_on_a_kubelets_node_memory_is_mapped_however_much_there_is(tmp_path: Path) -> None:
    """A kubelet sets vm.overcommit_memory: a leak gets as far as its memory does, and is killed then."""
    phases = [{"allocate": {"name": "heap", "size": "1Gi"}}, {"touch": {"region": "heap", "write": True}}]
    leak = pod("leak", "memqos", "workload", "${workloads}/leak", limit="64Mi")
    steps = ({"start": "leak"}, {"sleep": 5})
    wanted = experiment(tmp_path, [leak], *steps, workloads={"leak": {"phases": phases}})
    ends = [played(wanted, **how).samples[-1].pods["leak"] for how in ({}, {"evictions": False})]
    assert [(end.exit_code, end.oom_kills) for end in ends] == [(137, 1), (2, 0)]
