from pathlib import Path

import pytest

from memqos.errors import VmLost
from memqos.lab import clock


@pytest.mark.parametrize(
    "told", ["20.5 100\n83.9 163\n", "20.5 100\n1040.0 1100\n", "20 100\n", "", "x y\nz 1\n"]
)
def test_a_clock_that_went_as_the_hardwares_or_told_nothing_is_fine(tmp_path: Path, told: str) -> None:
    (tmp_path / clock.NAME).write_text(told)
    clock.check(tmp_path)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("20 100\n110 108\n", "90 s in 8 s"),
        ("20 100\n24 110\n", "4 s in 10 s"),
        ("0 0\n970 1000\n", "970 s in 1000 s"),
    ],
)
def test_a_clock_that_leapt_or_stood_still_is_a_lost_machine(tmp_path: Path, told: str, said: str) -> None:
    (tmp_path / clock.NAME).write_text(told)
    with pytest.raises(VmLost, match=said):
        clock.check(tmp_path)


def test_a_machine_that_told_no_clock_is_fine(tmp_path: Path) -> None:
    clock.check(tmp_path)
