"""What a task that swaps out leaves in swap, and how much of it is on its way at once."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import layout as k
from memqos.sim.spec import Costs, Disk
from memqos.units import MIB


@pytest.mark.parametrize(("kernel", "far"), [("6.1", False), ("6.12", True)])
def test_reclaim_within_a_read_ahead_writes_out_far_more_than_it_frees(
    bench: Any, kernel: str, far: bool
) -> None:
    """k2 in a traced guest of 6.12: 5,422 pages sent to swap at once, for 32 that were wanted."""
    b = bench(kernel, swap=64 * MIB, slower=60)
    b.group("a", MAX=8 * MIB)
    ahead = []
    task = b.hog("a", 16 * MIB, "wwww")
    while b.machine.m.task[task, k.T_STATE] != k.T_HOLD:
        b.machine.run(b.machine.now + 2_000_000)
        ahead.append(b.get("a", k.N_SWAPCACHED))
    assert (max(ahead) > 1024) == far
    b.check()


@pytest.mark.parametrize(("kernel", "kept"), [("6.12", False), ("7.2", True)])
def test_a_page_written_to_as_it_returns_keeps_its_slot_on_7_2(bench: Any, kernel: str, kept: bool) -> None:
    """k2: after a pass that wrote, 16,135 pages of 7.2's 64 MiB had a slot, 578 of 6.1's."""
    b = bench(kernel, swap=256 * MIB, page_cluster=0)
    b.group("a", MAX=8 * MIB)
    b.settle(b.hog("a", 16 * MIB, "ww"))
    assert (b.get("a", k.SWAP) > 3500) == kept
    b.check()


def test_a_page_written_while_reclaim_has_it_in_hand_goes_round_once_more(bench: Any) -> None:
    """Of what guests of 6.1 swapped out 3.5% (e7), 2.8% (e3), 0.1 to 0.9% (e6, k3, k9) were not rotated."""
    disk = Disk("vda", 200 * MIB, 200 * MIB, burst_us=100_000, write_latency_us=80, spread_us=160)
    stayed, returned = {}, {}
    for each in (0, 12_400):
        costs = Costs(fault=10_000, scan=1500, steal=3000, swap_out=each, round=12_000, request=140_000)
        b = bench("6.1", memory=256 * MIB, swap=128 * MIB, costs=costs, disks=(disk,), swap_rotates=True)
        b.group("a", MAX=32 * MIB)
        b.settle(b.hog("a", 40 * MIB, "www"))
        out = b.get("a", k.PSWPOUT)
        stayed[each] = (out - int(b.machine.m.g[k.G_PGROTATED])) / out
        returned[each] = b.get("a", k.REFAULT_ANON)
        b.check()
    assert stayed[0] < 0.005  # the last are on their way
    assert 0.01 < stayed[12_400] < 0.1
    assert returned[12_400] < returned[0] - 64
