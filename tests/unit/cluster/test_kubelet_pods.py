import json
from pathlib import Path
from typing import Any

import pytest

from memqos.cluster.kubelet_pods import pod_from_status, pod_list_from, read_pod_list
from memqos.errors import ManifestError
from memqos.kubelet.resources import eviction_memory_request, pod_memory_limit
from memqos.units import MIB

FIXTURES = Path(__file__).parents[2] / "golden" / "kubernetes-1.36"
ID = "68d52c3823161ee742b84bc806e43a30155d32df6fdd5dd9314311990ffa5d73"


def exchange(name: str) -> Any:
    """The body of a recorded answer of the API server."""
    return json.loads((FIXTURES / "api" / name).read_text())["body"]


def item(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "t", "uid": "u"},
        "spec": {"containers": [{"name": "app"}]},
        "status": status,
    }


def test_a_kubelets_list_is_read_whole() -> None:
    found = read_pod_list(FIXTURES / "node" / "connected-systemd-tiered" / "kubelet-pods.json")
    pods = {pod.name: pod for pod in found.pods}
    assert (len(pods), found.errors) == (14, ())
    pod = pods["burst-lim"]
    assert (pod.status_qos_class, pod.priority, pod.phase) == ("Burstable", 5, "Running")
    assert pod.annotations["example.com/policy"] == "reclaim"
    assert pod.container_ids == {"main": ID}
    assert pods["syscrit"].priority_class_name == "system-node-critical"
    assert set(pods["side"].container_ids) == {"init1", "sidecar", "app", "two"}


def test_an_api_servers_lists_are_read_whole() -> None:
    assert len(pod_list_from(exchange("pods-list-real.json")).pods) == 14
    assert len(pod_list_from(exchange("pods-list-by-node.json")).pods) == 19


def test_ephemeral_containers_are_known_by_name_before_they_run() -> None:
    document = item()
    document["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
    assert pod_from_status(document).ephemeral_containers == ("debug",)


def test_a_static_pods_priority_class_is_kept_though_nobody_resolved_it() -> None:
    document = item()
    document["spec"]["priorityClassName"] = "mine"
    pod = pod_from_status(document)
    assert (pod.priority_class_name, pod.priority) == ("mine", None)


def test_a_refusal_is_told_by_its_message() -> None:
    with pytest.raises(ManifestError, match=r"forbidden.*RBAC"):
        pod_list_from(exchange("pods-list-403.json"))


def test_what_is_not_a_list_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_text('{"kind": "Pod"}')
    with pytest.raises(ManifestError, match=r"pods\.json: kind: this is not a PodList"):
        read_pod_list(tmp_path / "pods.json")
    (tmp_path / "pods.json").write_text("[1, 2")
    with pytest.raises(ManifestError, match="is not JSON"):
        read_pod_list(tmp_path / "pods.json")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_pod_list(tmp_path / "missing.json")


def test_a_pod_that_cannot_be_understood_costs_only_itself() -> None:
    broken = item()
    broken["spec"]["containers"][0]["resources"] = {"limits": {"memory": "much"}}
    found = pod_list_from({"kind": "PodList", "items": [item(), broken, {**item(), "status": {"phase": 7}}]})
    assert len(found.pods) == 1
    assert [error.field for error in found.errors] == [
        "items[1].spec.containers[0].resources.limits.memory",
        "items[2].status.phase",
    ]


def test_while_a_resize_is_in_progress_the_cgroups_hold_what_was_actuated() -> None:
    document = exchange("pod-after-resize-guar-below-usage.json")
    pod = pod_from_status(document)
    spec = document["spec"]["containers"][0]["resources"]
    assert spec["limits"]["memory"] == "32Mi"
    assert pod.containers[0].resources.memory_limit == 160 * MIB


def test_after_a_resize_both_agree() -> None:
    pod = pod_from_status(exchange("pod-after-resize-guar-up.json"))
    assert pod.containers[0].resources.memory_limit == 160 * MIB


def pod_level(spec: dict[str, Any], reported: dict[str, Any], overhead: str = "") -> Any:
    """A pod with pod-level resources, of which its status reports others."""
    document = item(resources=reported)
    document["spec"]["resources"] = spec
    document["spec"]["containers"][0]["resources"] = {"limits": {"memory": "200Mi"}}
    document["spec"]["overhead"] = {"memory": overhead} if overhead else {}
    return pod_from_status(document)


def test_the_containers_sum_that_a_pods_status_reports_is_no_pod_level_amount() -> None:
    reported = {"requests": {"memory": "200Mi"}, "limits": {"memory": "200Mi"}}
    pod = pod_level({"requests": {"cpu": "1"}}, reported)
    assert pod.resources is not None
    assert "memory" not in {**pod.resources.requests, **pod.resources.limits}
    # pod-level resources without memory: no memory request for eviction, whatever the containers say
    assert not eviction_memory_request(pod)


@pytest.mark.parametrize(("reported", "limit"), [("364Mi", 300), ("464Mi", 400), ("300Mi", 300)])
def test_a_pods_overhead_is_not_counted_twice(reported: str, limit: int) -> None:
    pod = pod_level({"limits": {"memory": "300Mi"}}, {"limits": {"memory": reported}}, overhead="64Mi")
    assert pod_memory_limit(pod) == (limit + 64) * MIB


@pytest.mark.parametrize(
    "container_id", ["", "containerd://", "containerd://abc", "docker://" + "g" * 64, "../" * 30]
)
def test_what_is_not_a_containers_id_is_left_out(container_id: str) -> None:
    pod = pod_from_status(item(containerStatuses=[{"name": "app", "containerID": container_id}]))
    assert pod.container_ids == {}
