"""MGLRU's reclaim of a whole node: whom its passes come to, and how much each of them takes."""

from __future__ import annotations

from typing import Any

import pytest
from numba.core import config

from memqos.sim.kernels import kswapd
from memqos.sim.kernels import layout as k
from memqos.units import MIB


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_who_was_aged_for_its_limit_is_left_alone_by_the_next_pass_over_the_node(
    bench: Any, kernel: str
) -> None:
    b = bench(kernel, swap=64 * MIB)
    b.group("a", MAX=8 * MIB)
    b.group("idle")
    b.settle(b.hog("a", 12 * MIB))
    oldest = int(b.machine.m.g[k.MEMCG_SEQ])
    assert b.get("a", k.LRU_GEN) == (oldest + 1) % 3
    assert b.get("idle", k.LRU_GEN) == oldest % 3
    b.check()


@pytest.mark.skipif(not config.DISABLE_JIT, reason="kernels called one by one")
@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_each_pass_of_kswapd_takes_its_part_whatever_those_before_it_have_taken(
    bench: Any, kernel: str
) -> None:
    """lru_gen_shrink_node: who takes memory meanwhile has kswapd make several passes."""
    b = bench(kernel, memory=96 * MIB)
    for name in ("a", "b", "c"):
        b.group(name)
        b.read(name, b.machine.file(8 * MIB))
    m = b.machine.m
    high = int(m.g[k.WMARK_HIGH])
    before = {name: b.get(name, k.USAGE) for name in ("a", "b", "c")}
    m.g[k.FREE] = -2 * high  # as if others had it
    while (fate := kswapd.run(m)) == kswapd.AGAIN:
        pass
    assert fate == kswapd.BALANCED
    assert m.g[k.KSWAPD_FAILURES] == 0
    assert sum(before.values()) - sum(b.get(name, k.USAGE) for name in before) > 2.5 * high
