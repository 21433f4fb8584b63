"""Inside the guest: keep the programs' own files from being charged to the pods.

A program's code, libraries and byte code are page cache, charged to the cgroup that reads them first. On a
node that is who pulled the image. Here the root lies on 9p, which reads 496 KiB around a fault, and who
comes first is chance; a pod at its limit then reads its own code anew instead of doing what it was told
(e2 on 6.1: `memory.events` max 35 in one run, 97 in the next, 1,223 in a third). So each program is run once
in the root cgroup, harmlessly, before the first variant, and what it has read is locked in memory.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from memqos.errors import LabError

_PAGE: Final = mmap.PAGESIZE
_SECONDS: Final = 120.0
_WHOLE: Final = 16 << 20
"""Files up to this size are read to their end: a rehearsal need not go through all of a program's code."""
_BYTECODE: Final = re.compile(r"(/[^'\" ]+\.(?:pyc|py|so))")
_LIBRARY: Final = re.compile(r"(/\S+) \(0x")
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_MAP_FAILED: Final = ctypes.c_void_p(-1).value

WORKLOAD: Final = """\
apiVersion: memqos.dev/v1alpha1
kind: Workload
phases:
- allocate: {name: a, size: 1Mi}
- touch: {region: a, order: uniform, accesses: 30000, write: true}
- write: {path: FILE, size: 64Ki, sync: true}
- read: {path: FILE}
- mmap: {name: b, path: FILE}
- requests: {region: a, pages: 100, perSecond: 100, count: 2, file: {path: FILE, bytes: 4Ki}}
- hold: {}
"""
"""Touches, reads and draws as any workload might; it prints six results and then holds."""


def rehearsal(argv: Sequence[str], workload: str) -> tuple[str, ...]:
    """What to run so that a program reads the files it will read; `workload` is a file for workloads."""
    inner = argv[2].split() if argv[0].rpartition("/")[2] in ("sh", "bash") and "-c" in argv[1:2] else argv
    inner = inner[1:] if inner[:1] == ["exec"] else inner
    name = inner[0].rpartition("/")[2]
    if name.startswith("python") and "memqos.lab.load" in inner:
        return (*inner[:3], "mib=1", "step=1")
    if name == "memqos" and inner[1:2] == ["workload"]:
        return (*inner[:2], workload)
    return (inner[0], "--version")


def files_of(argv: Sequence[str], environment: Mapping[str, str]) -> set[Path]:
    """Run a program as `rehearsal` says and return the files it has read; raises `LabError` when it hangs."""
    program = shutil.which(argv[0], path=environment.get("PATH"))
    if program is None:
        return set()
    found = {Path(program)}
    if argv[-1] == "--version":
        subprocess.run(argv, env=environment, capture_output=True, timeout=_SECONDS, check=False)
        traced = subprocess.run(
            argv[:1],
            env={**environment, "LD_TRACE_LOADED_OBJECTS": "1"},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return found | {Path(name) for name in _LIBRARY.findall(traced.stdout)}
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            argv,
            env={**environment, "PYTHONVERBOSE": "1", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=said,
        )
        try:
            assert child.stdout is not None
            # it idles after its last line: six results of a workload, the one step of a load
            for _ in range(6 if "workload" in argv else 1):
                if not child.stdout.readline():
                    raise LabError(f"{' '.join(argv)} ended before it had begun")
            maps = Path(f"/proc/{child.pid}/maps").read_text(encoding="utf-8", errors="replace")
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        found |= {Path(name) for name in _BYTECODE.findall(said.read())}
    return found | {Path(line.split(maxsplit=5)[5]) for line in maps.splitlines() if " /" in line}


class Pinned:
    """Keeps this process, and files, in memory, whatever is reclaimed or dropped."""

    def __init__(self) -> None:
        self._libc: Any = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._paths: set[Path] = set()
        self.pages = 0
        self.lock()

    def lock(self) -> None:
        """Keep the calling process in memory: a child inherits no lock (mlockall(2)); raises `LabError`."""
        self._call("mlockall", _MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)

    def pin(self, paths: Iterable[Path]) -> None:
        """Lock these files in memory, large ones as far as they are cached now; raises `LabError`."""
        for path in sorted({path.resolve() for path in paths} - self._paths):
            self._paths.add(path)
            try:
                with path.open("rb") as handle:
                    size = os.fstat(handle.fileno()).st_size
                    if size <= _WHOLE:
                        handle.read()
                    if size:
                        self._pin(handle.fileno(), size)
            except OSError:
                continue  # a name in the program's output that was no file

    def _pin(self, descriptor: int, size: int) -> None:
        """Map a file for good and touch what is cached of it: mapped pages are locked (MCL_ONFAULT)."""
        at = self._libc.mmap(
            None, ctypes.c_size_t(size), mmap.PROT_READ, mmap.MAP_SHARED, descriptor, ctypes.c_long(0)
        )
        if at in (None, _MAP_FAILED):
            raise LabError(f"mmap: {os.strerror(ctypes.get_errno())}")
        pages = -(-size // _PAGE)
        cached = (ctypes.c_ubyte * pages)()
        self._call("mincore", ctypes.c_void_p(at), ctypes.c_size_t(size), cached)
        for page in range(pages):
            if cached[page] & 1:
                ctypes.c_ubyte.from_address(at + page * _PAGE).value  # noqa: B018  the access is the point
                self.pages += 1

    def _call(self, name: str, *args: Any) -> None:
        if getattr(self._libc, name)(*args):
            raise LabError(f"{name}: {os.strerror(ctypes.get_errno())}")
