"""Recording beside the loop: a slow disk delays the journal, but never a decision.

A thread of its own takes the turns from a short queue and records them in order. When the queue is full,
because the disk of a node that thrashes takes seconds for a write, the turn is dropped and counted; what
follows is recorded again. On an orderly end everything queued is recorded first.

It is not used where memqos starts programs, which can be born in their cgroup only while the process has one
thread (`memqos.linux.runner.spawn`). There the journal is written within the turn.
"""

from __future__ import annotations

import queue
import threading
from typing import Final, Protocol

from memqos.model.plan import Tick
from memqos.units import KIB

ROOM: Final = 16
"""Turns that wait at most: each keeps its snapshot, up to some hundred KiB at 110 pods."""
LAST_WAIT_S: Final = 30.0
_STACK: Final = 512 * KIB
"""Locked memory is resident (`memqos.linux.shelter`), and a usual stack is 8 MiB."""


class Closing(Protocol):
    """A recorder that can be closed; `Journal` is one."""

    dropped: int

    def append(self, tick: Tick) -> bool:
        """Record one turn; false when it was dropped."""

    def close(self) -> None:
        """End."""


class Beside:
    """Records with `recorder` in a thread; `append` returns at once.

    `overflowed` tells that a turn was dropped because the queue was full.
    """

    def __init__(self, recorder: Closing, room: int = ROOM) -> None:
        self._recorder = recorder
        self._queue: queue.Queue[Tick | None] = queue.Queue(room)
        self._lost = 0
        self._thread = threading.Thread(target=self._record, name="journal", daemon=True)
        before = threading.stack_size(_STACK)
        try:
            self._thread.start()
        finally:
            threading.stack_size(before)

    @property
    def overflowed(self) -> bool:
        """Whether a turn was dropped for want of room in the queue."""
        return self._lost > 0

    @property
    def dropped(self) -> int:
        """Turns that were not recorded, for whatever reason."""
        return self._lost + self._recorder.dropped

    def append(self, tick: Tick) -> bool:
        """Queue one turn; false when there was no room."""
        try:
            self._queue.put_nowait(tick)
        except queue.Full:
            self._lost += 1
            return False
        return True

    def close(self) -> None:
        """Record what is queued, at most for `LAST_WAIT_S`, and close the recorder."""
        try:
            self._queue.put(None, timeout=LAST_WAIT_S)
        except queue.Full:
            self._lost += self._queue.qsize()
            return
        self._thread.join(LAST_WAIT_S)
        if self._thread.is_alive():
            self._lost += self._queue.qsize()
            return
        self._recorder.close()

    def _record(self) -> None:
        while (tick := self._queue.get()) is not None:
            self._recorder.append(tick)
