import dataclasses

import pytest

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.cgroups import pod_path
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.knobs import pod_memory_max, writes
from memqos.model.pods import PlacedPod
from memqos.units import GIB, MIB, UNLIMITED, parse_quantity

NODE = NodeCapacity(8 * GIB, GIB)
TIERED = KubeletConfig(
    memory_qos=True, memory_reservation_policy="TieredReservation", swap_behavior="LimitedSwap"
)


def place(pod, config=TIERED):
    cgroup = pod_path(pod, config)
    return PlacedPod(pod, cgroup, {each.name: f"{cgroup}/{each.name}" for each in pod.all_containers})


def knobs(pods, config=TIERED, node=NODE):
    found = writes([place(pod, config) for pod in pods], node, config)
    assert len({write.target for write in found}) == len(found), "a knob is written twice"
    assert all(write.why and write.policy == "kubelet" for write in found)
    return {write.target: write.value for write in found}


def test_a_stock_kubelet_sets_limits_no_swap_and_the_oom_group(burstable):
    pod = burstable("64Mi", "128Mi")
    cgroup = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podpod.slice"
    assert knobs([pod], KubeletConfig()) == {
        ("kubepods.slice", "memory.max"): 8 * GIB,
        (cgroup, "memory.max"): 128 * MIB,
        (f"{cgroup}/c", "memory.max"): 128 * MIB,
        (f"{cgroup}/c", "memory.swap.max"): 0,
        (f"{cgroup}/c", "memory.oom.group"): True,
    }


def test_without_a_swap_controller_nothing_is_said_about_swap(burstable):
    node = dataclasses.replace(NODE, swap_controller=False)
    assert not any(knob == "memory.swap.max" for _, knob in knobs([burstable("1Mi")], node=node))


def test_a_single_process_oom_kill_leaves_the_group_knob_alone(burstable):
    config = dataclasses.replace(TIERED, single_process_oom_kill=True)
    assert not any(knob == "memory.oom.group" for _, knob in knobs([burstable("1Mi")], config))


def test_a_pod_without_a_cgroup_counts_for_its_class_and_gets_no_write(burstable):
    found = writes([PlacedPod(burstable("64Mi"), None)], NODE, TIERED)
    assert {write.cgroup for write in found} == {"kubepods.slice", "kubepods.slice/kubepods-burstable.slice"}
    assert {write.knob: write.value for write in found}["memory.low"] == 64 * MIB


@pytest.mark.parametrize(("phase", "protected"), [("Running", 64 * MIB), ("Succeeded", 0), ("Failed", 0)])
def test_a_pod_that_has_ended_protects_nothing(burstable, phase, protected):
    pod = burstable("64Mi", phase=phase)
    assert knobs([pod])["kubepods.slice/kubepods-burstable.slice", "memory.low"] == protected


def test_a_container_whose_cgroup_is_not_there_is_left_out(pod, container):
    placed = place(pod(container("a", "1Mi"), container("b", "1Mi")))
    only = dataclasses.replace(placed, containers={"b": "there"})
    found = {write.cgroup for write in writes([only], NODE, TIERED)}
    assert "there" in found
    assert not any(cgroup.endswith("/a") for cgroup in found)


def test_kubepods_has_the_whole_node_when_pods_are_not_enforced():
    reserved = {"kube_reserved": {"memory": parse_quantity("1Gi")}}
    assert knobs([], KubeletConfig(**reserved))["kubepods.slice", "memory.max"] == 7 * GIB
    unbounded = KubeletConfig(enforce_node_allocatable=("none",), **reserved)
    assert knobs([], unbounded)["kubepods.slice", "memory.max"] == 8 * GIB


def test_a_reserved_cgroup_is_bounded_only_if_it_is_enforced_and_protected_only_by_memory_qos():
    named = {
        "system_reserved": {"memory": parse_quantity("1Gi")},
        "system_reserved_cgroup": "/system.slice",
    }
    assert ("system.slice", "memory.max") not in knobs([], KubeletConfig(**named))
    enforced = KubeletConfig(enforce_node_allocatable=("pods", "system-reserved"), **named)
    assert knobs([], enforced)["system.slice", "memory.max"] == GIB
    assert ("system.slice", "memory.min") not in knobs([], enforced)
    protected = dataclasses.replace(enforced, memory_qos=True)
    assert knobs([], protected)["system.slice", "memory.min"] == GIB


def test_best_effort_and_partly_limited_pods_have_no_memory_max(pod, container):
    assert pod_memory_max(pod(), TIERED) == 0
    partly = pod(container("a", None, "1Mi"), container("b"))
    assert pod_memory_max(partly, TIERED) == 0


def test_1_37_resets_what_an_older_kubelet_may_have_left(burstable):
    config = KubeletConfig("1.37", memory_qos=False)
    found = knobs([burstable("64Mi", "128Mi")], config)
    cgroup = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podpod.slice"
    assert found["kubepods.slice", "memory.min"] == 0
    assert found["kubepods.slice", "memory.low"] == 0
    assert found["kubepods.slice/kubepods-burstable.slice", "memory.low"] == 0
    assert found[f"{cgroup}/c", "memory.high"] == UNLIMITED


def test_the_reason_of_a_write_says_which_rule_it_follows(burstable):
    why = {
        write.target: write.why
        for write in writes([place(burstable("64Mi", "128Mi"))], NodeCapacity(GIB, GIB), TIERED)
    }
    cgroup = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podpod.slice/c"
    assert why[cgroup, "memory.low"] == "Burstable requests 64 MiB, protected by TieredReservation (KEP-2570)"
    assert why[cgroup, "memory.high"] == "throttled at 0.9 of the way from request to limit (KEP-2570)"
    assert why[cgroup, "memory.max"] == "the container's memory limit is 128 MiB"
    assert why[cgroup, "memory.swap.max"] == "LimitedSwap: 64 MiB of 1 GiB, of 1 GiB swap"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (KubeletConfig("1.35", memory_qos=True), "the memory requests of all Burstable pods (KEP-2570)"),
        (TIERED, "the memory requests of all Burstable pods (KEP-2570)"),
        (KubeletConfig("1.36", memory_qos=True), "no reservation policy protects requests"),
        (KubeletConfig("1.37", memory_qos=False), "no reservation policy protects requests"),
    ],
)
def test_the_reason_for_a_class_says_whether_requests_are_protected(burstable, config, why):
    found = writes([PlacedPod(burstable("64Mi"), None)], NODE, config)
    assert {write.why for write in found if write.cgroup.endswith("kubepods-burstable.slice")} == {why}
