from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from memqos.errors import ExperimentError
from memqos.lab.amounts import cycle
from memqos.lab.experiment import EXPERIMENTS
from memqos.lab.reading import read

RESOURCES = "pods.0.spec.containers.0.resources"


def changed(tmp_path: Path, at: str, value: Any) -> Path:
    """E1's file with one value put in the place of another."""
    document = yaml.safe_load((EXPERIMENTS / "e1.yaml").read_text())
    *path, last = [int(part) if part.isdigit() else part for part in at.split(".")]
    inner: Any = document
    for part in path:
        inner = inner[part]
    inner[last] = value
    (tmp_path / "e1.yaml").write_text(yaml.safe_dump(document))
    return tmp_path / "e1.yaml"


@pytest.mark.parametrize(
    ("at", "value", "error"),
    [
        ("colour", "red", "colour: there is no such field; use apiVersion, copies, disks, every, "),
        ("node.ram", "1Gi", "node.ram: there is no such field; use cpus, memory, mglru, readAheadKb, "),
        ("node.memory", 5, "node.memory: 5 is a whole number, not text; write text, in quotes"),
        ("node.thp", "maybe", 'node.thp: "maybe" is not known; write always, madvise, never'),
        ("disks.data.iops", "many", 'disks.data.iops: "many" is text, not a whole number; write a whole'),
        ("timeline.2", {"explode": 1}, "timeline[2].explode: there is no such field; use at, dropCaches, "),
        ("timeline", [], "timeline: is empty, so nothing would happen; start a pod"),
        ("kind", "Pod", "kind: is of kind Pod, not Experiment; list it under `pods` of an Experiment"),
        ("node.memory", "-1Gi", "node.memory: '-1Gi' is negative"),
        ("node.memory", "1Mi", "node.memory: a node has 256Mi at least"),
        ("node.cpus", 0, "node.cpus: 0 is no number of CPUs; write 1 to 512"),
        ("node.cpus", 100_000, "node.cpus: 100000 is no number of CPUs; write 1 to 512"),
        ("node.swappiness", 201, "node.swappiness: 201 is no swappiness; write 0 to 200"),
        ("node.readAheadKb", -1, "node.readAheadKb: -1 is no size; write 0 or more"),
        ("disks.data.size", "0", "disks.data.size: a disk has 1Mi at least"),
        ("disks.data.iops", -1, "disks.data.iops: -1 is no rate; write 0 or more"),
        ("files.0.size", "-1Mi", "files[0].size: '-1Mi' is negative"),
        ("files.0.size", "0", "files[0].size: 0 is no size of a file; write more than 0"),
        ("files.0.path", "../x", "files[0].path: '../x' does not stay on the data disk"),
        ("files.0.size", "900Mi", "disks.data.size: 900 MiB of files do not fit on a disk of 600 MiB"),
        ("node.swapFile", "300Mi", "disks.data.size: 700 MiB of files do not fit on a disk of 600 MiB"),
        ("every", -1, "every: -1 is before now; write 0 or more"),
        ("timeline.2.sleep", -3, "timeline[2].sleep: -3 is before now; write 0 or more"),
        ("timeline.2", {"sample": {"count": 0}}, "timeline[2].sample.count: 0 is no number of samples"),
        (
            "timeline.2",
            {"wait": {"pod": "reader", "every": 1.0}},
            "timeline[2].wait.every: there is no such field; leave it out: it is looked four times a second",
        ),
        (
            "timeline.2",
            {"wait": {"pod": "reader", "how": 1}},
            "timeline[2].wait.how: there is no such field; use patient, pod, timeout, until, word",
        ),
        ("timeline.1.exec.timeout", -3, "timeline[1].exec.timeout: -3 is before now; write 0 or more"),
        ("measures.rbytes_after.of", "reread", "measures.rbytes_after.of: measures in a circle"),
        ("measures.reread.of", "reread", "measures.reread.of: measures in a circle: reread needs reread"),
        ("node.memory", "1Ei", "node.memory: 1Ei is larger than any node; write at most 4Ti"),
        ("node.swapFile", "5Ti", "node.swapFile: 5Ti is larger than any node; write at most 4Ti"),
        ("disks.swap", {"size": "1Ei"}, "disks.swap.size: 1Ei is larger than any node; write at most 4Ti"),
        (
            "files",
            [{"path": "a", "size": "1Mi"}] * 2,
            "files[1].path: 'a' is given twice; name each file once",
        ),
        ("copies", {"nobody": 2}, "copies.nobody: there is no pod 'nobody' to copy; use reader"),
        ("copies", {"reader": 0}, "copies.reader: 0 is no number of copies; write 1 to 500"),
        ("every", float("nan"), "every: nan is no time; write a number of seconds"),
        ("every", 1e-9, "every: 1e-09 is no period; write 0, or 0.001 or more"),
        ("timeout", float("inf"), "timeout: inf is no time; write a number of seconds"),
        ("timeline.2.sleep", 1e18, "timeline[2].sleep: 1e+18 s are longer than anything that is played"),
        ("timeline.2.sleep", float("nan"), "timeline[2].sleep: nan is no time; write a number of seconds"),
        ("variants.0.set.limit", "4Ki", "pods[0].spec.containers[0].resources.limits.memory: a limit of 4Ki"),
        (f"{RESOURCES}.limit", {}, "pods[0].spec.containers[0].resources: 'limit' is not a key of resources"),
    ],
)
def test_one_error_names_the_field(tmp_path: Path, at: str, value: Any, error: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(changed(tmp_path, at, value))
    assert error in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/e1.yaml:")
    assert "\n" not in str(caught.value)


def test_a_document_that_contains_itself_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("pods: &pods [*pods]\n")
    with pytest.raises(ExperimentError, match="contains itself"):
        read(path)


def test_every_built_in_experiment_is_plausible() -> None:
    for path in sorted(EXPERIMENTS.glob("*.yaml")):
        read(path)


def test_a_circle_is_told_from_two_ways_to_the_same_name() -> None:
    assert cycle({"a": frozenset("bc"), "b": frozenset("d"), "c": frozenset("d"), "d": frozenset()}) == []
    assert cycle({"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b")}) == ["b", "c", "b"]
