from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from memqos.errors import ExperimentError
from memqos.lab.experiment import Experiment
from memqos.lab.reading import read

START = {"start": "a"}


def experiment(tmp_path: Path, *steps: dict[str, Any], **rest: Any) -> Experiment:
    """One pod, or its copies, and this timeline."""
    container = {"name": "main", "command": ["sleep", "9"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container]}}
    head = {
        "apiVersion": "memqos.dev/v1alpha1",
        "kind": "Experiment",
        "name": "x",
        "title": "t",
        "study": "s",
    }
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({**head, "pods": [pod], "timeline": list(steps), **rest}))
    return read(path)


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([{"start": "b"}], "timeline[0].start: there is no pod 'b'; use a"),
        ([START, START], "timeline[1].start: the pod 'a' is started already; stop it before"),
        ([{"stop": "a"}], "timeline[0].stop: the pod 'a' is not started at this point; start it before"),
        ([{"wait": {"pod": "a"}}], "timeline[0].wait.pod: the pod 'a' is not started at this point"),
        (
            [{"exec": {"pod": "a", "command": ["sleep", "1"]}}],
            "timeline[0].exec.pod: the pod 'a' is not started at this point; start it before",
        ),
        (
            [START, {"exec": {"pod": "a", "container": "z", "command": ["sleep", "1"]}}],
            "timeline[1].exec.container: the pod has no container 'z'; use main",
        ),
        (
            [START, {"write": {"pod": "a", "container": "z", "knob": "memory.max", "value": "1Mi"}}],
            "timeline[1].write.container: the pod has no container 'z'; use main",
        ),
        ([START, {"wait": {"pod": "a", "until": "said"}}], "timeline[1].wait.word: is missing"),
        ([{"mark": "m"}, {"mark": "m"}], "timeline[1].mark: 'm' is given twice; take another name"),
        ([{"mark": ""}], "timeline[0].mark: is empty; give it a name"),
        (
            [START, *[{"exec": {"pod": "a", "command": ["sleep", "1"], "as": "q"}}] * 2],
            "timeline[2].exec.as: 'q' is given twice; take another name",
        ),
    ],
)
def test_a_step_that_cannot_be_done_is_one_error_before_anything_is_played(
    tmp_path: Path, steps: list[dict[str, Any]], error: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        experiment(tmp_path, *steps)
    assert error in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/x.yaml:")


def test_a_pod_that_was_stopped_may_be_started_again(tmp_path: Path) -> None:
    assert experiment(tmp_path, START, {"stop": "a"}, START).timeline


def test_copies_are_started_together_and_one_of_them_runs_a_command(tmp_path: Path) -> None:
    command = {"command": ["sleep", "1"]}
    assert experiment(tmp_path, START, {"exec": {"pod": "a-2", **command}}, copies={"a": 2}).timeline
    with pytest.raises(ExperimentError, match="there is no pod 'a'; use a-1, a-2"):
        experiment(tmp_path, START, {"exec": {"pod": "a", **command}}, copies={"a": 2})


def test_metadata_that_is_no_mapping_is_an_error_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="there is no pod 'b' to copy"):
        experiment(
            tmp_path, START, pods=[{"apiVersion": "v1", "kind": "Pod", "metadata": 5}], copies={"b": 1}
        )


@pytest.mark.parametrize("containers", [5, "x", {}, [5], None])
def test_containers_of_any_form_are_left_to_the_pods_reader(tmp_path: Path, containers: Any) -> None:
    spec = {"containers": containers}
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}]
    step = {"exec": {"pod": "a", "container": "z", "command": ["sleep", "1"]}}
    with pytest.raises(ExperimentError, match="the pod has no container 'z'"):
        experiment(tmp_path, START, step, pods=pods)
