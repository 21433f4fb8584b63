"""What a task that swaps out leaves in swap, and how much of it is on its way at once."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import layout as k
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
