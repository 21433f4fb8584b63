"""Which cgroups had a control file written to, so that knobs are read again only then (inotify(7)).

A write(2) to a control file, by any process, is an IN_MODIFY event in its directory, and so is a notification
by the kernel of `memory.events`, `memory.swap.events` or `cgroup.events` (`kernfs_notify_workfn`,
fs/kernfs/file.c). Counters such as `memory.stat` change without an event.

A watch is IN_ONESHOT: however much happens in a cgroup, there is one event until the watch is armed again.
Where the kernel gives no watch (fs.inotify.max_user_watches), or dropped events, everything is read.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_IN_MODIFY: Final = 0x2
_IN_Q_OVERFLOW: Final = 0x4000
_IN_ONLYDIR: Final = 0x0100_0000
_IN_ONESHOT: Final = 0x8000_0000
_EVENT: Final = struct.Struct("iIII")
"""`struct inotify_event`: watch, mask, cookie, and the length of the name that follows."""


class Notices:
    """The watches of one node; none where inotify cannot be had."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)

    def arm(self, directory: str) -> int:
        """Watch a directory until it is told of; return the watch, 0 where there is none to be had."""
        if self._fd < 0:
            return 0
        mask = ctypes.c_uint32(_IN_MODIFY | _IN_ONLYDIR | _IN_ONESHOT)
        watch: int = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), mask)
        return max(0, watch)

    def told(self) -> frozenset[int] | None:
        """Return the watches that were told of since the last call; `None` when some were lost."""
        if self._fd < 0:
            return frozenset()
        found: set[int] = set()
        while True:
            try:
                raw = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return frozenset(found)
            at = 0
            while at < len(raw):
                watch, mask, _, length = _EVENT.unpack_from(raw, at)
                at += _EVENT.size + length
                if mask & _IN_Q_OVERFLOW:
                    self._drain()
                    return None
                found.add(watch)

    def _drain(self) -> None:
        try:
            while os.read(self._fd, 1 << 16):
                pass
        except BlockingIOError:
            pass

    def disarm(self, watch: int) -> None:
        """Drop a watch; one that was told of is gone already."""
        if watch and self._fd >= 0:
            self._libc.inotify_rm_watch(self._fd, watch)

    def close(self) -> None:
        """Drop every watch."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
