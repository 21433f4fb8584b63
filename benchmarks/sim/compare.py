"""The simulated kernel against libcachesim's plain LRU, on the same traces, taking turns in one process.

    python benchmarks/sim/run.py --libcachesim [--json]

libcachesim (GPL) is not a dependency of memqos; `pip install libcachesim` into an environment to measure in.
README.md states what each side does. Rows are our CPU time over libcachesim's, per round.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

GOALS = {"scan": 1 / 25, "zipf": 1 / 10, "uniform": 1 / 8}
HASHPOWERS = (18, 20)
RECORD = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])


def _library() -> Any:
    try:
        import libcachesim
    except ImportError:
        print("cannot run: pip install libcachesim", file=sys.stderr)
        raise SystemExit(69) from None
    return libcachesim


def _lru(lib: Any, path: str, fit: int, hashpower: int) -> tuple[float, float]:
    """CPU seconds and miss ratio of libcachesim's LRU on a trace file."""
    options = lib.ReaderInitParam(ignore_obj_size=True)
    reader = lib.TraceReader(path, lib.TraceType.ORACLE_GENERAL_TRACE, options)
    cache = lib.LRU(fit, hashpower=hashpower)
    start = time.process_time()
    ratio = cache.process_trace(reader)[0]
    return time.process_time() - start, ratio


def compared(
    traces: dict[str, tuple[Any, int]], ours: Callable[[Any, int], tuple[float, int]], rounds: int
) -> list[tuple[str, list[float], float, str]]:
    """Name, ratios, goal and note of each trace; the faster hash size of each round is libcachesim's time."""
    lib = _library()
    rows = []
    for name, (trace, fit) in traces.items():
        records = np.zeros(len(trace), RECORD)
        records["id"], records["size"], records["next"] = trace, 1, -1
        with tempfile.NamedTemporaryFile(suffix=".oracleGeneral") as file:
            records.tofile(file.name)
            ratios, mine, theirs = [], [], []
            for _ in range(rounds):
                best, ratio = min(_lru(lib, file.name, fit, power) for power in HASHPOWERS)
                spent, misses = ours(trace, fit)
                ratios.append(spent / best)
                mine.append(len(trace) / spent / 1e6)
                theirs.append(len(trace) / best / 1e6)
        speeds = f"{sorted(mine)[rounds // 2]:.1f} and {sorted(theirs)[rounds // 2]:.1f} M/s"
        note = f"{speeds}; misses {misses:,} and {round(ratio * len(trace)):,}"
        rows.append((f"{name}, share of libcachesim's time", ratios, GOALS[name], note))
    return rows
