"""The zone DMA: got last, reclaimed last by MGLRU, and what that does to kswapd."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import zones
from memqos.units import GIB, MIB

MEMORY = 128 * MIB
FILE = 140 * MIB
HELD = (MEMORY // 4096 - zones.MANAGED) // 256


def dma_of(b: Any, path: str) -> int:
    """Pages of a cgroup in the zone DMA."""
    first = b.machine.cgroup(path) * k.LISTS + k.OF_DMA
    return sum(int(b.machine.m.ls[first + i, k.SIZE]) for i in range(k.OF_DMA))


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_a_zone_that_is_the_last_to_be_given_out_goes_to_who_fills_the_node(bench: Any, kernel: str) -> None:
    b = bench(kernel, memory=MEMORY)
    b.group("first")
    b.group("second")
    b.read("first", b.machine.file(40 * MIB))
    assert dma_of(b, "first") == 0
    b.read("second", b.machine.file(100 * MIB))
    assert dma_of(b, "second") > 3400
    b.check()


def test_what_mglru_has_there_stays_while_a_stream_goes_by_and_is_found_again(bench: Any) -> None:
    found = {}
    for kernel in ("6.1", "6.12"):
        b = bench(kernel, memory=MEMORY)
        b.group("a")
        file = b.machine.file(FILE)
        b.read("a", file)
        before = b.get("a", k.REFAULT_FILE)
        b.read("a", file)
        found[kernel] = FILE // 4096 - (b.get("a", k.REFAULT_FILE) - before)
        b.check()
    usable = zones.MANAGED - zones.KERNEL - HELD
    assert found["6.1"] < 64
    assert usable - 64 <= found["6.12"] <= usable + 64


def test_its_pages_go_when_their_generation_has_no_others(bench: Any) -> None:
    b = bench("6.12", memory=MEMORY)
    b.group("a")
    b.read("a", b.machine.file(FILE))
    before = dma_of(b, "a")
    b.machine.reclaim("a", 128 * MIB)
    assert dma_of(b, "a") < before - 1000
    assert b.machine.m.g[k.DMA_FREE] > 1000
    b.check()


def test_pages_that_are_freed_are_there_for_the_next(bench: Any) -> None:
    b = bench("6.12", memory=MEMORY)
    b.group("a")
    file = b.machine.file(FILE)
    whole = int(b.machine.m.g[k.DMA_FREE])
    b.read("a", file)
    assert b.machine.m.g[k.DMA_FREE] < 64
    b.machine.drop_caches()
    assert b.machine.m.g[k.DMA_FREE] == whole
    b.check()


def test_kswapd_takes_its_whole_part_once_the_zone_is_in_use_as_no_zone_may_be_short(bench: Any) -> None:
    """In guests of 6.12 it took 710 to 865 pages each time it was woken, on 6.1 190 to 360."""
    each = {}
    for kernel in ("6.1", "6.12"):
        b = bench(kernel, memory=MEMORY)
        b.group("a")
        b.read("a", b.machine.file(FILE), passes=2)
        each[kernel] = b.machine.m.g[k.G_PGSTEAL_KSWAPD] / b.machine.m.g[k.G_PAGEOUTRUN]
    high = b.machine.m.g[k.WMARK_HIGH] - HELD
    assert 0.9 * high < each["6.12"] < 1.3 * high
    assert each["6.1"] < 0.7 * each["6.12"]


@pytest.mark.parametrize(("memory", "held"), [(64 * MIB, 0), (MEMORY, HELD), (8 * GIB, 3808)])
def test_a_256th_of_what_lies_above_is_kept_of_it_and_a_large_node_keeps_it_all(
    bench: Any, memory: int, held: int
) -> None:
    b = bench("6.12", memory=memory)
    assert b.machine.m.g[k.DMA_HELD] == held
    assert b.machine.m.g[k.DMA_FREE] == (zones.MANAGED - zones.KERNEL - held if held else 0)
