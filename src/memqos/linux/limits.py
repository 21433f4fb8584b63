"""How many files this process may keep open: 1,000 cgroups have some 21,000 control files.

A program started from this process inherits the raised limit unless `restore_in_child` gives it
back the one it would have had: programs that use select(2), or that close every descriptor there
could be, expect it.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

SPARE: Final = 512
"""Descriptors left to the rest of the process: triggers, journal, sockets."""

_ENOUGH: Final = 1 << 18
"""Descriptors for 10,000 cgroups; the kernel's table for them takes 2 MiB."""

ORIGINAL: Final = resource.getrlimit(resource.RLIMIT_NOFILE)
"""(soft, hard) as the process was started."""


def raise_open_files(proc: str = "/proc") -> int:
    """Raise the limit of open files, the hard one too where allowed; return how many files may stay open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _ENOUGH
    for wanted in (min(_ENOUGH, _nr_open(proc)), hard):
        if wanted == resource.RLIM_INFINITY or wanted <= soft:
            continue
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        except (ValueError, OSError):
            continue
        soft = wanted
        break
    return max(0, soft - SPARE)


def _nr_open(proc: str) -> int:
    try:
        return int(Path(proc, "sys/fs/nr_open").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def restore_in_child() -> None:
    """Give back the limit this process was started with; for the child between fork and exec."""
    resource.setrlimit(resource.RLIMIT_NOFILE, ORIGINAL)
