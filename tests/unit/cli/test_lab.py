from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from memqos.cli import exits
from memqos.lab.campaign import plays_of
from memqos.lab.catalogue import find_experiments
from memqos.lab.recording import Executed, Recording, encode

SCENARIO = """\
apiVersion: memqos.dev/v1alpha1
kind: Experiment
name: x
title: A title
study: What the study says.
pods: []
timeline: [{sleep: 1}]
measures: {took: {of: 'took("job", "real")', unit: seconds}}
"""


def recorded(tmp_path: Path, expect: str = "") -> tuple[Path, Path]:
    """A scenario's file, and a directory with a recording of it."""
    file, home = tmp_path / "x.yaml", tmp_path / "recorded" / "x" / "6.12"
    file.write_text(SCENARIO + expect)
    (home / "out").mkdir(parents=True)
    (home / "plays.json").write_bytes(msgspec.json.encode(plays_of(*find_experiments([str(file)]))))
    execs = {"job": Executed(started=0.0, real=1.0, user=0.0, sys=0.0, status=0)}
    record = Recording(variant="run", release="6.12.1", execs=execs)
    (home / "out" / "record-run.json").write_bytes(encode(record))
    return file, tmp_path / "recorded"


@pytest.mark.parametrize(("expect", "ends"), [("", exits.OK), ("expect: [{that: took > 1}]", exits.NOT_HELD)])
def test_a_run_ends_with_1_only_where_an_expectation_does_not_hold(
    run, tmp_path: Path, expect: str, ends: int
) -> None:
    file, directory = recorded(tmp_path, expect)
    status, _, err = run("lab", "run", file, "--recorded", directory, "--out", tmp_path / "out")
    assert (status, err) == (ends, "")


def test_recordings_that_are_not_there_are_bad_input(run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, _, err = run("lab", "run", "e1", "--recorded", tmp_path / "empty")
    assert status == exits.BAD_INPUT
    assert err == (
        f"memqos: {tmp_path}/empty: has no recording of e1 on 6.12, or only of what they were before; "
        f"memqos lab run e1 --out {tmp_path}/empty\n"
    )


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0"])
def test_a_trial_of_no_time_boots_no_machine(run, manifest: Path, value: str) -> None:
    status, _, err = run("lab", "try", "--pods", manifest, "--seconds", value)
    assert status == exits.BAD_INPUT
    assert "Invalid value for '--seconds'" in err


def test_lab_wants_to_know_which_experiments(run) -> None:
    status, _, err = run("lab", "run")
    assert status == exits.BAD_INPUT
    assert "lab list" in err


@pytest.mark.parametrize("text", ["not JSON", "{}", '{"rows": ["a"]}', '{"rows": [{"experiment": "e1"}]}'])
def test_a_first_comparison_that_is_none_is_told_before_anything_is_compared(
    run, tmp_path: Path, text: str
) -> None:
    first = tmp_path / "first.json"
    first.write_text(text)
    status, _, err = run("lab", "compare", "e1", "--first", first, "--recorded", tmp_path)
    assert status == exits.BAD_INPUT
    assert err == f"memqos: {first}: is no comparison; give what `memqos lab compare --json` printed\n"


def test_a_trial_of_no_pod_boots_no_machine(run, manifest: Path) -> None:
    manifest.write_text(
        manifest.read_text().replace("kind: Pod", "kind: Deployment").replace("v1", "apps/v1")
    )
    status, out, err = run("lab", "try", "--pods", manifest)
    assert (status, out) == (exits.BAD_INPUT, "")
    assert "there is no Pod, only Deployment" in err
