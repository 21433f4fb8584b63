"""Protection that a parent has and its children did not ask for: with memory_recursiveprot, and without."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import layout as k
from memqos.sim.profiles import PROFILES
from memqos.units import MIB


def kept(bench: Any, kernel: str, *, recursive: bool) -> int:
    """Bytes of page cache that the child of a protected parent still has after a neighbour has read much."""
    b = bench(kernel, 64 * MIB, recursiveprot=recursive)
    b.group("p", MIN=32 * MIB)
    b.group("p/child")
    b.group("other")
    own, much = (b.machine.file(size * MIB) for size in (20, 160))
    b.read("p/child", own)
    held = b.get("p/child", k.N_FILE)
    assert held == 20 * MIB // 4096
    b.read("other", much)
    b.check()
    return b.get("p/child", k.N_FILE) * 4096


@pytest.mark.parametrize("kernel", PROFILES)
def test_what_a_parent_may_keep_its_children_keep_too(bench: Any, kernel: str) -> None:
    assert kept(bench, kernel, recursive=True) == 20 * MIB


@pytest.mark.parametrize("kernel", PROFILES)
def test_without_memory_recursiveprot_children_keep_only_what_they_ask_for(bench: Any, kernel: str) -> None:
    assert kept(bench, kernel, recursive=False) < 16 * MIB
