"""PSI triggers, and what stands in for one where the kernel or our privilege refuses it.

A trigger is `some STALL WINDOW` (µs) written to a kept descriptor of a `*.pressure`; the kernel then
signals POLLPRI when tasks stalled that long within the window, at most once per window
(Documentation/accounting/psi.rst). It dies with the descriptor; a cgroup that died signals POLLERR.
An unprivileged trigger must have a window of a multiple of 2 s (6.5; before that none is allowed
on /proc/pressure); 6.1 wants at least 500 ms.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Final

from memqos.linux.keyed import Pressures
from memqos.linux.reading import read_whole
from memqos.model.snapshot import Pressure

_CODEC: Final = Pressures()


@dataclass(frozen=True, slots=True)
class Trigger:
    """What counts as pressure: stalls of `stall_us` within `window_us`, of some tasks or of all (`full`).

    The window stays within the kernel's bounds of 500 ms (6.1) and 10 s; a tenth of the time stalled is felt
    by a service well before it thrashes. Half a second is the shortest window every kernel takes.
    """

    stall_us: int = 50_000
    window_us: int = 500_000
    kind: str = "some"

    def arm(self, file: str) -> int:
        """Return a descriptor that signals POLLPRI; raises `OSError` where no trigger can be had."""
        unprivileged = -(-self.window_us // 2_000_000) * 2_000_000
        fd = os.open(file, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            try:
                os.write(fd, self._text(self.stall_us, self.window_us))
            except OSError:
                stall = self.stall_us * unprivileged // self.window_us
                os.write(fd, self._text(stall, unprivileged))
        except OSError:
            os.close(fd)
            raise
        return fd

    def _text(self, stall_us: int, window_us: int) -> bytes:
        return f"{self.kind} {stall_us} {window_us}\0".encode()


class Sample:
    """The stand-in for a trigger: `total` read now and then, and compared over a window."""

    def __init__(self, file: str, trigger: Trigger) -> None:
        self._fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        self._trigger = trigger
        try:
            self._total = self._read()
        except OSError:
            os.close(self._fd)
            raise
        self._since_us = time.monotonic_ns() // 1000
        self._fired = False

    def pressed(self, now_us: int) -> bool:
        """Tell whether `stall_us` were stalled within a window, at most once per window.

        When nobody looked for longer than a window, what was stalled is taken as evenly spread. Raises
        `OSError` when the file no longer reads.
        """
        trigger = self._trigger
        total, elapsed = self._read(), now_us - self._since_us
        over = elapsed >= trigger.window_us
        stalled = total - self._total
        if over:
            stalled = stalled * trigger.window_us // elapsed
        fires = stalled >= trigger.stall_us and (over or not self._fired)
        if over or fires:
            self._total, self._since_us, self._fired = total, now_us, fires
        return fires

    def _read(self) -> int:
        """Return the total; a text that is no pressure is an `OSError`, as no text is."""
        try:
            found = _CODEC.decode(read_whole(self._fd, 512)[0])
        except ValueError as error:
            raise OSError(str(error)) from error
        assert isinstance(found, Pressure)
        line = found.full if self._trigger.kind == "full" else found.some
        return 0 if line is None else line.total

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)
