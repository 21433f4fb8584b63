"""Memory that is there when it is needed: mlockall(2), and a heap that gives nothing back.

A locked page is never read from disk again, but a new one has to be found, and on a node that is short
whoever asks for one reclaims it first (direct reclaim), however well its own are protected. So a process
that shall not wait keeps what it once had: glibc's heap is not trimmed and serves large blocks too
(mallopt(3)), and some of CPython's arenas, which it would return to the kernel when they are empty, each
hold a byte.

A child made by fork(2) inherits no lock, and each page it shares is copied by whoever writes to it first.
`lock_what_is_there` locks a child's pages as they are or come (MCL_ONFAULT) instead of copying all of them
now.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Final

from memqos.units import MIB

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_NEVER: Final = 2**31 - 1
_LARGEST: Final = 32 * MIB
"""What glibc takes for M_MMAP_THRESHOLD at most (HEAP_MAX_SIZE / 2, malloc/malloc.c)."""
_SPARE: Final = MIB
_ARENAS: Final = 2
"""Arenas of 1 MiB each (Objects/obmalloc.c) that are kept."""

_pins: list[bytes] = []


def lock_memory() -> None:
    """Lock all that is mapped, and will be, and have the heap keep what it has. Raises `OSError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(AttributeError):  # a libc without it, such as musl
        for option, value in (
            (_M_TRIM_THRESHOLD, _NEVER),
            (_M_MMAP_THRESHOLD, _LARGEST),
            (_M_TOP_PAD, _SPARE),
        ):
            libc.mallopt(option, value)
    _checked(libc, libc.mlockall(_MCL_CURRENT | _MCL_FUTURE))
    _pin_arenas()


def lock_what_is_there() -> None:
    """Lock the pages that are here, and each one that comes when it does. Raises `OSError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc, libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT))


def unlock_memory() -> None:
    """Undo the locks; the heap goes on as it is."""
    ctypes.CDLL(None).munlockall()
    _pins.clear()


def is_locked(pid: int, proc: Path = Path("/proc")) -> bool:
    """Tell whether a process has locked memory (VmLck)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = (proc / str(pid) / "status").read_text()
        return int(text.partition("VmLck:")[2].split()[0]) > 0
    return False


def _pin_arenas() -> None:
    """Fill arenas with small objects and let go of all but a few: pools are free, arenas stay."""
    size = 480
    held = [bytes(size - 33) for _ in range(_ARENAS * MIB // size)]
    _pins[:] = held[:: MIB // size // 2]


def _checked(libc: ctypes.CDLL, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
