import gc
from pathlib import Path

import pytest

from memqos.lab.play import in_a_process_of_its_own, remove_written


def test_a_variant_that_fails_says_why_and_ends_only_its_own_process(
    capfd: pytest.CaptureFixture[str],
) -> None:
    seen: list[int] = []
    assert in_a_process_of_its_own(lambda: seen.append(1)) == 0
    assert seen == []
    assert in_a_process_of_its_own(lambda: print(1 // 0)) == 1
    assert "ZeroDivisionError" in capfd.readouterr().out
    gc.unfreeze()


def test_what_an_earlier_variant_wrote_is_removed_and_what_is_to_be_read_stays(tmp_path: Path):
    for name in ("served", "out", ".swap", "deep/out"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    remove_written(tmp_path, keep=["served"])
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".swap", "served"]


def test_without_a_data_disk_there_is_nothing_to_remove(tmp_path: Path):
    remove_written(tmp_path / "data", keep=[])
