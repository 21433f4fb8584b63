"""Where the laboratory keeps what is expensive to get: `$MEMQOS_CACHE`, else `~/.cache/memqos`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from memqos.errors import LabError

_REMEDY: Final = "set MEMQOS_CACHE to a writable directory"


def cache_path(*parts: str) -> Path:
    """Return where a directory of the cache is, or would be; raises `LabError` where there is no home."""
    given, xdg = os.environ.get("MEMQOS_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(given or Path(xdg or Path("~/.cache").expanduser()) / "memqos", *parts)
    except RuntimeError:  # a user without an entry in /etc/passwd, and no HOME
        raise LabError(f"there is no home directory for the cache; {_REMEDY}") from None


def cache_dir(*parts: str) -> Path:
    """Return a directory of the cache, made if need be; raises `LabError` if it cannot be."""
    path = cache_path(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}; {_REMEDY}") from error
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the cache, so that two runs never fill the same place at once."""
    with (cache_dir("locks") / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
