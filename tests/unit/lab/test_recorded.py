from pathlib import Path

import msgspec
import pytest

from memqos.errors import RecordingError
from memqos.lab.campaign import plays_of
from memqos.lab.experiment import EXPERIMENTS, Experiment, Variant
from memqos.lab.recorded import Found, recordings_in
from memqos.lab.recording import Recording, Written, encode
from memqos.lab.variant import play


def experiment(source: str = "/a/x.yaml", **rest: object) -> Experiment:
    pod = {
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"command": ["cat", "${here}/f"]}]},
    }
    known = {"name": "x", "title": "t", "study": "s", "pods": [pod], "timeline": []}
    found = Experiment(kind="Experiment", api_version="memqos.dev/v1alpha1", **(known | rest))  # type: ignore[arg-type]
    return msgspec.structs.replace(found, source=source)


def recording(*knobs: str) -> Recording:
    writes = [Written(0.0, "kubepods", knob, "0", "written", "") for knob in knobs]
    return Recording(variant="run", release="r", writes=writes)


def left(directory: Path, of: Experiment, *knobs: str, name: str = "run", repeat: str = "") -> None:
    out = directory / of.name / "6.12" / "out"
    out.mkdir(parents=True, exist_ok=True)
    (out.parent / "plays.json").write_bytes(msgspec.json.encode(plays_of(of)))
    (out / f"record-{name}{repeat}.json").write_bytes(encode(recording(*knobs)))


def verdict(directory: Path, now: Experiment, *knobs: str) -> str | None:
    (found,) = recordings_in(directory, now, "6.12")["run"]
    return found.out_of_date(now, play(now, "run"), recording(*knobs))


def test_recordings_of_several_runs_and_repeats_are_found(tmp_path: Path) -> None:
    for run in ("run1", "run2"):
        left(tmp_path / run, experiment())
    left(tmp_path / "run2", experiment(), repeat="-2")
    assert len(recordings_in(tmp_path, experiment(), "6.12")["run"]) == 3


def test_a_variant_whose_name_ends_in_a_number_is_no_repeat_of_another(tmp_path: Path) -> None:
    both = experiment(variants=[Variant(name="v"), Variant(name="v-2")])
    left(tmp_path, both, name="v")
    left(tmp_path, both, name="v-2")
    assert {name: len(found) for name, found in recordings_in(tmp_path, both, "6.12").items()} == {
        "v": 1,
        "v-2": 1,
    }


def test_what_is_not_recorded_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=rf"memqos lab run /b/x\.yaml --kernel 6\.12 --out {tmp_path}"):
        recordings_in(tmp_path, experiment("/b/x.yaml"), "6.12")
    shipped = experiment(str(EXPERIMENTS / "x.yaml"))
    with pytest.raises(RecordingError, match=r"memqos lab run x --kernel 6\.12"):
        recordings_in(tmp_path, shipped, "6.12")


def test_an_archive_is_named_itself_not_the_folder_it_was_unpacked_to(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    with pytest.raises(
        RecordingError, match=rf"^{archive}: has .* --out DIR, and memqos lab keep DIR {archive}$"
    ):
        recordings_in(tmp_path, experiment(), "6.12", given=archive)


def test_a_recording_of_the_same_experiment_elsewhere_is_up_to_date(tmp_path: Path) -> None:
    left(tmp_path, experiment("/b/x.yaml"), "memory.high")
    assert verdict(tmp_path, experiment("/a/x.yaml"), "memory.high") is None


def test_a_recording_of_another_timeline_is_out_of_date(tmp_path: Path) -> None:
    left(tmp_path, experiment(every=1.0))
    assert verdict(tmp_path, experiment(every=2.0)) == "its every was another one"


def test_a_recording_in_another_machine_is_out_of_date(tmp_path: Path) -> None:
    left(tmp_path, experiment())
    machine = {"release": "r", "accel": "tcg", "machine": {"memory_mib": 1}}
    (tmp_path / "x" / "6.12" / "machine.json").write_bytes(msgspec.json.encode(machine))
    assert "was another one" in (verdict(tmp_path, experiment()) or "")


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (["memory.high", "memory.low"], ["memory.low"], "memory.high was written, and is not now"),
        ([], ["memory.low"], "memory.low was not written"),
    ],
)
def test_knobs_that_are_no_longer_written_or_newly_are_told(
    tmp_path: Path, then: list[str], now: list[str], said: str
) -> None:
    left(tmp_path, experiment(), *then)
    assert verdict(tmp_path, experiment(), *now) == said


def test_a_recording_without_a_word_on_its_making_is_judged_by_its_knobs() -> None:
    bare = Found(Path("/none/out/record-run.json"), recording("memory.max"))
    assert bare.out_of_date(experiment(), play(experiment(), "run"), recording("memory.max")) is None
