import pytest

from memqos.model.knobtext import knob_text
from memqos.model.plan import Bandwidth, Reclaim, Value
from memqos.model.snapshot import IoMax
from memqos.units import MIB, UNLIMITED


@pytest.mark.parametrize(
    ("knob", "value", "text"),
    [
        ("memory.max", UNLIMITED, "max"),
        ("memory.max", 3 * MIB, "3 MiB"),
        ("memory.max", None, "-"),
        ("memory.oom.group", True, "1"),
        ("memory.reclaim", Reclaim(64 * MIB), "64 MiB"),
        ("memory.reclaim", Reclaim(MIB, 0), "1 MiB, swappiness 0"),
        ("io.weight", 100, "100"),
        ("cpu.max", Bandwidth(50_000), "0.5 CPU"),
        ("io.max", {"8:0": IoMax(rbps=MIB, wiops=100)}, "8:0 rbps=1 MiB/s wiops=100/s"),
        ("io.max", {"8:16": IoMax(), "8:0": IoMax(riops=1)}, "8:0 riops=1/s; 8:16 max"),
        ("io.cost.qos", {"8:0": ""}, "8:0 off"),
        ("io.max", {}, "-"),
    ],
)
def test_every_kind_of_value_has_a_text(knob: str, value: Value | None, text: str) -> None:
    assert knob_text(knob, value) == text
