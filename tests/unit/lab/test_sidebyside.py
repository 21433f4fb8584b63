from pathlib import Path
from typing import Any

import pytest
import yaml

from memqos.errors import ExperimentError, InputError
from memqos.lab.experiment import Experiment
from memqos.lab.reading import read
from memqos.lab.sidebyside import BUILT_IN, Policy, check_groups, find_scenario, groups_of, read_policies

POLICY = {
    "apiVersion": "memqos.dev/v1alpha1",
    "kind": "MemoryPolicy",
    "metadata": {"name": "default"},
    "spec": {"swap": {"mode": "PodChoice"}},
}
FIRST, SECOND = Policy("first", POLICY), Policy("kubelet alone", None)


def experiment(tmp_path: Path, *variants: dict[str, Any], **rest: Any) -> Experiment:
    document = {
        "apiVersion": "memqos.dev/v1alpha1",
        "kind": "Experiment",
        "name": "x",
        "title": "t",
        "study": "s",
        "pods": [],
        "timeline": [{"sleep": 1}],
        "variants": list(variants),
    }
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({**document, **rest}))
    return read(path)


def names(experiment: Experiment, *policies: Policy) -> list[list[str]]:
    return [[run.name for run in group.runs] for group in groups_of(experiment, policies)]


def test_without_a_policy_the_variants_are_played_as_they_are(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, {"name": "alone"}, {"name": "managed", "policy": POLICY})
    (group,) = groups_of(wanted, ())
    assert [run.play.policy for run in group.runs] == [None, POLICY]
    assert group.asks


def test_variants_that_differ_only_in_their_policy_are_one_under_another(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, {"name": "alone"}, {"name": "managed", "policy": POLICY})
    assert names(wanted, FIRST, SECOND) == [["first"], ["kubelet alone"]]
    groups = groups_of(wanted, (FIRST, SECOND))
    assert [group.runs[0].play.policy for group in groups] == [POLICY, None]
    assert not any(group.asks for group in groups)


def test_variants_that_differ_in_more_are_played_under_each_policy(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, {"name": "a", "set": {"x": 1}}, {"name": "b", "set": {"x": 2}})
    assert names(wanted, FIRST) == [["first"]]  # nothing in the file asks for x
    document = yaml.safe_load((tmp_path / "x.yaml").read_text())
    document["timeline"] = [{"sleep": "${x}"}]
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(document))
    assert names(read(tmp_path / "x.yaml"), FIRST) == [["a first", "b first"]]
    assert groups_of(read(tmp_path / "x.yaml"), (FIRST,))[0].asks


def test_policies_of_one_name_are_told_apart_and_one_given_twice_is_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "policy.yaml").write_text(yaml.safe_dump(POLICY))
    files = [str(tmp_path / folder / "policy.yaml") for folder in ("one", "two")]
    assert [each.name for each in read_policies([*files, "none"])] == [*files, "kubelet alone"]
    assert read_policies(files[:1])[0].name == "policy"
    with pytest.raises(InputError, match="is given twice"):
        read_policies(["none", "none"])


def test_what_is_wrong_in_a_policy_is_named_by_its_place_in_that_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump({**POLICY, "spec": {"swap": {"mode": "Sometimes"}}}))
    with pytest.raises(InputError, match="is not known") as caught:
        read_policies([str(path)])
    assert (caught.value.source, caught.value.field) == (str(path), "spec.swap.mode")


def test_scenarios_are_found_by_name_and_by_file(tmp_path: Path) -> None:
    (tmp_path / "scenario").write_text("kind: Pod\n")
    with pytest.raises(ExperimentError, match="is of kind Pod, not Experiment"):
        find_scenario(str(tmp_path / "scenario"))
    assert find_scenario(BUILT_IN).name == "mixed"
    assert find_scenario("e1").name == "e1"
    experiment(tmp_path)
    assert find_scenario(str(tmp_path / "x.yaml")).name == "x"
    with pytest.raises(ExperimentError, match="there is no scenario 'e99'; use mixed"):
        find_scenario("e99")


def asking(name: str, request: str) -> dict[str, Any]:
    container = {"name": "main", "command": ["sleep", "1"], "resources": {"requests": {"memory": request}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container]},
    }


@pytest.mark.parametrize(
    ("request_", "steps", "said"),
    [
        ("400Mi", ["start a", "start b"], ""),
        ("500Mi", ["start a", "start b"], "timeline[1].start: the pods started by then request 1000 MiB"),
        ("500Mi", ["start a", "stop a", "start b"], ""),
        ("900Mi", ["start a"], "timeline[0].start: the pods started by then request 900 MiB of memory, and"),
    ],
)
def test_pods_that_a_node_has_no_room_for_are_told(
    tmp_path: Path, request_: str, steps: list[str], said: str
) -> None:
    timeline = [dict([step.split()]) for step in steps]
    wanted = experiment(tmp_path, pods=[asking(name, request_) for name in "ab"], timeline=timeline)
    notes = check_groups(wanted, groups_of(wanted, ()))
    assert len(notes) == bool(said)
    assert said in "".join(notes)
