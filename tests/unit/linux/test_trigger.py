from __future__ import annotations

import time
from pathlib import Path

from memqos.linux.trigger import Sample, Trigger

TRIGGER = Trigger(100_000, 1_000_000)


def pressure(total: int, full: int = 0) -> str:
    return (
        f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n"
        f"full avg10=0.00 avg60=0.00 avg300=0.00 total={full}\n"
    )


def test_a_sample_fires_at_most_once_per_window(tmp_path: Path) -> None:
    file = tmp_path / "memory.pressure"
    file.write_text(pressure(0))
    sample = Sample(str(file), TRIGGER)
    start = time.monotonic_ns() // 1000
    fired = []
    for step in range(1, 41):  # 10 s of steps of 250 ms, stalled all the time
        file.write_text(pressure(step * 250_000))
        fired.append(sample.pressed(start + step * 250_000))
    assert 9 <= sum(fired) <= 10
    sample.close()


def test_a_stall_spread_over_a_long_gap_is_measured_per_window(tmp_path: Path) -> None:
    file = tmp_path / "memory.pressure"
    file.write_text(pressure(0))
    sample = Sample(str(file), TRIGGER)
    start = time.monotonic_ns() // 1000
    file.write_text(pressure(500_000))
    assert not sample.pressed(start + 60_000_000)
    file.write_text(pressure(500_000 + 12_000_000))
    assert sample.pressed(start + 120_000_000)
    sample.close()


def test_a_full_trigger_hears_only_what_stalled_everybody(tmp_path: Path) -> None:
    file = tmp_path / "io.pressure"
    file.write_text(pressure(0))
    sample = Sample(str(file), Trigger(100_000, 1_000_000, "full"))
    start = time.monotonic_ns() // 1000
    file.write_text(pressure(900_000, 50_000))
    assert not sample.pressed(start + 1_000_000)
    file.write_text(pressure(1_800_000, 950_000))
    assert sample.pressed(start + 2_100_000)
    sample.close()
