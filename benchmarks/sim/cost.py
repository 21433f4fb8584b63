"""Memory and starting time, each in a process of its own.

python benchmarks/sim/cost.py            the memory of a full 64 GiB node, as JSON
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from rows import row

SOURCE = Path(__file__).resolve().parents[2] / "src"
GIB = 1 << 30


def _resident() -> int:
    """Bytes of this process in memory."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


def _full_node() -> dict[str, int]:
    """A 64 GiB node whose 60 GiB file is all in memory."""
    import machines
    import numpy as np

    machines.simulated("6.1", np.arange(8, dtype=np.int32), 8, 8, 1)
    pages = 60 * GIB // machines.PAGE
    before = _resident()
    readers = machines.Readers("6.1", pages, pages + (pages >> 5), memory=64 * GIB)
    step = 1 << 20
    for first in range(0, pages, step):
        trace = np.arange(first, min(first + step, pages), dtype=np.int32)
        readers.machine.trace(readers.paths[0], readers.files[0], trace)
    held = int(readers.machine.m.ls[:, 2].sum())
    return {
        "grown": _resident() - before,
        "held": held,
        "all": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
    }


def memory() -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    each = found["grown"] / found["held"]
    text = f"{found['held']:,} pages in memory"
    return [
        row("memory of a resident page", "B", [each], 24, text),
        row("memory of a 64 GiB node, full", "GiB", [found["all"] / GIB], 2, "the whole process"),
    ]


def _simulate(cache: str | None = None) -> float:
    """CPU seconds of `memqos simulate e1` as a new process."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE)} | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "memqos", "simulate", "e1", "--json"]
    subprocess.run(command, capture_output=True, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start(rounds: int, folder: Path) -> list[dict[str, Any]]:
    cold = _simulate(str(folder / "cold"))
    _simulate()
    note = "CPU time, E1 included"
    return [
        row("memqos simulate e1, compiled", "s", [_simulate() for _ in range(rounds)], 3, note),
        row("memqos simulate e1, first time", "s", [cold], None, "compiles everything"),
    ]


if __name__ == "__main__":
    print(json.dumps(_full_node()))
