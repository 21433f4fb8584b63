"""One agent per node: a lock on a file in the state directory.

The kernel drops the lock when the process ends, however it ends; the file's text only says who.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from memqos.errors import AgentError, LockHeld

NAME: Final = "agent.lock"


class Lock:
    """The state directory's lock; hold it with `with`.

    Raises `LockHeld` when another process has it, saying which and since when; `AgentError` when the
    directory cannot be used. A full disk is no reason: the lock itself takes no room.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._descriptor = -1

    def __enter__(self) -> Lock:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            where = f"the state directory {self.path.parent} cannot be used: {error.strerror}"
            raise AgentError(f"{where}; run as root, or name another one") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "it does not say who"
            os.close(descriptor)
            raise LockHeld(f"another agent manages this node ({holder}); end it first") from None
        since = datetime.now(UTC).isoformat(timespec="seconds")
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()}, since {since}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
