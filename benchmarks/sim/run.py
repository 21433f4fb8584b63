"""The simulated kernel's speed: E1 at the field study's size, and page accesses on four traces.

    python benchmarks/sim/run.py [--libcachesim] [--json]

Traces are of performance.md: scan (1 M pages in order, twice, 256 k fit), zipf and uniform (4 M accesses to
1 M pages, 100 k fit), as reads of single pages of a file without read-ahead, with limits, two lists, refaults
and the disk's queue. Each is set against the time this machine takes, in the same run, for as many
independent random accesses to the same page words (`bound`): a simulator that looks at each page once
cannot do better. Times are of the process' CPU, median and quartiles of the rounds.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import compare
import numba
import numpy as np

from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import Costs, Disk, NodeSpec
from memqos.units import GIB, MIB

ROUNDS = 5
KERNELS = ("6.1", "6.12", "7.2")


def machine(kernel: str, memory: int, limit: int, read_ahead: int) -> Machine:
    disk = Disk("data", 150 * MIB, 150 * MIB)
    made = Machine(
        PROFILES[kernel], NodeSpec(memory=memory, disks=(disk,), read_ahead=read_ahead), Costs(quantum=10**7)
    )
    made.mkdir("a")
    made.set_limit("a", k.MAX, limit)
    return made


def read(made: Machine, file: int, passes: int, trace: Any = None) -> float:
    """Read a file, and say how long it took to simulate."""
    spent = 0.0
    for _ in range(passes):
        task = made.task("a")
        row = {k.P_OP: k.OP_READ, k.P_OBJ: file, k.P_COUNT: made.pages_of(file), k.P_CHUNK: 8, k.P_NS: 5670}
        if trace is not None:
            made._replace(tab=trace)
            row |= {k.P_COUNT: len(trace), k.P_CHUNK: 1, k.P_PATTERN: k.TRACE}
        made.program(task, [row])
        start = time.process_time()
        made.run_until_exit(task)
        spent += time.process_time() - start
    return spent


def e1(kernel: str) -> float:
    """The field study's E1: a 4 GiB file twice below 1 GiB, and twice below 8 GiB."""
    spent = 0.0
    for limit in (GIB, 8 * GIB):
        made = machine(kernel, 16 * GIB, limit, 128 << 10)
        spent += read(made, made.file(4 * GIB), 2)
    return spent


@numba.njit
def _gather(words: Any, trace: Any) -> int:
    total = 0
    for i in range(len(trace)):
        total += words[trace[i]]
    return total


def zipf(rng: np.random.Generator, pages: int, count: int) -> Any:
    weight = np.cumsum(1.0 / np.arange(1, pages + 1))
    ranks = np.searchsorted(weight, rng.random(count) * weight[-1])
    return rng.permutation(pages)[ranks].astype(np.int32)


def row(name: str, unit: str, values: list[float], goal: float | None, note: str = "") -> dict[str, Any]:
    low, median, high = statistics.quantiles(values, n=4)
    return {
        "name": name,
        "unit": unit,
        "median": median,
        "low": low,
        "high": high,
        "goal": goal,
        "note": note,
    }


def rounds(measure: Callable[[], float]) -> list[float]:
    return [measure() for _ in range(ROUNDS)]


def traces() -> dict[str, tuple[Any, int]]:
    """Each trace, and how many pages fit."""
    rng = np.random.default_rng(1)
    pages = 1 << 20
    return {
        "scan": (np.tile(np.arange(pages, dtype=np.int32), 2), 1 << 18),
        "zipf": (zipf(rng, pages, 4 << 20), 100_000),
        "uniform": (rng.integers(0, pages, 4 << 20).astype(np.int32), 100_000),
    }


def simulated(trace: Any, fit: int) -> tuple[float, int]:
    """CPU seconds and misses of a clock-free trace under 6.1's two lists; the limit is `fit` pages."""
    made = machine("6.1", 16 * GIB, fit * 4096, 0)
    file = made.file(4 * GIB)
    start = time.process_time()
    misses = made.trace("a", file, trace)
    return time.process_time() - start, misses


def against_libcachesim() -> list[dict[str, Any]]:
    simulated(np.arange(8, dtype=np.int32), 1 << 18)  # compiles, or loads what was compiled
    found = compare.compared(traces(), simulated, ROUNDS)
    return [row(name, "x", ratios, goal, note) for name, ratios, goal, note in found]


def measured() -> list[dict[str, Any]]:
    machine("6.1", GIB, 64 * MIB, 0)  # compiles, or loads what was compiled
    rows = [
        row(f"E1 on {kernel}", "s", rounds(lambda kernel=kernel: e1(kernel)), 1.0, "4 Mi reads")
        for kernel in KERNELS
    ]
    words = np.zeros(1 << 20, np.int64)
    for name, (trace, fit) in traces().items():
        _gather(words, trace)
        bound, times = [], []
        for _ in range(ROUNDS):
            start = time.process_time()
            _gather(words, trace)
            bound.append((time.process_time() - start) / len(trace) * 1e9)
            made = machine("6.1", 16 * GIB, fit * 4096, 0)
            file = made.file(4 * GIB)
            times.append(read(made, file, 1, trace) / len(trace) * 1e9)
            misses = int(made.m.cg[made.cgroup("a"), k.IO]) // 4096
        share = f"{misses / len(trace):.0%} misses, {1000 / statistics.median(times):.0f} M/s"
        rows.append(row(f"{name}, an access", "ns", times, None, share))
        rows.append(row(f"{name}, the bound", "ns", bound, None))
    return rows


def main() -> None:
    rows = against_libcachesim() if "--libcachesim" in sys.argv[1:] else measured()
    if "--json" in sys.argv[1:]:
        print(json.dumps({"where": "this machine", "rows": rows}))
        return
    for each in rows:
        figures = f"{each['median']:8.2f} {each['unit']:3} {each['low']:8.2f} to {each['high']:8.2f}"
        print(f"{each['name']:24} {figures}  {each['note']}")


if __name__ == "__main__":
    main()
