"""What a pass of reclaim over the whole node takes: a round's time for every cgroup it comes to."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import layout as k
from memqos.sim.spec import Costs
from memqos.units import MIB


def kswapds_time(bench: Any, kernel: str, cgroups: int) -> float:
    """Milliseconds that kswapd works for each of its runs while a file of twice the node's memory is read."""
    b = bench(kernel, memory=64 * MIB, costs=Costs(round=20_000))
    for i in range(cgroups):
        b.group(f"empty-{i}")
    b.group("a")
    b.read("a", b.machine.file(128 * MIB))
    b.check()
    return float(b.machine.m.task[b.machine.kswapd, k.T_SYS]) / b.machine.m.g[k.G_PAGEOUTRUN] / 1e6


def test_kswapd_passes_through_all_cgroups_of_6_1_each_time(bench: Any) -> None:
    """Meanwhile who reads takes more, so that it must free more: in k10 350 pages a run."""
    few, many = (kswapds_time(bench, "6.1", cgroups) for cgroups in (2, 42))
    assert many - few > 40 * 0.020  # a pass at least


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_later_kernels_leave_alone_who_has_nothing(bench: Any, kernel: str) -> None:
    """lru_gen_rotate_memcg: an empty cgroup stands among the young ones until all have been there."""
    few, many = (kswapds_time(bench, kernel, cgroups) for cgroups in (2, 42))
    assert many - few < 40 * 0.020 / 2
