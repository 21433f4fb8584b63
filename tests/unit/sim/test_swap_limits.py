"""memory.swap.high and memory.swap.events."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.model.plan import Write
from memqos.sim.kernels import layout as k
from memqos.sim.node import SimNode
from memqos.units import MIB, UNLIMITED

KERNELS = ("6.1", "6.12", "7.2")


@pytest.mark.parametrize("kernel", KERNELS)
def test_swap_high_slows_down_without_a_limit(bench: Any, kernel: str) -> None:
    b = bench(kernel, swap=32 * MIB, slower=60)
    b.group("p")
    b.group("p/a", MAX=2 * MIB)
    node = SimNode(b.machine)
    assert node.observe().cgroups["p/a"].memory_swap_high == UNLIMITED
    assert node.apply(Write("p/a", "memory.swap.high", 4 * MIB, "a test")) == 4 * MIB
    task = b.hog("p/a", 7 * MIB)
    expected, paid = 0.0, 0
    while b.machine.m.task[task, k.T_STATE] != k.T_HOLD:
        charged, before = b.get("p/a", k.PGFAULT), b.machine.m.task[task, k.T_STALL]
        swapped = b.get("p/a", k.SWAP)
        b.machine.run(b.machine.now + 1_000_000)
        # (over/high)^2 s for each page charged above it, whole ticks, nothing below three; what one reclaim
        # swaps out by the hundred comes after the pages of the same millisecond
        ticks = int(250 * (max(0, swapped - 1024) / 1024) ** 2)
        if b.machine.m.task[task, k.T_STALL] - before >= 2e9:
            # so much was reclaimed that 64 pages were charged together, and their sleep ends at 2 s
            expected, paid = expected + 2, 63
        elif ticks > 2:
            pages = b.get("p/a", k.PGFAULT) - charged
            expected += max(0, pages - paid) * ticks / 250
            paid = max(0, paid - pages)
    stalled = b.machine.m.task[task, k.T_STALL] / 1e9
    assert stalled > 2
    assert stalled == pytest.approx(expected, rel=0.05)
    cgroup = node.observe().cgroups["p/a"]
    assert cgroup.memory_swap_high == 4 * MIB
    assert (cgroup.memory_swap_current or 0) > 4 * MIB
    events = cgroup.memory_swap_events
    assert events is not None
    assert events["high"] > 0
    assert (events["max"], events["fail"]) == (0, 0)
    assert (node.observe().cgroups["p"].memory_swap_events or {})["high"] == events["high"]
    assert b.get("p/a", k.E_HIGH) == 0
    b.check()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_refused_swap_counts_at_the_pages_cgroup_and_above(bench: Any, kernel: str) -> None:
    b = bench(kernel, swap=32 * MIB)
    b.group("p", MAX=4 * MIB, SWAP_MAX=MIB)
    b.group("p/a")
    b.settle(b.hog("p/a", 3 * MIB))
    b.settle(b.hog("p/a", 3 * MIB))
    assert b.get("p/a", k.E_SWAP_FAIL) == b.get("p", k.E_SWAP_FAIL)
    assert b.get("p/a", k.E_SWAP_MAX) == b.get("p", k.E_SWAP_MAX)
    assert b.get("p", k.SWAP_PEAK) <= 256
    b.check()


@pytest.mark.parametrize("kernel", KERNELS)
def test_without_free_slots_swapping_fails_and_hits_no_limit(bench: Any, kernel: str) -> None:
    b = bench(kernel, swap=MIB)
    b.group("a", MAX=4 * MIB)
    b.settle(b.hog("a", 8 * MIB))
    assert b.get("a", k.E_SWAP_MAX) == 0
    assert b.get("a", k.E_OOM_KILL) == 1
    b.check()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_removed_cgroups_cache_stays_until_7_2_and_then_is_its_parents(bench: Any, kernel: str) -> None:
    b = bench(kernel)
    b.group("p", MAX=8 * MIB)
    gone = b.group("p/gone")
    b.group("p/next")
    file, other = b.machine.file(3 * MIB), b.machine.file(20 * MIB)
    b.read("p/gone", file, passes=2)
    usage = b.get("p", k.USAGE)
    b.machine.rmdir("p/gone")
    m: Any = b.machine.m
    assert int(m.cg[gone, k.N_FILE]) == (0 if kernel == "7.2" else 768)
    assert b.get("p", k.N_FILE) == (768 if kernel == "7.2" else 0)
    assert usage - 64 <= b.get("p", k.USAGE) <= usage
    stat = SimNode(b.machine).observe().cgroups["p"].memory_stat or {}
    assert stat["file"] == 3 * MIB
    b.check()
    before = b.get("p/next", k.IO)
    b.read("p/next", file)
    assert b.get("p/next", k.IO) == before
    b.read("p/next", other, passes=2)
    b.check()
    assert b.machine.reclaim("p", 8 * MIB) is False
    b.check()
    assert b.get("p", k.USAGE) < 256


def test_vmstat_counts_reclaim_for_limits_only_since_7_2(bench: Any) -> None:
    for kernel in KERNELS:
        b = bench(kernel)
        b.group("a", MAX=4 * MIB)
        b.read("a", b.machine.file(8 * MIB))
        node = SimNode(b.machine).observe()
        assert (node.cgroups["a"].memory_stat or {})["pgsteal_direct"] > 0
        assert (node.node.vmstat["pgsteal_direct"] > 0) == (kernel == "7.2")
        b.read("", b.machine.file(80 * MIB))
        vmstat = SimNode(b.machine).observe().node.vmstat
        assert vmstat["pgsteal_kswapd"] + vmstat["pgsteal_direct"] > 4096
