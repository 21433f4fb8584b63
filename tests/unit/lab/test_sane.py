from pathlib import Path
from typing import Any

import pytest
import yaml

from memqos.errors import ExperimentError
from memqos.lab.campaign import check_inputs
from memqos.lab.experiment import read

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a"},
    "spec": {"containers": [{"name": "main", "command": ["sleep", "1"]}]},
}


def limited(size: str) -> dict[str, Any]:
    container = {**POD["spec"]["containers"][0], "resources": {"limits": {"memory": size}}}  # type: ignore[index]
    return {**POD, "spec": {"containers": [container]}}


def problem(tmp_path: Path, **fields: Any) -> str:
    document = {
        "apiVersion": "memqos.dev/v1alpha1",
        "kind": "Experiment",
        "name": "x",
        "title": "t",
        "study": "s",
        "pods": [POD],
        "timeline": [{"start": "a"}],
        "disks": {"data": {"size": "64Mi"}},
        **fields,
    }
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ExperimentError) as caught:
        check_inputs(read(path))
    assert str(caught.value).startswith(f"{path}:")
    return str(caught.value).removeprefix(f"{path}:").partition(": ")[2]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"every": -1}, "every: -1 is not a time; write 0 or more seconds"),
        ({"timeline": [{"sleep": -5}]}, "timeline[0].sleep: -5 is not a time"),
        ({"timeline": [{"start": "a"}, {"at": -1, "stop": "a"}]}, "timeline[1].at: -1 is not a time"),
        ({"timeline": [{"sample": {"every": -2}}]}, "timeline[0].sample.every: -2 is not a time"),
        ({"timeline": [{"sample": {"count": 0}}]}, "timeline[0].sample.count: 0 is not a number of samples"),
        ({"timeline": [{"wait": {"pod": "a", "timeout": -1}}]}, "timeline[0].wait.timeout: -1 is not a time"),
        ({"files": [{"path": "f", "size": "0"}]}, "files[0].size: f has no bytes; write a size above 0"),
        ({"files": [{"path": "f", "size": "-1Mi"}]}, "files[0].size: '-1Mi' is negative"),
        (
            {"files": [{"path": "f", "size": "40Mi"}, {"path": "g", "size": "40Mi"}]},
            "disks.data.size: 80 MiB of files do not fit on a disk of 64 MiB; make the disk larger",
        ),
        ({"pods": [limited("100")]}, "pods: a/main has a memory limit of 100 bytes, not one page"),
        (
            {"pods": [limited("-1Mi")]},
            'pods[0].spec.containers[0].resources.limits.memory: "-1Mi" is negative',
        ),
        ({"nodes": {}}, "Object contains unknown field `nodes`"),
        ({"node": {"memry": "1Gi"}}, "node: Object contains unknown field `memry`"),
    ],
)
def test_what_makes_no_sense_is_one_error_with_line_and_field(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    assert problem(tmp_path, **fields).startswith(said)


def test_a_document_that_contains_itself_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("pods: &pods [*pods]\n")
    with pytest.raises(ExperimentError, match="contains itself"):
        read(path)
