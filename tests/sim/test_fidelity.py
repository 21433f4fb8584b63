"""The simulated kernel beside recordings of real ones, within the bars: a short part of `make fidelity`."""

from pathlib import Path

import pytest

from memqos.lab.compare import compare
from memqos.lab.experiment import EXPERIMENTS
from memqos.lab.reading import read
from memqos.lab.recorded import recordings_in
from memqos.lab.simulated import record
from memqos.lab.variant import play

GOLDEN = Path(__file__).parents[1] / "golden" / "fidelity"


@pytest.mark.parametrize("name", sorted(str(path.relative_to(GOLDEN)) for path in GOLDEN.glob("*/*")))
def test_every_counter_is_within_its_bar(name: str) -> None:
    wanted, kernel = name.split("/")
    experiment = read(EXPERIMENTS / f"{wanted}.yaml")
    judged = 0
    for variant, found in recordings_in(GOLDEN, experiment, kernel).items():
        simulated = record(experiment, play(experiment, variant), kernel, evictions=False, guest=True)
        rows = compare(experiment, kernel, [each.recording for each in found], simulated)
        missed = [row for row in rows if row.met is False]
        assert not missed, missed
        judged += sum(row.met is True for row in rows)
    assert judged >= 5
