"""A trace without a clock does to memory what a task that reads the same pages does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from memqos.errors import ExperimentError
from memqos.sim.kernels import layout as k
from memqos.units import MIB

COLUMNS = ("USAGE", "PEAK", "E_MAX", "NODES", "AGE", *(f"N_{name}" for name in ("FILE", "SLAB_BYTES")))


def read_by_a_task(b: Any, file: int, pages: Any) -> None:
    machine = b.machine
    first = machine.table(len(pages))
    machine.m.tab[first : first + len(pages)] = pages
    task = machine.task("a")
    row = {k.P_OP: k.OP_READ, k.P_OBJ: file, k.P_COUNT: len(pages), k.P_CHUNK: 1, k.P_NS: 1000}
    machine.program(task, [row | {k.P_PATTERN: k.TRACE, k.P_A: first}])
    machine.run_until_exit(task)


def counters(b: Any) -> dict[str, int]:
    seen = {name: b.get("a", getattr(k, name)) for name in COLUMNS}
    return seen | {str(column): b.get("a", column) for column in k.EVENTS}


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
@pytest.mark.parametrize("skew", [1, 3])
def test_counters_agree_with_a_task_that_reads_the_same_pages(bench: Any, kernel: str, skew: int) -> None:
    pages = (np.random.default_rng(skew).random(3000) ** skew * 1024).astype(np.int32)
    made = [bench(kernel, read_ahead=0) for _ in range(2)]
    files = []
    for b in made:
        b.machine.m.g[k.LRU_BATCH] = 0  # a trace has no CPU whose batch it could fill
        b.group("a", MAX=2 * MIB)
        files.append(b.machine.file(4 * MIB))
    read_by_a_task(made[0], files[0], pages)
    misses = made[1].machine.trace("a", files[1], pages)
    assert counters(made[1]) == counters(made[0])
    assert misses == made[0].get("a", k.IO) // 4096
    assert made[1].get("a", k.PGSCAN) > 0
    assert made[1].get("a", k.REFAULT_FILE) > 0
    made[1].check()


@pytest.mark.parametrize("pages", [[-1], [1024]])
def test_a_trace_beyond_its_file_is_refused(bench: Any, pages: list[int]) -> None:
    b = bench("6.1")
    b.group("a")
    with pytest.raises(ExperimentError, match="1024 pages"):
        b.machine.trace("a", b.machine.file(4 * MIB), pages)


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_traces_that_take_turns_are_as_their_pieces_one_after_the_other(bench: Any, kernel: str) -> None:
    pages = (np.random.default_rng(5).random(2000) ** 2 * 512).astype(np.int32)
    made = [bench(kernel, read_ahead=0) for _ in range(2)]
    for b in made:
        for path in ("p/a", "p/b"):
            b.group(path, MAX=MIB)
            b.machine.file(2 * MIB)
        b.machine.set_limit("p", k.MAX, 3 * MIB // 2)
    together = made[0].machine.traces([("p/a", 0, pages), ("p/b", 1, pages[:900])], turn=400)
    apart = [0, 0]
    for first in range(0, 2000, 400):
        for i, (path, end) in enumerate((("p/a", 2000), ("p/b", 900))):
            apart[i] += made[1].machine.trace(path, i, pages[first : min(first + 400, end)])
    assert together == apart
    assert counters_of(made[0]) == counters_of(made[1])
    made[0].check()


def counters_of(b: Any) -> list[int]:
    return [
        b.get(path, column) for path in ("", "p", "p/a", "p/b") for column in (k.USAGE, k.E_MAX, *k.EVENTS)
    ]


def test_a_trace_without_room_names_its_cgroup(bench: Any) -> None:
    b = bench("6.1", read_ahead=0)
    b.group("a")
    b.group("b", MAX=0)
    files = [b.machine.file(MIB), b.machine.file(MIB)]
    with pytest.raises(ExperimentError, match=r"access 0 .* in 'b'"):
        b.machine.traces([("a", files[0], [0, 1]), ("b", files[1], [3])])
