import io
import tarfile
from pathlib import Path

import pytest

from memqos.errors import LabError, RecordingError
from memqos.lab.archive import keep, opened
from memqos.lab.recording import Look, Recording, Written, decode, encode
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot

PLAYS = b'[{"name":"run","pods":["/home/me/memqos/lab/experiments/k2/w.yaml"]}]'


def look(seconds: float, swapped: int) -> Look:
    vmstat = Counters.of({"pswpin": 1, "pswpout": swapped, "oom_kill": 0, "nr_zone": 9})
    pods = {name: Cgroup(path=name, inode=1) for name in ("p", "q")}
    node = NodeFacts(meminfo=Counters.of({"MemFree": 1}), vmstat=vmstat)
    return Look(seconds, Snapshot(time_us=0, boot_id="b", node=node, cgroups=pods))


def left(directory: Path, swapped: int = 1) -> Path:
    home = directory / "k2" / "6.12"
    (home / "out").mkdir(parents=True)
    recording = Recording(
        variant="run",
        release="r",
        cgroups={"p": "p", "p/main": "p/main"},
        marks={"a": look(2.0, swapped)},
        samples=[look(1.0, 0), look(2.0, swapped), look(3.0, swapped)],
        writes=[Written(1.0, "p", "memory.high", "3", "written", "why")],
        logs={"p": "much"},
    )
    (home / "out" / "record-run.json").write_bytes(encode(recording))
    (home / "plays.json").write_bytes(PLAYS)
    return directory


def test_what_is_compared_comes_out_again(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    assert keep(left(tmp_path / "in"), archive) == ["k2/6.12, run 1"]
    with opened(archive) as directory:
        home = directory / "1" / "k2" / "6.12"
        kept = decode((home / "out" / "record-run.json").read_bytes())
        assert b"/home/me" not in (home / "plays.json").read_bytes()
    assert not directory.exists()
    assert [each.seconds for each in kept.samples] == [1.0, 3.0]
    assert dict(kept.marks["a"].snapshot.node.vmstat) == {"pswpin": 1, "pswpout": 1, "oom_kill": 0}
    assert list(kept.marks["a"].snapshot.cgroups) == ["p"]
    assert [each.knob for each in kept.writes] == ["memory.high"]
    assert kept.logs == {}


def test_every_run_is_kept_once(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    first, second = left(tmp_path / "one"), left(tmp_path / "two", swapped=7)
    keep(first, archive)
    assert keep(second, archive) == ["k2/6.12, run 2"]
    before = archive.read_bytes()
    assert keep(first, archive) == ["k2/6.12 is there already"]
    assert archive.read_bytes() == before
    with opened(archive) as directory:
        assert sorted(each.name for each in directory.iterdir()) == ["1", "2"]


def test_a_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        assert directory == tmp_path
    assert tmp_path.exists()


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="has no recording; memqos lab run"):
        keep(tmp_path, tmp_path / "a.tar.xz")


def test_another_file_is_refused_and_stays(tmp_path: Path) -> None:
    archive = tmp_path / "notes"
    archive.write_text("mine", encoding="utf-8")
    with pytest.raises(RecordingError, match="notes: not an archive of recordings"):
        keep(left(tmp_path / "in"), archive)
    assert archive.read_text(encoding="utf-8") == "mine"


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.addfile(tarfile.TarInfo("../../elsewhere"), io.BytesIO())
    with pytest.raises(RecordingError, match="would lie outside"), opened(archive):
        pass


def test_a_full_disk_leaves_the_archive_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "a.tar.xz"
    keep(left(tmp_path / "one"), archive)
    before = archive.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(LabError, match="No space left on device"):
        keep(left(tmp_path / "two", swapped=7), archive)
    assert archive.read_bytes() == before
    assert not archive.with_name("a.tar.xz.new").exists()
