from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from memqos.errors import ExperimentError
from memqos.lab.campaign import check_inputs
from memqos.lab.catalogue import list_experiments
from memqos.lab.reading import read


def asked(tmp_path: Path, of: str, **rest: Any) -> None:
    """Check an experiment with one pod of one container, one mark and one disk that asks this."""
    container = {"name": "main", "command": ["sleep", "9"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container]}}
    head = {
        "apiVersion": "memqos.dev/v1alpha1",
        "kind": "Experiment",
        "name": "x",
        "title": "t",
        "study": "s",
    }
    steps = [{"start": "a"}, {"mark": "end"}]
    body = {
        "pods": [pod],
        "timeline": steps,
        "disks": {"data": {"size": "1Mi"}},
        "measures": {"m": {"of": of}},
    }
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({**head, **body, **rest}))
    check_inputs(read(path))


@pytest.mark.parametrize(
    ("of", "error"),
    [
        ('holds("b", "memory.current")', "there is no pod 'b'; use a, a/main"),
        ('holds("a/side", "memory.current")', "there is no pod 'a/side'; use a, a/main"),
        ('pods("b", "alive")', "there is no pod 'b'"),
        ('happened("exited", "b")', "there is no pod 'b'"),
        ('stat("a", "anon", "begin")', "there is no mark 'begin'; use end"),
        ('work("a", "pages", "begin")', "there is no mark 'begin'; use end"),
        ('io("a", "rbytes", "end", "swap")', "there is no disk 'swap'; use data"),
        ('series("s", "max")', "there is no series 's'; use a series that there is"),
        ('holds("a")', "missing a required argument: 'file'; write holds(pod, file, mark)"),
        ("near(1)", "missing a required argument: 'wanted'; write near(value, wanted, tolerance)"),
        ('seconds("end", "end")', "too many positional arguments; write seconds(mark)"),
    ],
)
def test_what_cannot_be_asked_is_an_error_before_anything_is_played(
    tmp_path: Path, of: str, error: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        asked(tmp_path, of)
    assert error in str(caught.value)
    assert caught.value.field == "measures.m.of"
    assert caught.value.source.startswith(f"{tmp_path}/x.yaml:")


@pytest.mark.parametrize(
    "of",
    [
        'holds("a/main", "memory.current", "end") - holds("a", "memory.current", "")',
        'series("s", "max", "end")',
        'took("anything", "real")',
        'max(seconds(), seconds("end"))',
        'pods("a", "alive") + happened("evicting")',
    ],
)
def test_what_can_be_asked_passes(tmp_path: Path, of: str) -> None:
    asked(tmp_path, of, series={"s": {"of": 'holds("a", "memory.current")'}})


def test_copies_are_asked_together_and_one_by_one(tmp_path: Path) -> None:
    for of in ('pods("a", "alive")', 'holds("a-2", "memory.current")', 'holds("a-2/main", "memory.current")'):
        asked(tmp_path, of, copies={"a": 2})


def test_every_built_in_experiment_asks_what_can_be_asked() -> None:
    for experiment in list_experiments():
        check_inputs(experiment)
