"""Every rule against conformance vectors recorded from Kubernetes 1.36's own code and tests.

`tests/golden/vectors/kubelet.json` says where each group comes from. More files of the same form run
with `MEMQOS_VECTORS=a.json:b.json pytest tests/unit/kubelet/test_vectors.py`. A group without a
check here fails.
"""

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from memqos.errors import InputError
from memqos.kubelet import cpu, eviction, eviction_rank, memory_qos, oom, resize, resources, swap, thresholds
from memqos.kubelet.allocatable import NodeCapacity, allocatable_absolute, reservation
from memqos.kubelet.cgroups import to_cgroupfs, to_systemd
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.critical import is_critical_pod, is_node_critical_pod
from memqos.kubelet.knobs import container_writes, kubepods_writes, pod_memory_max
from memqos.kubelet.qos import compute_pod_qos
from memqos.kubelet.thresholds import (
    MEMORY_AVAILABLE,
    SignalObservation,
    Threshold,
    ThresholdValue,
    float32,
    parse_thresholds,
    parse_value,
    thresholds_met,
)
from memqos.model.pods import Container, Pod, Resources
from memqos.units import UNLIMITED, Quantity, parse_quantity

GOLDEN = Path(__file__).parents[2] / "golden" / "vectors" / "kubelet.json"
FILES = [GOLDEN, *map(Path, filter(None, os.environ.get("MEMQOS_VECTORS", "").split(":")))]


def load():
    for file in FILES:
        for group in json.loads(file.read_text())["groups"]:
            for index, case in enumerate(group["cases"]):
                name = f"{file.stem}-{group['group']}-{index}-{case.get('name', '')}"
                yield pytest.param(group["group"], case, id=name)


@pytest.mark.parametrize(("group", "case"), list(load()))
def test_the_rule_gives_what_the_kubelet_gives(group, case):
    check = CHECKS.get(group)
    assert check is not None, f"no check for the group {group!r}: write one"
    check(case)


def test_a_group_without_a_check_is_not_passed_over():
    with pytest.raises(AssertionError, match="no check for the group"):
        test_the_rule_gives_what_the_kubelet_gives("x_new", {})


# --- from vectors to values -----------------------------------------------------------------------


def quantities(given):
    return {name: parse_quantity(text) for name, text in (given or {}).items() if text not in (None, "")}


def resource_lists(given):
    return Resources(quantities(given.get("requests")), quantities(given.get("limits")))


def container(given):
    return Container(
        given["name"], resource_lists(given.get("resources") or {}), restart_policy=given.get("restartPolicy")
    )


def pod(spec, name="pod", **fields):
    return Pod(
        namespace="default",
        name=name,
        uid=name,
        containers=tuple(map(container, spec.get("containers", ()))),
        init_containers=tuple(map(container, spec.get("initContainers", ()))),
        resources=resource_lists(spec["resources"]) if spec.get("resources") is not None else None,
        overhead=quantities(spec.get("overhead")),
        priority=spec.get("priority"),
        priority_class_name=spec.get("priorityClassName", ""),
        termination_grace_period_seconds=spec.get("terminationGracePeriodSeconds"),
        **fields,
    )


def pod_of(case, **fields):
    """The pod of a case, with whatever stands beside its spec."""
    fields.setdefault("status_qos_class", case.get("statusQOSClass") or "")
    return pod(case["podSpec"], annotations=case.get("annotations") or {}, **fields)


def flat_pod(given):
    """A pod of the groups x_eviction_*: one container, amounts in bytes."""

    def lists(**amounts):
        return {name: str(amount) for name, amount in amounts.items() if amount}

    main = {
        "requests": lists(cpu=given.get("cpuRequest"), memory=given.get("memoryRequest")),
        "limits": lists(cpu=given.get("cpuLimit"), memory=given.get("memoryLimit")),
    }
    spec = {
        "containers": [{"name": "c", "resources": main}],
        "initContainers": [],
        "overhead": lists(memory=given.get("overheadMemory")),
        "priority": given.get("priority"),
        "terminationGracePeriodSeconds": given.get("terminationGracePeriodSeconds"),
    }
    for key, policy in (("sidecarMemoryRequest", "Always"), ("initContainerMemoryRequest", None)):
        if given.get(key):
            requests = {"requests": lists(memory=given[key])}
            spec["initContainers"].append({"name": key, "resources": requests, "restartPolicy": policy})
    if given.get("podLevelMemoryRequest"):
        spec["resources"] = {"requests": lists(memory=given["podLevelMemoryRequest"])}
    annotations = {"kubernetes.io/config.source": "file"} if given.get("static") else {}
    return pod(spec, given["name"], annotations=annotations)


def bare(single_process_oom_kill):
    """What the bare function takes nil for; the kubelet itself passes false on cgroup v2."""
    return True if single_process_oom_kill is None else single_process_oom_kill


def swap_config(case):
    return KubeletConfig(swap_behavior=case["swapBehavior"])


def capacity(case):
    version = {"v1": 1, "v2": 2, "": 2}[case.get("cgroupVersion", "v2")]
    return NodeCapacity(
        case.get("memoryCapacityBytes", 2**34),
        case.get("swapCapacityBytes", 2**32),
        swap_controller=case.get("swapControllerAvailable", True),
        cgroup_version=version,
    )


def named(of_pod, name):
    return next(each for each in of_pod.all_containers if each.name == name)


def unified(keys):
    return {knob: str(int(value)) for knob, value in keys.items()}


def written(of_pod, of_container, node, config):
    """The unified map of a container, and its memory limit, as `container_writes` has them."""
    keys = {w.knob: w.value for w in container_writes(of_pod, of_container, "c", node, config)}
    return unified({k: v for k, v in keys.items() if k != "memory.max"}), keys.get("memory.max", 0)


def threshold(given):
    return Threshold(
        given["signal"],
        value(given["value"]),
        # rounded up, so that 10 ns of grace stay a soft threshold
        -(-Fraction(given.get("gracePeriodSeconds") or 0) * 10**6 // 1),
        value(given["minReclaim"]) if given.get("minReclaim") is not None else None,
    )


def value(given):
    if "quantity" in given:
        quantity = parse_quantity(given["quantity"])
        assert quantity.value == given["quantityBytes"]
        return ThresholdValue(quantity)
    return ThresholdValue(percentage=float(float32(Fraction(given["percentage"]))))


def observed(given):
    return {
        signal: SignalObservation(seen["availableBytes"], seen["capacityBytes"])
        for signal, seen in given.items()
    }


# --- one check per group --------------------------------------------------------------------------


def qos_class(case):
    assert compute_pod_qos(pod_of(case), pod_level=case["podLevelResourcesEnabled"]) == case["expected"]


def oom_score_adj(case):
    of_pod = pod_of(case)
    adj = oom.oom_score_adj(
        of_pod,
        named(of_pod, case["container"]),
        case["memoryCapacityBytes"],
        pod_level=case["podLevelResourcesEnabled"],
    )
    assert adj == case["expectedExact"]
    assert case["expectedLow"] <= adj <= case["expectedHigh"]


def limited_swap(case):
    of_pod, config, node = pod_of(case), swap_config(case), capacity(case)
    for expected in case["expected"]:
        of_container = named(of_pod, expected["container"])
        keys, limit = written(of_pod, of_container, node, config)
        keys.pop("memory.oom.group", None)  # off in this test of upstream's
        if node.cgroup_version == 2:
            assert keys == expected["unified"]
        else:
            # no unified map on v1: NoSwap makes the limit of memory and swap that of memory
            assert swap.container_swap_behavior(of_pod, of_container, config, node) == "NoSwap"
            assert expected["memoryLimitInBytes"] == limit
            assert expected["memorySwapLimitInBytes"] == (limit if node.swap_controller else 0)


def container_swap_behavior(case):
    of_pod = pod_of(case)
    for of_container in of_pod.containers:
        behavior = swap.container_swap_behavior(of_pod, of_container, swap_config(case), capacity(case))
        assert behavior == case["expected"]


def memory_qos_container(case):
    of_pod = pod_of(case)
    config = KubeletConfig(
        memory_qos=True,
        memory_reservation_policy=case["memoryReservationPolicy"],
        memory_throttling_factor=case["memoryThrottlingFactor"],
    )
    for of_container in of_pod.containers:
        keys = memory_qos.container_memory_qos(
            of_pod, of_container, config, case["nodeAllocatableMemoryBytes"], case["pageSize"]
        )
        assert unified(keys) == case["expectedUnified"]
        for knob, amount in (case.get("tableExpected") or {}).items():
            assert keys.get(knob, 0) == int(amount or 0)  # upstream's table has 0 for what is not written


def container_limits_and_oom_group(case):
    limits = {"cpu": case["cpuLimit"], "memory": case["memoryLimit"]}
    requests = {"cpu": case["cpuRequest"]}
    of_pod = pod({"containers": [{"name": "c", "resources": {"limits": limits, "requests": requests}}]})
    config = KubeletConfig(single_process_oom_kill=bare(case["singleProcessOOMKill"]))
    limit = resources.container_memory_limit(of_pod, of_pod.containers[0])
    assert limit == case["expected"].get("memory_limit_in_bytes", 0)
    period = config.cpu_cfs_quota_period
    assert period == case["expected"]["cpu_period"]
    share = cpu.Cpu(case["expected"]["cpu_shares"], case["expected"]["cpu_quota"])
    assert cpu.container_cpu(of_pod, of_pod.containers[0], config) == share
    on_v2 = case["cgroupVersion"] == "v2"
    keys = {"memory.oom.group": "1"} if on_v2 and oom.oom_group(config) else {}
    assert keys == (case["expected"].get("unified") or {})


def pod_cgroup_memory_max(case):
    config = KubeletConfig(
        pod_level_resources=case["podLevelResourcesEnabled"],
        cpu_cfs_quota=case["enforceCPULimits"],
        cpu_cfs_quota_period=case["cpuPeriodUsec"],
    )
    assert pod_memory_max(pod_of(case), config) == (case["expectedMemoryMaxBytes"] or 0)
    quota = UNLIMITED if case["expectedCPUQuota"] == -1 else case["expectedCPUQuota"]
    assert cpu.pod_cpu(pod_of(case), config) == cpu.Cpu(case["expectedCPUShares"], quota)


def pod_memory_qos(case):
    config = KubeletConfig(memory_qos=True, memory_reservation_policy=case["memoryReservationPolicy"])
    assert unified(memory_qos.pod_memory_qos(pod_of(case), config)) == (case["expectedUnified"] or {})


def qos_class_cgroups(case):
    config = KubeletConfig(memory_qos=True, memory_reservation_policy=case["memoryReservationPolicy"])
    pods = [pod(each["podSpec"], each["name"]) for each in case["pods"]]
    holds = dict(case["initial"])
    for write in kubepods_writes(pods, NodeCapacity(2**34), config):
        level = "burstable" if write.cgroup.endswith("burstable.slice") else "kubepods"
        if write.knob != "memory.max":
            holds[f"{level}.{write.knob}"] = str(write.value)
    assert holds == case["expected"]


def node_allocatable(case):
    config = KubeletConfig(
        kube_reserved=quantities(case["kubeReserved"]), system_reserved=quantities(case["systemReserved"])
    )
    total = quantities(case["capacity"])
    if case["function"].startswith("GetNodeAllocatableAbsolute"):
        assert allocatable_absolute(total, config) == quantities(case["expected"])
        return
    amount = ThresholdValue(percentage=float(float32(Fraction(case["hardThresholdPercentage"]))))
    if case.get("hardThresholdQuantity"):
        amount = ThresholdValue(parse_quantity(case["hardThresholdQuantity"]))
    hard = (Threshold(MEMORY_AVAILABLE, amount),)
    assert reservation(total, config, hard) == quantities(case["expected"])


def critical_pod(case):
    of_pod = pod(case, annotations=case.get("annotations") or {})
    function = {"IsCriticalPod": is_critical_pod, "IsNodeCriticalPod": is_node_critical_pod}[case["function"]]
    assert function(of_pod) is case["expected"]


def eviction_order(case):
    comparators = {
        "exceedMemoryRequests": eviction_rank.exceed_memory_requests,
        "priority": eviction_rank.priority,
        "memory": eviction_rank.memory,
    }
    pods = [pod(each["podSpec"], each["name"]) for each in case["inputOrder"]]
    stats = {
        each["name"]: each["workingSetBytes"]
        for each in case["inputOrder"]
        if each.get("workingSetBytes") is not None
    }
    order = eviction_rank.rank(pods, stats, [comparators[name] for name in case["comparators"]])
    assert [each.name for each in order] == case["expectedOrder"]


def threshold_sort(case):
    def signal(given):
        return given if isinstance(given, str) else given["signal"]

    ordered = thresholds.by_eviction_priority(
        [Threshold(signal(each), ThresholdValue()) for each in case["input"]]
    )
    assert [each.signal for each in ordered] == [signal(each) for each in case["expected"]]


def threshold_config_parsing(case):
    config = KubeletConfig(
        eviction_hard=case["evictionHard"] or {},
        eviction_soft=case["evictionSoft"] or {},
        eviction_soft_grace_period=case["evictionSoftGracePeriod"] or {},
        eviction_minimum_reclaim=case["evictionMinimumReclaim"] or {},
        enforce_node_allocatable=tuple(case["enforceNodeAllocatable"] or ()),
    )
    if case["expectError"]:
        with pytest.raises(InputError):
            parse_thresholds(config)
    else:
        assert_same_thresholds(parse_thresholds(config), case["expected"])


def allocatable_thresholds(case):
    given = [threshold(each) for each in case["thresholds"]]
    assert_same_thresholds(thresholds.add_allocatable(given), case["expected"])


def assert_same_thresholds(actual, expected):
    """As sets: the kubelet's order is that of a Go map."""
    assert len(actual) == len(expected)
    assert set(actual) == {threshold(each) for each in expected}


def met(case):
    found = thresholds_met(
        [threshold(each) for each in case["thresholds"]],
        observed(case["observations"]),
        enforce_min_reclaim=case["enforceMinReclaim"],
    )
    assert list(found) == [threshold(each) for each in case["expected"]]


def eviction_manager_sequence(case):
    given = case["config"]
    config = eviction.EvictionConfig(
        tuple(sequence_threshold(each) for each in given["thresholds"]),
        given["maxPodGracePeriodSeconds"],
        given["pressureTransitionPeriodSeconds"] * 10**6,
    )
    pods = tuple(map(sequence_pod, case["pods"]))
    stats = {
        each["name"]: parse_quantity(each["workingSet"]).value
        for each in case["pods"]
        if "workingSet" in each
    }
    state, now = eviction.EvictionState(), 10**9
    for step in case["steps"]:
        now += int(step["advanceSeconds"] * 10**6)
        left = parse_quantity(step["available"]).value
        # as the group says: as much in use as is left, for the node and for kubepods, without a timestamp
        left_of = SignalObservation(left, 2 * left)
        seen = eviction.Observation(dict.fromkeys(thresholds.MEMORY_SIGNALS, left_of), pods, stats)
        state, decision = eviction.synchronize(config, state, seen, now)
        assert_decision(decision, step)
        assert_admission(decision.conditions, step.get("expectAdmit") or {})


def sequence_threshold(given):
    reclaim = given.get("minReclaim")
    return Threshold(
        given["signal"],
        parse_value(given["value"]),
        int(given["gracePeriodSeconds"] * 10**6),
        None if reclaim is None else thresholds.parse_min_reclaim(reclaim),
    )


def sequence_pod(given):
    lists = {"requests": given.get("requests"), "limits": given.get("limits")}
    spec = {"containers": [{"name": "c", "resources": lists}]} | {
        key: given[key] for key in ("priority", "terminationGracePeriodSeconds") if key in given
    }
    return pod(spec, given["name"], annotations=given.get("annotations") or {})


def assert_decision(decision, step):
    assert ("MemoryPressure" in decision.conditions) is step["expectMemoryPressure"]
    evicted = decision.eviction
    assert (evicted.pod.name if evicted else None) == step["expectEvicted"]
    assert (evicted.grace_seconds if evicted else None) == step["expectGracePeriodSeconds"]


ADMITTED = {
    "bestEffort": pod({"containers": [{"name": "c"}]}),
    "bestEffortCritical": pod({"containers": [{"name": "c"}], "priority": 2_000_000_000}),
    "bestEffortToleratingMemoryPressure": pod(
        {"containers": [{"name": "c"}]},
        tolerations=(
            {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
        ),
    ),
    "burstable": pod({"containers": [{"name": "c", "resources": {"requests": {"memory": "1Mi"}}}]}),
    "guaranteed": pod(
        {
            "containers": [
                {
                    "name": "c",
                    "resources": {
                        "requests": {"cpu": "1", "memory": "1Mi"},
                        "limits": {"cpu": "1", "memory": "1Mi"},
                    },
                }
            ]
        }
    ),
}


def assert_admission(conditions, expected):
    assert {name: eviction.admit(conditions, ADMITTED[name]) for name in expected} == expected


def admission_under_pressure(case):
    assert_admission(frozenset(case["nodeConditions"]), case["expectAdmit"])


def inplace_resize_with_swap(case):
    def sized(request):
        lists = {"requests": {"memory": request}, "limits": {"memory": "300Mi"}}
        return pod({"containers": [{"name": "c", "resources": lists}]})

    smaller, larger = sized("100Mi"), sized("200Mi")
    desired, allocated = (smaller, larger) if "decrease" in case["name"] else (larger, smaller)
    restarts = {"c"} if case["resizePolicy"] == "RestartContainer" else set()
    reason = resize.infeasible(desired, allocated, swap_config(case), capacity(case), restarts)
    assert bool(reason) == (case["expected"] == "Infeasible")


def memory_high_kep_examples(case):
    unit = parse_quantity(f"1{case.get('unit', '')}").value
    page = parse_quantity(case["pageSize"]).value
    request, limit, factor = case["request"] * unit, case["limit"] * unit, case["factor"]
    high = memory_qos.memory_high(request, limit, 0, factor, page)
    for key in ("expectedMemoryHigh", "alphaV1.27"):
        if key in case:
            assert high == in_units(case[key], unit)
    if "alphaV1.22" in case:
        assert memory_qos.memory_high_1_22(request, limit, 0, factor) == in_units(case["alphaV1.22"], unit)


def in_units(given, unit):
    """A number, or none: the KEP prints "max" or null where the code writes nothing."""
    return 0 if given in (None, "max") else int(given) * unit


def limited_swap_kep_example(case):
    memory, total = parse_quantity(case["nodeMemory"]).value, parse_quantity(case["swap"]).value
    limits = [swap.limited_swap(parse_quantity(request).value, memory, total) for request in case["requests"]]
    assert limits == [parse_quantity(each).value for each in case["codeSwapLimits"]]


def cgroup_names(case):
    name = tuple(case["components"])
    if "systemd" in case:
        assert f"/{to_systemd(name)}" == case["systemd"]
    if "cgroupfs" in case:
        assert f"/{to_cgroupfs(name)}" == case["cgroupfs"]


def x_container_resources(case):
    given, node = case["kubelet"], case["node"]
    config = KubeletConfig(
        memory_qos=given["MemoryQoS"],
        memory_reservation_policy=given["memoryReservationPolicy"],
        memory_throttling_factor=given["memoryThrottlingFactor"],
        swap_behavior=given["swapBehavior"],
        single_process_oom_kill=bare(given["singleProcessOOMKill"]),
        # the case gives the allocatable amount; a reservation of the rest leads to it
        kube_reserved={
            "memory": Quantity(Fraction(node["memoryCapacity"] - (node["allocatableMemory"] or 0)))
        },
    )
    of_node = NodeCapacity(
        node["memoryCapacity"], node["swapCapacity"], node["pageSize"], node["swapControllerAvailable"]
    )
    of_pod = pod_of(case)
    assert len(case["expected"]) == len(of_pod.all_containers)
    for expected in case["expected"]:
        of_container = named(of_pod, expected["container"])
        keys, limit = written(of_pod, of_container, of_node, config)
        adj = oom.oom_score_adj(of_pod, of_container, of_node.memory)
        actual = {
            "container": of_container.name,
            "memoryLimitInBytes": limit,
            "oomScoreAdj": adj,
            "unified": keys,
        }
        assert actual == expected | {"unified": expected["unified"] or {}}


def x_calc_swap(case):
    given = swap.limited_swap(
        case["containerMemoryRequest"], case["nodeTotalMemory"], case["totalPodsSwapAvailable"]
    )
    assert given == case["expected"]
    assert not (case["error"] and given)


def x_pod_cgroup(case):
    of_pod = pod_of(case)
    config = KubeletConfig(memory_qos=True, memory_reservation_policy="TieredReservation")
    assert compute_pod_qos(of_pod) == case["expectedQOSClass"]
    assert resources.pod_memory_request(of_pod) == case["expectedPodMemoryRequest"]
    assert resources.pod_memory_limit(of_pod) == case["expectedPodMemoryLimit"]
    assert pod_memory_max(of_pod, config) == (case["expectedMemoryMaxBytes"] or 0)
    assert unified(memory_qos.pod_memory_qos(of_pod, config)) == (
        case["expectedUnifiedTieredReservation"] or {}
    )


def x_oom_score_adj(case):
    requests = {"cpu": "100m", "memory": str(case["memoryRequest"])}
    of_pod = pod({"containers": [{"name": "c", "resources": {"requests": requests}}]})
    assert compute_pod_qos(of_pod) == case["qos"]
    assert oom.oom_score_adj(of_pod, of_pod.containers[0], case["memoryCapacity"]) == case["expected"]


def x_threshold_quantity(case):
    parsed = parse_value(case["value"])
    assert (parsed and parsed.of(case["capacity"]).value) == case["expected"]


def x_eviction_rank(case):
    order = eviction_rank.rank(map(flat_pod, case["pods"]), case["workingSetBytes"])
    assert [each.name for each in order] == case["expectedOrder"]


def x_eviction_timeline(case):
    given = case["config"]
    config = eviction.EvictionConfig.of(
        KubeletConfig(
            eviction_hard=given["evictionHard"] or {},
            eviction_soft=given["evictionSoft"] or {},
            eviction_soft_grace_period=given["evictionSoftGracePeriod"] or {},
            eviction_minimum_reclaim=given["evictionMinimumReclaim"] or {},
            enforce_node_allocatable=tuple(given["enforceNodeAllocatable"] or ()),
            eviction_max_pod_grace_period=given["evictionMaxPodGracePeriod"],
            eviction_pressure_transition_period=given["evictionPressureTransitionPeriodSeconds"] * 10**6,
        )
    )
    pods = list(map(flat_pod, case["pods"]))
    state, now, stamp = eviction.EvictionState(), 10**12, 0
    for step in case["steps"]:
        now += step["advanceSeconds"] * 10**6
        stamp = stamp if step.get("statsTimestampUnchanged") else now
        signals = {
            signal: SignalObservation(
                step[f"{of}AvailableBytes"],
                step[f"{of}AvailableBytes"] + step[f"{of}WorkingSetBytes"],
                stamp,
            )
            for signal, of in ((MEMORY_AVAILABLE, "node"), ("allocatableMemory.available", "kubepods"))
        }
        seen = eviction.Observation(signals, tuple(pods), step["podWorkingSetBytes"])
        state, decision = eviction.synchronize(config, state, seen, now)
        assert_decision(decision, step)
        assert_admission(decision.conditions, step["expectAdmit"])
        pods = [each for each in pods if each.name != step["expectEvicted"]]


CHECKS = {
    "qos_class": qos_class,
    "oom_score_adj": oom_score_adj,
    "limited_swap": limited_swap,
    "container_swap_behavior": container_swap_behavior,
    "memory_qos_container": memory_qos_container,
    "container_limits_and_oom_group": container_limits_and_oom_group,
    "pod_cgroup_memory_max": pod_cgroup_memory_max,
    "pod_memory_qos": pod_memory_qos,
    "qos_class_cgroups": qos_class_cgroups,
    "node_allocatable": node_allocatable,
    "critical_pod": critical_pod,
    "eviction_rank": eviction_order,
    "threshold_sort": threshold_sort,
    "threshold_config_parsing": threshold_config_parsing,
    "allocatable_thresholds": allocatable_thresholds,
    "thresholds_met": met,
    "eviction_manager_sequence": eviction_manager_sequence,
    "admission_under_pressure": admission_under_pressure,
    "inplace_resize_with_swap": inplace_resize_with_swap,
    "memory_high_kep_examples": memory_high_kep_examples,
    "limited_swap_kep_example": limited_swap_kep_example,
    "cgroup_names": cgroup_names,
    "x_container_resources": x_container_resources,
    "x_calc_swap": x_calc_swap,
    "x_pod_cgroup": x_pod_cgroup,
    "x_oom_score_adj": x_oom_score_adj,
    "x_cgroup_names": cgroup_names,
    "x_threshold_quantity": x_threshold_quantity,
    "x_eviction_rank": x_eviction_rank,
    "x_eviction_timeline": x_eviction_timeline,
}
