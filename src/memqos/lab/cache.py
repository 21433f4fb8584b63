"""Where the laboratory keeps what is expensive to get: `$MEMQOS_CACHE`, else `~/.cache/memqos`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memqos.errors import LabError


def cache_dir(*parts: str) -> Path:
    """Return a directory of the cache, made if need be; raises `LabError` if it cannot be."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    path = Path(os.environ.get("MEMQOS_CACHE") or Path(home) / "memqos", *parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}; set MEMQOS_CACHE to a writable directory") from error
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the cache, so that two runs never fill the same place at once."""
    with (cache_dir("locks") / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
