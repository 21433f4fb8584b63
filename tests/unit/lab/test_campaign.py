import json
from pathlib import Path

import msgspec
import pytest

from memqos.errors import LabError, RecordingError, ToolMissing
from memqos.lab import campaign
from memqos.lab.campaign import Progress, plays_of, run
from memqos.lab.catalogue import find_experiments, list_experiments
from memqos.lab.experiment import NodeSpec
from memqos.lab.judging import judge
from memqos.lab.kernels import Kernel
from memqos.lab.recording import Executed, Recording, encode
from memqos.lab.run import GuestResult

KERNEL = Kernel("6.12", "6.12.1-amd64", "linux-image", "6.12.1-1", "trixie", "vmlinux", (), Path("/cache/k"))
EXPERIMENT = """\
apiVersion: memqos.dev/v1alpha1
kind: Experiment
name: x
title: A title
study: What the study says.
pods: []
timeline: [{sleep: 1}]
variants: [{name: a}, {name: b}]
measures: {took: {of: 'took("job", "real")', unit: seconds}}
expect: [{that: a.took >= b.took}]
"""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(campaign.qemu, "program", lambda: "qemu")
    monkeypatch.setattr(campaign.initramfs, "busybox", lambda: Path("/bin/busybox"))
    monkeypatch.setattr(campaign, "fetch", lambda name, say: KERNEL)
    monkeypatch.setattr(campaign, "accelerator", lambda kernel: "tcg")
    path = tmp_path / "x.yaml"
    path.write_text(EXPERIMENT)
    return find_experiments([str(path)])


def guest(out_dir: Path, *variants: str, status: int = 0) -> GuestResult:
    files = {}
    (out_dir / "out").mkdir(exist_ok=True)
    for name in variants:
        path = out_dir / "out" / f"record-{name}.json"
        execs = {"job": Executed(started=0.0, real=1.0, user=0.0, sys=0.0, status=0)}
        path.write_bytes(encode(Recording(variant=name, release="6.12.1", execs=execs)))
        files[path.name] = path
    return GuestResult(status, "said\nlast words\n", files, out_dir / "console.log", KERNEL, "tcg", 1)


def test_a_run_ends_in_a_result_and_its_json(tmp_path: Path, experiment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(campaign, "run_in_guest", lambda argv, out_dir, **_: guest(out_dir, "a", "b"))
    steps: list[Progress] = []
    (result,) = run(experiment, ["6.12"], tmp_path / "out", steps.append)
    assert result.holds
    assert [each.name for each in result.variants] == ["a", "b"]
    assert json.loads((tmp_path / "out/x/6.12/result.json").read_text())["holds"] is True
    assert (steps[-1].state, steps[-1].text) == ("done", "1 of 1 hold")


def test_a_run_of_which_nothing_was_expected_is_done(
    tmp_path: Path, experiment, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(campaign, "run_in_guest", lambda argv, out_dir, **_: guest(out_dir, "a", "b"))
    steps: list[Progress] = []
    plain = msgspec.structs.replace(experiment[0], expect=[])
    (result,) = run([plain], ["6.12"], tmp_path / "out", steps.append)
    assert result.holds
    assert (steps[-1].state, steps[-1].text) == ("done", "played; nothing was expected")


@pytest.mark.parametrize(
    "error", [ToolMissing("apt-get is not here"), LabError("the suite cannot be fetched")]
)
def test_a_kernel_that_cannot_be_had_does_not_stop_the_others(
    tmp_path: Path, experiment, monkeypatch: pytest.MonkeyPatch, error: LabError
):
    def fetch(name: str, say: object) -> Kernel:
        if name == "6.1":
            raise error
        return KERNEL

    monkeypatch.setattr(campaign, "fetch", fetch)
    monkeypatch.setattr(campaign, "run_in_guest", lambda argv, out_dir, **_: guest(out_dir, "a", "b"))
    first, second = run(experiment, ["6.1", "6.12"], tmp_path / "out")
    assert (first.problem, first.holds) == (str(error), False)
    assert second.holds


def test_a_guest_that_failed_says_its_last_words(tmp_path: Path, experiment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(campaign, "run_in_guest", lambda argv, out_dir, **_: guest(out_dir, "a", status=1))
    (result,) = run(experiment, ["6.12"], tmp_path / "out")
    assert "status 1" in result.problem
    assert "last words" in result.problem


def test_a_variant_without_a_recording_is_a_problem(tmp_path: Path, experiment, monkeypatch):
    monkeypatch.setattr(campaign, "run_in_guest", lambda argv, out_dir, **_: guest(out_dir, "a"))
    (result,) = run(experiment, ["6.12"], tmp_path / "out")
    assert "variant b left no recording" in result.problem


def test_a_campaign_that_was_cut_off_plays_what_is_missing(
    tmp_path: Path, experiment, monkeypatch: pytest.MonkeyPatch
):
    asked: list[list[str]] = []

    def half(argv: list[str], out_dir: Path, **_: object) -> GuestResult:
        wanted = [each["name"] for each in json.loads((out_dir / "missing.json").read_text())]
        asked.append(wanted)
        return guest(out_dir, wanted[0])

    monkeypatch.setattr(campaign, "run_in_guest", half)
    out = tmp_path / "out"
    (cut_off,) = run(experiment, ["6.12"], out)
    (whole,) = run(experiment, ["6.12"], out, resume=True)
    (again,) = run(experiment, ["6.12"], out, resume=True)
    assert (cut_off.holds, whole.holds, again.holds) == (False, True, True)
    assert asked == [["a", "b"], ["b"]]
    larger = msgspec.structs.replace(experiment[0], node=NodeSpec(memory="2Gi"))
    run([larger], ["6.12"], out, resume=True)
    assert asked[2:] == [["a", "b"]]


def test_without_qemu_nothing_is_tried(tmp_path: Path, experiment, monkeypatch: pytest.MonkeyPatch):
    def missing() -> str:
        raise ToolMissing("qemu-system-x86_64 is not installed")

    monkeypatch.setattr(campaign.qemu, "program", missing)
    with pytest.raises(ToolMissing):
        run(experiment, ["6.12"], tmp_path / "out")


def test_what_earlier_runs_left_is_judged_again(tmp_path: Path, experiment):
    for folder, seconds in (("one", 1.0), ("two", 5.0), ("three", 3.0)):
        out = tmp_path / folder / "x" / "6.12" / "out"
        out.mkdir(parents=True)
        (out.parent / "result.json").write_text('{"accel": "tcg"}')
        (out.parent / "plays.json").write_bytes(msgspec.json.encode(plays_of(experiment[0])))
        for name in ("a", "b"):
            execs = {"job": Executed(started=0.0, real=seconds, user=0.0, sys=0.0, status=0)}
            (out / f"record-{name}.json").write_bytes(
                encode(Recording(variant=name, release="6.12.1", execs=execs))
            )
    (result,) = judge(experiment, ["6.1", "6.12"], tmp_path)
    took = result.variants[0].measures[0]
    assert (result.kernel, result.accel, result.variants[0].runs) == ("6.12", "tcg", 3)
    assert (took.value, took.least, took.most) == (3.0, 1.0, 5.0)
    other = msgspec.structs.replace(experiment[0], name="y")
    assert [each.problem for each in judge([*experiment, other], ["6.12"], tmp_path)] == [
        "",
        "there is no recording",
    ]
    with pytest.raises(RecordingError, match="no recording of x"):
        judge(experiment, ["7.2"], tmp_path)
    changed = msgspec.structs.replace(experiment[0], timeline=[{"sleep": 2}])
    with pytest.raises(RecordingError, match="no recording of x"):
        judge([changed], ["6.12"], tmp_path)


def test_experiments_are_listed_by_their_number(tmp_path: Path):
    for name in ("e10", "e9", "k1", "e1"):
        (tmp_path / f"{name}.yaml").write_text(EXPERIMENT.replace("name: x", f"name: {name}"))
    assert [each.name for each in list_experiments(tmp_path)] == ["e1", "e9", "e10", "k1"]
