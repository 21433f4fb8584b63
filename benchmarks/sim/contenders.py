"""What the simulated kernel is measured beside: libcachesim, a FIFO in C, bare accesses.

libcachesim (GPL) is not a dependency of memqos. Where it is not installed it is fetched into a folder that is
thrown away. A contender that cannot be had here is None, and its rows are left out.
"""

from __future__ import annotations

import ctypes
import importlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

HASHPOWERS = (18, 20)
OTHERS = ("Sieve", "Clock", "FIFO", "S3FIFO")
RECORD = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])


def libcachesim(folder: Path) -> Any:
    """The installed library, or one fetched into `folder`; None when neither works."""
    try:
        return importlib.import_module("libcachesim")
    except ImportError:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        if subprocess.run([*pip, "libcachesim"], capture_output=True, check=False).returncode:
            return None
        sys.path.append(str(folder))
        try:
            return importlib.import_module("libcachesim")
        except ImportError:
            return None


class Replayed:
    """A trace as libcachesim reads it: an oracleGeneral file, in the page cache."""

    def __init__(self, lib: Any, trace: Any, fit: int, folder: Path) -> None:
        self.lib, self.fit = lib, fit
        records = np.zeros(len(trace), RECORD)
        records["id"], records["size"], records["next"] = trace, 1, -1
        self.path = folder / f"{len(trace)}-{fit}-{int(trace[:9].sum())}.oracleGeneral"
        records.tofile(self.path)

    def run(self, policy: str, hashpower: int) -> tuple[float, float]:
        """CPU seconds and miss ratio; object size ignored."""
        options = self.lib.ReaderInitParam(ignore_obj_size=True)
        reader = self.lib.TraceReader(str(self.path), self.lib.TraceType.ORACLE_GENERAL_TRACE, options)
        cache = getattr(self.lib, policy)(self.fit, hashpower=hashpower)
        start = time.process_time()
        ratio = cache.process_trace(reader)[0]
        return time.process_time() - start, ratio

    def lru(self) -> tuple[float, float]:
        """The faster of two hash table sizes."""
        return min(self.run("LRU", power) for power in HASHPOWERS)

    def fastest_other(self) -> str:
        """Which of its other policies is fastest on this trace."""
        return min(OTHERS, key=lambda policy: self.run(policy, HASHPOWERS[-1])[0])


def fifo(folder: Path) -> Callable[[Any, int, int], float] | None:
    """CPU seconds of the C FIFO on a trace (its pages, how many fit); None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    source, library = Path(__file__).with_name("fifo.c"), folder / "fifo.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    code = ctypes.CDLL(str(library)).fifo
    code.restype = ctypes.c_long

    def spent(trace: Any, pages: int, fit: int) -> float:
        ring, held = np.full(fit, -1, np.int32), np.zeros(pages, np.uint8)
        where = [ctypes.c_void_p(part.ctypes.data) for part in (trace, ring, held)]
        start = time.process_time()
        code(where[0], ctypes.c_long(len(trace)), where[1], ctypes.c_long(fit), where[2])
        return time.process_time() - start

    return spent


@numba.njit
def _gather(words: Any, trace: Any) -> int:
    total = 0
    for i in range(len(trace)):
        total += words[trace[i]]
    return total


def bound(words: Any, trace: Any) -> float:
    """CPU seconds for as many independent accesses to page words; looking at each page takes no less."""
    start = time.process_time()
    _gather(words, trace)
    return time.process_time() - start


def tempdir() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="memqos-bench-")
