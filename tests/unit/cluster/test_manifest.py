from pathlib import Path
from typing import Any

import pytest

from memqos.cluster.manifest import Manifests, load_manifests, manifests_from, pod_from_dict
from memqos.errors import ManifestError
from memqos.units import MIB


def a_pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "ledger"},
        "spec": {"containers": [{"name": "main"}], **spec},
    }


def with_resources(**resources: Any) -> dict[str, Any]:
    return a_pod(containers=[{"name": "main", "resources": resources}])


def load(tmp_path: Path, text: str, name: str = "pods.yaml") -> Manifests:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load_manifests([tmp_path / name])


def failure(document: Any) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        pod_from_dict(document, source="pods.yaml")
    return caught.value


POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: main}]}\n"


def test_a_pod_gets_the_api_servers_defaults() -> None:
    pod = pod_from_dict(a_pod())
    assert (pod.key, pod.restart_policy, pod.termination_grace_period_seconds) == (
        "default/ledger",
        "Always",
        30,
    )
    assert pod.priority is None
    assert pod.resources is None
    assert pod.status_qos_class == ""


def test_a_request_that_is_absent_is_the_limit() -> None:
    (container,) = pod_from_dict(with_resources(limits={"memory": "64Mi", "cpu": "1"})).containers
    assert container.resources.memory_request == 64 * MIB
    assert container.resources.requests["cpu"].milli_value == 1000


def test_a_swap_limit_is_not_copied_to_the_requests() -> None:
    (container,) = pod_from_dict(with_resources(limits={"swap": "1Gi"})).containers
    assert "swap" in container.resources.limits
    assert "swap" not in container.resources.requests


def test_pod_level_requests_that_are_absent_are_the_containers_sum() -> None:
    containers = [{"name": n, "resources": {"requests": {"memory": "16Mi"}}} for n in ("a", "b")]
    pod = pod_from_dict(a_pod(containers=containers, resources={"limits": {"memory": "64Mi", "cpu": "1"}}))
    assert pod.resources is not None
    assert pod.resources.memory_request == 32 * MIB
    assert pod.resources.requests["cpu"].milli_value == 1000


def test_pod_level_requests_count_sidecars_beside_and_init_containers_before() -> None:
    init = [
        {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"memory": "10Mi"}}},
        {"name": "setup", "resources": {"requests": {"memory": "50Mi"}}},
    ]
    pod = pod_from_dict(
        a_pod(
            initContainers=init,
            containers=[{"name": "main", "resources": {"requests": {"memory": "20Mi"}}}],
            resources={"limits": {"memory": "100Mi"}},
        )
    )
    assert pod.resources is not None
    assert pod.resources.memory_request == 60 * MIB


def test_a_memory_quantity_may_be_a_number() -> None:
    (container,) = pod_from_dict(with_resources(limits={"memory": 134217728})).containers
    assert container.resources.memory_limit == 128 * MIB


def test_a_pod_without_a_uid_always_gets_the_same_one() -> None:
    other = a_pod()
    other["metadata"] = {"name": "ledger", "namespace": "shop"}
    assert pod_from_dict(a_pod()).uid == pod_from_dict(a_pod()).uid == "9a7641c3-0042-5f87-8f11-17022d2cf0ff"
    assert pod_from_dict(other).uid != pod_from_dict(a_pod()).uid


def test_a_pods_own_uid_is_kept() -> None:
    document = a_pod()
    document["metadata"]["uid"] = "b969b19405767e1fe2effe3c3446dca8"
    assert pod_from_dict(document).uid == "b969b19405767e1fe2effe3c3446dca8"


def test_what_memqos_does_not_need_is_passed_over() -> None:
    pod_from_dict(
        a_pod(volumes=[{"name": "v", "emptyDir": {}}], nodeSelector={"a": "b"}, hostNetwork=True, new=3)
    )


def test_command_env_and_working_directory_are_read() -> None:
    document = a_pod(
        containers=[
            {
                "name": "main",
                "command": ["sh", "-c"],
                "args": ["echo $(A)"],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B"},
                    {"name": "C", "valueFrom": {"fieldRef": {}}},
                ],
                "workingDir": "/tmp",
            }
        ]
    )
    (container,) = pod_from_dict(document).containers
    assert container.command + container.args == ("sh", "-c", "echo $(A)")
    assert container.env == {"A": "1", "B": ""}
    assert container.working_dir == "/tmp"


@pytest.mark.parametrize(
    ("document", "field", "problem"),
    [
        (None, "", "not a Pod"),
        ([], "", "not a Pod"),
        (a_pod() | {"kind": "Job"}, "kind", '"Job" is not known'),
        (a_pod() | {"apiVersion": "v2"}, "apiVersion", '"v2" is not known'),
        (a_pod() | {"metadata": {}}, "metadata.name", "is missing"),
        (a_pod() | {"metadata": {"name": 7}}, "metadata.name", "7 is a number, not a string"),
        (a_pod() | {"metadata": {"name": "../etc"}}, "metadata.name", "not a valid name"),
        (a_pod() | {"metadata": {"name": "a", "uid": "a/b"}}, "metadata.uid", "not a valid name"),
        (a_pod() | {"metadata": {"name": "a", "labels": {"x": 1}}}, "metadata.labels.x", "1 is a number"),
        (
            a_pod() | {"metadata": {"name": "a", "annotations": {"memqos.dev/swap-limit": 0}}},
            "metadata.annotations[memqos.dev/swap-limit]",
            "0 is a number",
        ),
        (a_pod() | {"spec": None}, "spec.containers", "missing or empty"),
        (a_pod(containers={}), "spec.containers", "not a list"),
        (a_pod(containers=["x"]), "spec.containers[0]", "not a mapping"),
        (a_pod(containers=[{}]), "spec.containers[0].name", "is missing"),
        (a_pod(containers=[{"name": "a"}, {"name": "a"}]), "spec.containers[1].name", "two containers"),
        (a_pod(initContainers=[{"name": "main"}]), "spec.containers[0].name", "two containers"),
        (a_pod(restartPolicy="Sometimes"), "spec.restartPolicy", '"Sometimes" is not known'),
        (a_pod(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds", "out of range"),
        (
            a_pod(terminationGracePeriodSeconds=True),
            "spec.terminationGracePeriodSeconds",
            "true is true or false",
        ),
        (a_pod(priority="high"), "spec.priority", "not an integer"),
        (a_pod(priorityClassName="gold"), "spec.priorityClassName", 'no PriorityClass "gold"'),
        (
            with_resources(limits={"memory": "64MB"}),
            "spec.containers[0].resources.limits.memory",
            '"64MB" is not',
        ),
        (with_resources(limits={"memory": [1]}), "spec.containers[0].resources.limits.memory", "a list"),
        (
            with_resources(limits={"memory": True}),
            "spec.containers[0].resources.limits.memory",
            "true is not",
        ),
        (with_resources(limits={"memory": "-1"}), "spec.containers[0].resources.limits.memory", "negative"),
        (
            with_resources(limits={"memory": float("inf")}),
            "spec.containers[0].resources.limits.memory",
            "inf is not",
        ),
        (with_resources(limits={1: "1"}), "spec.containers[0].resources.limits[1]", "not a string"),
        (
            with_resources(requests={"memory": "2Mi"}, limits={"memory": "1Mi"}),
            "spec.containers[0].resources.requests.memory",
            "more than the limit",
        ),
        (
            with_resources(requests={"swap": "1Mi"}),
            "spec.containers[0].resources.requests.swap",
            "limits only",
        ),
        (a_pod(containers=[{"name": "a", "args": [1]}]), "spec.containers[0].args[0]", "1 is a number"),
        (
            a_pod(containers=[{"name": "a", "env": [{"name": "A", "value": 1}]}]),
            "spec.containers[0].env[0].value",
            "1 is a number",
        ),
    ],
)
def test_what_is_wrong_is_named_by_field(document: Any, field: str, problem: str) -> None:
    error = failure(document)
    assert (error.source, error.field) == ("pods.yaml", field)
    assert problem in error.problem
    assert error.remedy


def test_a_file_holds_many_documents_and_other_kinds_come_back_apart(tmp_path: Path) -> None:
    found = load(
        tmp_path, POD % "a" + "---\n---\napiVersion: v1\nkind: ConfigMap\ndata: {}\n---\n" + POD % "b"
    )
    assert [pod.name for pod in found.pods] == ["a", "b"]
    assert [(each.kind, each.source[-10:]) for each in found.others] == [("ConfigMap", "document 3")]


def test_a_list_is_unfolded_and_errors_name_the_item(tmp_path: Path) -> None:
    item = '{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "%s"}, '
    item += '"spec": {"containers": [{"name": "c"}]}}'
    text = '{"kind": "List", "apiVersion": "v1", "items": [%s, %s]}'
    assert len(load(tmp_path, text % (item % "a", item % "b"), "list.json").pods) == 2
    with pytest.raises(ManifestError, match=r"items\[1\]\.metadata\.name"):
        load(tmp_path, text % (item % "a", item % "B"), "list.json")


def test_a_directory_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "notes.txt"):
        (tmp_path / name).write_text(POD % name[0].replace(".", "h"))
    assert [pod.name for pod in load_manifests([tmp_path]).pods] == ["a", "b"]


def test_a_directory_without_a_manifest_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no manifest"):
        load_manifests([tmp_path])


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        load_manifests([tmp_path / "missing.yaml"])


def test_the_same_pod_twice_is_refused_and_both_places_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"document 2: metadata.name: .*first in .*document 1"):
        load(tmp_path, POD % "a" + "---\n" + POD % "a")


def test_a_document_without_a_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="kind: is missing"):
        load(tmp_path, "metadata: {name: a}\n")


CLASS = """
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: %s}
value: %s
globalDefault: %s
---
"""


def test_a_priority_class_counts_wherever_it_stands(tmp_path: Path) -> None:
    pod = POD.replace("spec: {", "spec: {priorityClassName: gold, ") % "a"
    found = load(tmp_path, pod + "---" + CLASS % ("gold", 1000, "false"))
    assert found.pods[0].priority == 1000


def test_a_pod_without_a_class_takes_the_global_default(tmp_path: Path) -> None:
    found = load(tmp_path, CLASS % ("usual", 5, "true") + POD % "a")
    assert (found.pods[0].priority, found.pods[0].priority_class_name) == (5, "usual")


def test_the_systems_own_classes_exist_without_a_manifest() -> None:
    assert pod_from_dict(a_pod(priorityClassName="system-node-critical")).priority == 2_000_001_000
    assert pod_from_dict(a_pod(priorityClassName="system-cluster-critical")).priority == 2_000_000_000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (CLASS % ("gold", 2_000_000_000, "false"), "value: 2000000000 is more than 1000000000"),
        (CLASS % ("system-mine", 1, "false"), "the system's"),
        (CLASS % ("gold", '"1"', "false"), "value: .* not an integer"),
        (CLASS % ("gold", "", "false"), "value: is missing"),
        (CLASS % ("a", 1, "true") + CLASS % ("b", 1, "true"), "globalDefault: .* already"),
        (CLASS % ("a", 1, "false") + CLASS % ("a", 2, "false"), "exists already"),
    ],
)
def test_a_wrong_priority_class_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem):
        load(tmp_path, text)


def test_documents_that_are_parsed_already_are_named_by_their_place() -> None:
    assert [pod.name for pod in manifests_from([a_pod()]).pods] == ["ledger"]
    with pytest.raises(ManifestError, match=r"e.yaml: pods\[1\].metadata.name: .*first in e.yaml pods\[0\]"):
        manifests_from([a_pod(), a_pod()], source="e.yaml", field="pods")
    with pytest.raises(ManifestError, match=r"pods\[0\]: 7 is a number"):
        manifests_from([7], field="pods")
