"""Three real nodes: from the pods a kubelet served, every memory knob it had written.

`tests/golden/kubernetes-1.36/node/<run>` was recorded from a kubelet 1.36.2 with containerd on
kernel 6.12: its `/pods`, its configuration, and the memory files of every cgroup. A knob no rule
writes must hold the kernel's default. What has no cgroup in the recording had ended: `init1` of the
pods "side", and the container of "oomer", killed and waiting to be restarted. Sandboxes (pause) are
the runtime's: the kubelet sets nothing there. No pod was being resized at the time.
"""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from memqos.cluster.kubelet_pods import read_pod_list
from memqos.cluster.placement import place
from memqos.kubelet.allocatable import NodeCapacity, schedulable_memory
from memqos.kubelet.cgroups import (
    CgroupIdentity,
    cgroup_uid,
    container_path,
    identify,
    kubepods_path,
    pod_path,
    qos_path,
)
from memqos.kubelet.configfile import config_from_dict
from memqos.kubelet.cpu import cpu_writes
from memqos.kubelet.knobs import writes
from memqos.kubelet.signals import observe, working_set
from memqos.linux.cgroupfs import FILES
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.units import KIB, UNLIMITED, page_floor

NODES = Path(__file__).parents[2] / "golden" / "kubernetes-1.36" / "node"
RUNS = sorted(path.name for path in NODES.iterdir())

CAPACITY = NodeCapacity(memory=2983336 * KIB, swap=1073737728)
"""The node's status.capacity.memory and status.nodeInfo.swap.capacity."""

DEFAULTS = {
    "memory.min": 0,
    "memory.low": 0,
    "memory.high": UNLIMITED,
    "memory.max": UNLIMITED,
    "memory.swap.max": UNLIMITED,
    "memory.swap.high": UNLIMITED,
    "memory.oom.group": 0,
}


@pytest.fixture(params=RUNS)
def run(request):
    return NODES / request.param


def config_of(run):
    return config_from_dict(yaml.safe_load((run / "kubelet.yaml").read_text()), version="1.36")


def recorded(run):
    """The memory knobs of kubepods and all below, by path."""
    cgroups = json.loads((run / "cgroup-summary.json").read_text())
    return {
        path: {knob: UNLIMITED if files[knob] == "max" else int(files[knob]) for knob in DEFAULTS}
        for path, files in cgroups.items()
        if path.startswith("kubepods")
    }


def tree(run):
    return [line for line in (run / "cgroup-dirs.txt").read_text().split() if line.startswith("kubepods")]


def placed(run):
    return place(read_pod_list(run / "kubelet-pods.json").pods, tree(run))


def read_back(write):
    return int(write.value) if write.knob == "memory.oom.group" else page_floor(write.value)


def test_every_memory_knob_is_what_the_kubelet_had_written(run):
    actual = recorded(run)
    expected = {path: dict(DEFAULTS) for path in actual}
    for write in writes(placed(run), CAPACITY, config_of(run)):
        expected[write.cgroup][write.knob] = read_back(write)
    assert expected == actual


def test_every_weight_and_quota_of_the_processor_is_what_was_written(run):
    cgroups = json.loads((run / "cgroup-summary.json").read_text())
    actual = {path: (files["cpu.weight"], files["cpu.max"]) for path, files in cgroups.items()}
    # sandboxes have the runtime's least weight
    expected = {path: ["1", "max 100000"] for path in actual if path.startswith("kubepods")}
    capacity = dataclasses.replace(CAPACITY, cpus=2)
    for write in cpu_writes(placed(run), capacity, config_of(run)):
        (text,) = FILES[write.knob].codec.encode(write.value)
        expected[write.cgroup][write.knob == "cpu.max"] = text.decode()
    assert {path: tuple(both) for path, both in expected.items()} == {
        path: both for path, both in actual.items() if path in expected
    }


def test_the_kubelets_names_lead_to_the_recorded_tree(run):
    config, paths = config_of(run), set(tree(run))
    pods = read_pod_list(run / "kubelet-pods.json").pods
    named = {kubepods_path(config), qos_path("Burstable", config), qos_path("BestEffort", config)}
    named |= {pod_path(pod, config) for pod in pods}
    ids = {
        container_path(pod, container_id, config): (pod.name, name)
        for pod in pods
        for name, container_id in pod.container_ids.items()
    }
    assert {name for path, (pod, name) in ids.items() if path not in paths and "oomer" not in pod} <= {
        "init1"
    }
    named |= ids.keys() & paths
    assert named <= paths
    # what is left are the sandboxes, one for each pod
    assert sorted(path.rpartition("/")[0] for path in paths - named) == sorted(
        pod_path(pod, config) for pod in pods
    )


def test_a_recorded_path_is_told_by_uid_class_and_container(run):
    config = config_of(run)
    for each in placed(run):
        assert identify(each.cgroup, config) == CgroupIdentity(
            "pod", each.pod.status_qos_class, cgroup_uid(each.pod)
        )
        for name, path in each.containers.items():
            assert identify(path, config).container_id == each.pod.container_ids[name]


def test_configz_says_what_the_file_says(run):
    served = config_from_dict(json.loads((run / "kubelet-configz.json").read_text()))
    # the kubelet serves its defaults filled in
    assert served == dataclasses.replace(
        config_of(run), memory_throttling_factor=0.9, eviction_hard=served.eviction_hard
    )
    assert dict(served.eviction_hard) == dict(config_of(run).eviction_hard)


def test_the_nodes_allocatable_memory_is_what_its_status_said(run):
    assert schedulable_memory(CAPACITY, config_of(run)) == 2573736 * KIB


def test_a_pods_working_set_is_what_the_kubelet_reported():
    run = NODES / "connected-systemd-tiered"
    files = {}
    # the lines of the recorded cgroup files that matter here: path/file:line
    for line in (run / "cgroup-files-working-set.txt").read_text().splitlines():
        name, _, text = line.partition(":")
        key, _, number = text.rpartition(" ")
        files[name, key] = int(number)
    pods = {pod.uid: pod for pod in read_pod_list(run / "kubelet-pods.json").pods}
    summary = json.loads((run / "kubelet-stats-summary.json").read_text())
    for stats in summary["pods"]:
        path = pod_path(pods[stats["podRef"]["uid"]], config_of(run))
        current, inactive = files[f"{path}/memory.current", ""], files[f"{path}/memory.stat", "inactive_file"]
        reported = stats["memory"]["workingSetBytes"]
        # the two were read some seconds apart; one pod swaps all the while
        slack = 64 * KIB if stats["podRef"]["name"] == "swapper" else 0
        assert abs(working_set(current, inactive) - reported) <= slack
    node = summary["node"]["memory"]
    assert node["availableBytes"] == CAPACITY.memory - node["workingSetBytes"]


def test_a_pod_has_stats_only_while_one_of_its_containers_runs():
    run = NODES / "connected-systemd-tiered"
    paths = [path for path in tree(run) if not path.endswith("kubepods.slice")]
    cgroups = {
        path: Cgroup(path=path, inode=1, memory_current=0, memory_stat=Counters.of({})) for path in paths
    }
    node = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({}))
    snapshot = Snapshot(time_us=1, boot_id="b", node=node, cgroups=cgroups)
    seen = observe(snapshot, placed(run), config_of(run))
    summary = json.loads((run / "kubelet-stats-summary.json").read_text())
    assert set(seen.working_set) == {stats["podRef"]["uid"] for stats in summary["pods"]}
    assert {pod.name for pod in seen.pods if pod.uid not in seen.working_set} == {"oomer"}
