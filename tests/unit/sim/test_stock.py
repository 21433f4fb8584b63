"""Pages that CPUs charge ahead, and how long they keep them."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import control
from memqos.sim.kernels import layout as k
from memqos.units import MIB


def ahead(b: Any, path: str) -> int:
    """What is charged to a cgroup and is neither a page nor kernel memory."""
    return int(
        b.get(path, k.USAGE) - b.get(path, k.N_ANON) - b.get(path, k.N_FILE) - b.get(path, k.KERNEL_PAGES)
    )


@pytest.mark.parametrize(("kernel", "kept"), [("6.1", False), ("6.12", False), ("7.2", True)])
def test_a_cpu_keeps_the_stocks_of_seven_cgroups_on_7_2_and_of_one_before(
    bench: Any, kernel: str, kept: bool
) -> None:
    b = bench(kernel, cpus=1)
    for path in "abcdefghi":
        b.group(path)
        b.settle(b.hog(path, 10 * 4096))
    assert ahead(b, "i") == 64 - 10 - 1  # and its page table
    assert (ahead(b, "h") > 0) == kept
    assert sum(ahead(b, path) > 0 for path in "abcdefghi") == (7 if kept else 1)
    b.check()


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
@pytest.mark.parametrize("cpus", [1, 2])
def test_each_cpu_keeps_a_stock_of_its_own(bench: Any, kernel: str, cpus: int) -> None:
    b = bench(kernel, cpus=cpus)
    b.group("a")
    for _ in range(2):
        b.settle(b.hog("a", 10 * 4096))
    assert ahead(b, "a") == (2 * (64 - 11) if cpus == 2 else 64 - 2 * 11)  # each with a page table
    b.check()


def test_kernel_memory_that_is_given_back_stays_charged_up_to_64_pages(bench: Any) -> None:
    b = bench("7.2", cpus=1)
    b.group("a")
    task = b.hog("a", 63 * 4096)
    b.settle(task)
    assert ahead(b, "a") == 0
    b.machine.kill(task)
    assert b.get("a", k.USAGE) == ahead(b, "a") == 1  # its page table
    b.check()


def test_a_limit_that_reclaim_cannot_meet_takes_back_what_every_cpu_has_ahead(bench: Any) -> None:
    b = bench("7.2", cpus=2)
    b.group("a", MAX=2 * MIB)
    b.group("a/b")
    for cpu in range(2):
        b.machine.order(control.CHARGE_AHEAD, b.machine.cgroup("a"), cpu)
    assert ahead(b, "a") == 128
    b.settle(b.hog("a/b", 500 * 4096))
    assert ahead(b, "a") == b.get("a/b", k.USAGE) == 501
    b.check()


def test_kswapd_woken_for_a_large_folio_takes_of_every_cgroup(bench: Any) -> None:
    """In a guest's k10 each of its passes took 700 pages of the busy pod and 190 of the idle one.

    This node is one zone: where the zone DMA is in use kswapd takes its whole part for single pages, too.
    """
    parts = {}
    idle = {}
    for pages in (0, 32):
        b = bench("7.2", memory=124 * MIB, read_ahead=pages * 4096)
        for path in "xyz":
            b.group(path)
            b.read(path, b.machine.file(28 * MIB))
        b.group("busy")
        b.read("busy", b.machine.file(44 * MIB))
        taken = [b.get(path, k.PGSTEAL_KSWAPD) for path in ("x", "y", "z", "busy")]
        parts[pages] = min(taken) / max(taken)
        idle[pages] = max(taken[:3]) - min(taken[:3])
        b.check()
    assert idle[0] > 64  # who stood where in the draw
    assert idle[32] == 0
    assert parts[32] > 0.7
