"""What is read besides what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import layout as k


@pytest.mark.parametrize(("kernel", "pages"), [("6.1", 4), ("6.12", 1), ("7.2", 1)])
def test_the_rest_of_a_block_follows_its_begin_only_where_each_page_is_a_position(
    bench: Any, kernel: str, pages: int
) -> None:
    """Until 6.5 ra->prev_pos moved within a read call, so that its second page seemed to be read in order."""
    b = bench(kernel)
    b.group("a")
    file = b.machine.file(512 * 4096)
    b.read("a", file, first=100, count=1)
    assert b.get("a", k.IO) == 4096
    b.read("a", file, first=100, count=2)
    assert b.get("a", k.IO) == (1 + pages) * 4096
    b.check()


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_a_call_that_begins_where_the_last_one_ended_reads_ahead(bench: Any, kernel: str) -> None:
    b = bench(kernel)
    b.group("a")
    b.read("a", b.machine.file(512 * 4096), first=100, count=16)  # two calls of eight pages
    assert b.get("a", k.IO) > 16 * 4096
    b.check()
