"""The simulated kernel beside recordings of real ones, within the bars: a short part of `make fidelity`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from memqos.lab.archive import opened
from memqos.lab.compare import compare
from memqos.lab.experiment import EXPERIMENTS
from memqos.lab.reading import read
from memqos.lab.recorded import recordings_in
from memqos.lab.room import median_room
from memqos.lab.simulated import record
from memqos.lab.variant import play

ARCHIVE = Path(__file__).parents[2] / "docs" / "recordings.tar.xz"
SHORT = (
    *("e1/6.12", "e1/7.2", "e4/6.12", "e4/7.2", "k1/6.12", "k1/7.2"),
    *("k4/6.1", "k4/6.12", "k4/7.2", "k7/6.12", "k7/7.2", "k11/6.12"),
)
"""What takes a second and leaves nothing to chance."""


@pytest.fixture(scope="module")
def recorded() -> Iterator[Path]:
    with opened(ARCHIVE) as directory:
        yield directory


@pytest.mark.parametrize("name", SHORT)
def test_every_counter_is_within_its_bar(recorded: Path, name: str) -> None:
    wanted, kernel = name.split("/")
    experiment = read(EXPERIMENTS / f"{wanted}.yaml")
    judged = 0
    for variant, found in recordings_in(recorded, experiment, kernel).items():
        room = median_room(each.recording for each in found)
        now = play(experiment, variant)
        simulated = record(experiment, now, kernel, evictions=False, guest=True, room=room)
        rows = compare(experiment, kernel, [each.recording for each in found], simulated)
        missed = [row for row in rows if row.met is False]
        assert not missed, missed
        judged += sum(row.met is True for row in rows)
    assert judged >= 5
