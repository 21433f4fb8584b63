"""A file of /proc or /sys, kept open and re-read in place."""

from __future__ import annotations

import os
from typing import Final

from memqos.linux.oserror import node_error
from memqos.linux.reading import ABSENT, pread
from memqos.units import KIB

_PIECE: Final = 16 * KIB
"""More than what the kernel gives at once, and not so much that the heap would have to grow for it."""


class ProcFile:
    """A file of /proc or /sys, kept open. It comes in pieces, so it is read until nothing follows.

    `read` returns `None` when the machine has no such file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._missing = False

    def read(self) -> bytes | None:
        """Return the whole text."""
        if self._missing:
            return None
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            raw = piece = pread(self._fd, _PIECE, 0)
            while piece:
                piece = pread(self._fd, _PIECE, len(raw))
                raw += piece
        except OSError as error:
            if error.errno in ABSENT:
                self._missing = True
                return None
            raise node_error(error, cgroup="", knob=self.path, directory_exists=True) from None
        return raw

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
