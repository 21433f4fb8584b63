"""Manifests nobody would write: every one is read, or refused with a `ManifestError`; nothing else."""

from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from memqos.cluster.documents import parse_yaml
from memqos.cluster.kubelet_pods import pod_list_from
from memqos.cluster.manifest import pod_from_dict
from memqos.errors import ManifestError
from memqos.model.pods import Pod
from memqos.units import INT64_MAX

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.builds(lambda: 10**4400),
    st.floats(),
    st.text(),
    st.dates(),
    st.binary(max_size=9),
    st.sampled_from(
        [
            "64Mi",
            "1e30Gi",
            "-1",
            "limited ",
            "0",
            "٣Mi",
            "9" * 999,
            "9" * 5000,
            "1e999999999",
            "Always",
            "Never",
            "app",
        ]
    ),
)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, junk)


names = mostly(st.sampled_from(["app", "web-0", "a.b", "A", "a/b", "..", "", "ö", "x" * 300]))
quantities = mostly(
    st.sampled_from(["64Mi", "1G", "0", 134217728, 1.5, "1e3", "128 Mi", "-1", "1Ki", "100m"])
)
amounts = mostly(
    st.dictionaries(st.sampled_from(["memory", "cpu", "swap", "hugepages-2Mi"]), quantities, max_size=3)
)
resources = mostly(st.fixed_dictionaries({}, optional={"requests": amounts, "limits": amounts}))
containers = mostly(
    st.fixed_dictionaries(
        {"name": names},
        optional={
            "resources": resources,
            "command": mostly(st.lists(mostly(st.text()), max_size=3)),
            "args": junk,
            "env": mostly(
                st.lists(mostly(st.fixed_dictionaries({"name": names, "value": scalars})), max_size=2)
            ),
            "workingDir": scalars,
            "restartPolicy": scalars,
            "image": scalars,
        },
    )
)
specs = mostly(
    st.fixed_dictionaries(
        {"containers": mostly(st.lists(containers, min_size=1, max_size=3))},
        optional={
            "initContainers": mostly(st.lists(containers, max_size=2)),
            "resources": resources,
            "overhead": amounts,
            "restartPolicy": scalars,
            "priority": scalars,
            "priorityClassName": scalars,
            "terminationGracePeriodSeconds": scalars,
            "tolerations": junk,
        },
    )
)
metadata = mostly(
    st.fixed_dictionaries(
        {"name": names},
        optional={
            "namespace": names,
            "uid": names,
            "annotations": mostly(st.dictionaries(st.text(), st.text())),
            "labels": junk,
        },
    )
)
statuses = mostly(
    st.fixed_dictionaries(
        {},
        optional={
            "qosClass": scalars,
            "phase": scalars,
            "resources": resources,
            "containerStatuses": mostly(
                st.lists(
                    st.fixed_dictionaries({"name": names, "containerID": scalars, "resources": resources}),
                    max_size=2,
                )
            ),
        },
    )
)
pods = mostly(
    st.fixed_dictionaries(
        {"metadata": metadata, "spec": specs},
        optional={"kind": mostly(st.just("Pod")), "apiVersion": mostly(st.just("v1")), "status": statuses},
    )
)


def check(pod: Pod) -> None:
    """What holds of every pod that was accepted."""
    assert pod.containers
    everyone = [container.name for container in pod.all_containers]
    assert len(set(everyone)) == len(everyone)
    assert all("/" not in name and name not in ("", ".", "..") for name in [*everyone, pod.name, pod.uid])
    for container in pod.all_containers:
        assert 0 <= container.resources.memory_request <= INT64_MAX
        assert 0 <= container.resources.memory_limit <= INT64_MAX
        assert all(isinstance(text, str) for text in (*container.command, *container.args))
    assert all(isinstance(value, str) for value in pod.annotations.values())


def attempt(read: Callable[[], Any]) -> Any:
    """What was read, or the error."""
    try:
        return read()
    except ManifestError as error:
        return error


@given(document=pods)
def test_any_document_is_a_sound_pod_or_one_clear_error(document: Any) -> None:
    found = attempt(lambda: pod_from_dict(document, source="fuzz.yaml"))
    if isinstance(found, Pod):
        check(found)
    else:
        assert found.source == "fuzz.yaml"
        assert found.problem
        assert len(str(found)) < 2000


@given(items=st.lists(pods, max_size=3))
def test_any_list_of_pods_costs_no_more_than_its_bad_items(items: list[Any]) -> None:
    found = pod_list_from({"kind": "PodList", "items": items})
    assert len(found.pods) + len(found.errors) == len(items)
    for pod in found.pods:
        check(pod)


yamlish = st.text(alphabet="{}[]:,-?&*!|>'\"%@ \n\tab1<~#")
structures = st.recursive(st.text() | st.booleans() | st.integers(), st.lists).map(repr)


@given(text=st.text() | yamlish | structures)
def test_any_text_is_plain_data_or_one_clear_error(text: str) -> None:
    found = attempt(lambda: list(parse_yaml(text, "fuzz.yaml")))
    if isinstance(found, ManifestError):
        assert str(found).startswith("fuzz.yaml")
        assert len(str(found)) < 2000
    else:
        plain(found)


@given(
    document=st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(), st.lists)
)
def test_what_a_yaml_writer_writes_is_read_back(document: Any) -> None:
    assert list(parse_yaml(yaml.safe_dump(document, default_style='"'))) == [document]


def plain(value: Any) -> None:
    """Fail for anything but JSON's types."""
    assert isinstance(value, (dict, list, str, int, float, bool, type(None)))
    if isinstance(value, dict):
        assert all(isinstance(key, str) for key in value)
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            plain(each)
