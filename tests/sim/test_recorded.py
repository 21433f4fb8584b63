"""The field study's experiments as real kernels ran them (the laboratory's E1 and E3, one run each)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from memqos.lab.experiment import EXPERIMENTS
from memqos.lab.reading import read
from memqos.lab.simulated import record
from memqos.lab.variant import play
from memqos.units import MIB


@pytest.mark.parametrize(
    ("kernel", "events", "stolen", "refaults"),
    [("6.1", 4279, 179_723, 102_454), ("6.12", 2808, 179_702, 102_401), ("7.2", 2804, 179_571, 102_394)],
)
def test_e1_md5sum_twice_over_a_file_of_four_times_the_limit(
    kernel: str, events: int, stolen: int, refaults: int
) -> None:
    experiment = read(EXPERIMENTS / "e1.yaml")
    recording = record(experiment, play(experiment, "small"), kernel)
    reader = recording.marks["after"].snapshot.cgroups[recording.cgroups["reader"]]
    assert reader.memory_events is not None
    assert reader.memory_events["max"] == pytest.approx(events, rel=0.02)
    assert reader.memory_stat is not None
    assert reader.memory_stat["pgsteal"] == pytest.approx(stolen, rel=0.01)
    assert reader.memory_stat["workingset_refault_file"] == pytest.approx(refaults, rel=0.01)
    assert reader.io_stat is not None
    kept = 31 * 4096 if kernel == "7.2" else 0  # a batch of new pages; the guest read 4 less
    assert 800 * MIB - kept <= reader.io_stat[recording.devices["data"]].rbytes <= 800 * MIB
    assert reader.io_stat[recording.devices["data"]].rios == pytest.approx(3206, rel=0.01)


@pytest.mark.parametrize(("kernel", "written"), [("6.1", 78_135), ("6.12", 81_021), ("7.2", 84_086)])
def test_e3_400_mib_of_memory_under_100_mib_with_swap(tmp_path: Path, kernel: str, written: int) -> None:
    document = yaml.safe_load((EXPERIMENTS / "e3.yaml").read_text())
    # as large as it was when real kernels ran it
    document["disks"]["swap"]["size"] = "768Mi"
    main = document["pods"][0]["spec"]["containers"][0]
    main["command"] = ["python3", "-m", "memqos.lab.load", "mib=400", "passes=0"]
    main["resources"] = {"limits": {"memory": "100Mi"}, "requests": {"memory": "50Mi"}}
    said = ("held 400 MiB", "pass 1", "pass 2")
    container = document["pods"][0]["spec"]["containers"][0]
    container["command"] = [*container["command"][:3], "mib=400", "passes=0"]
    container["resources"]["limits"]["memory"] = "100Mi"
    document["timeline"] = [{"start": "hog"}]
    for word in said:
        wait = {"pod": "hog", "until": "said", "word": word, "timeout": 180}
        document["timeline"] += [{"wait": wait}, {"mark": word.replace(" ", "-")}]
    for part in ("series", "measures", "expect"):
        del document[part]
    (tmp_path / "e3.yaml").write_text(yaml.safe_dump(document))
    experiment = read(tmp_path / "e3.yaml")
    recording = record(experiment, play(experiment, "run"), kernel)
    looks = [recording.marks[word.replace(" ", "-")] for word in said]
    swapped = [[look.snapshot.node.vmstat[key] for key in ("pswpin", "pswpout")] for look in looks]
    assert swapped[0][1] == pytest.approx(written, rel=0.1)
    for (before_in, before_out), (after_in, after_out) in pairwise(swapped):
        assert after_in - before_in == pytest.approx(102_400, rel=0.02)
        # a processor as fast as this one's sends more ahead of need, where a plug gathers it (6.12 and later)
        assert after_out - before_out == pytest.approx(102_400, rel=0.1 if kernel == "6.1" else 0.15)
    assert looks[-1].pods["hog"].oom_kills == 0
