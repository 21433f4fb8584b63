"""Finding idle memory by taking it: in small steps at first, in larger ones while none of it comes back.

What a pod does not use cannot be seen from outside; what it misses can. So memory is taken in steps, and
after each step two figures are looked at: how much came back (refaults, which the kernel counts on every
LRU), and how long the pod waited (stall totals). A step after which nothing came back is followed by one of
twice its size. The first sign that the pod misses something ends the search at once, and then

* if the memory had been taken shortly before, it was not idle: the next try is a small one, after a pause
  four times as long with each failure in a row;
* if more came back than was taken, the program has moved on to other memory, and what it leaves behind will
  soon be idle: the next try comes as soon as it is quiet. Down to the size it could do with last time
  (`floor`) each step is half of the way.

No average is used here. senpai's law, the usual one, lowers a limit by at most 1 % every six seconds, and
looks at pressure only, which kernels count differently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from memqos.units import KIB, MIB

RECENT_US: Final = 15 * 10**6
"""For so long memory that comes back is held against the steps that took it."""
_LEAST_STEP: Final = 256 * KIB
_LEAST_PART: Final = 256
"""A first step is a 256th of what the pod holds."""
_MOST_PART: Final = 12
"""No step is more than a twelfth of it."""
_PRIME: Final = 64 * KIB
"""The very first step only makes the kernel look which pages were used: until then all look the same."""
_NOTHING: Final = 4096
"""So little was taken lately that nothing can be learnt."""
_GROWTH: Final = 2
_MISSED_PART: Final = 16
"""What came back is a sign when it is more than a 16th of what was taken lately ..."""
_MISSED_LEAST: Final = 128 * KIB
"""... and more than what a few stray faults with their readahead bring."""
_FORGIVEN: Final = 2 * MIB
_PAUSE_US: Final = 1_000_000
_QUIET_US: Final = 2_000_000
_FIRST_PAUSE_US: Final = 4_000_000
"""Each next failure makes it four times as long."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one turn showed of a pod: bytes it `holds`, bytes that came `back` since the last turn.

    `size` is what it holds and has swapped out.
    `stalled` is the part of the last window, 0 to 1, that it waited for memory or for what was taken.
    """

    time_us: int
    holds: int
    size: int
    back: int
    stalled: float


@dataclass(frozen=True, slots=True)
class Probe:
    """One pod's search for idle memory of one kind; sizes in bytes.

    `taken` and `back` fade by half in `RECENT_US`, `clean` was taken since anything was missed. `ready_us` is
    when the next step may be taken, `paused_us` until when a sign counts to the last failure, `floor` what
    the pod held after it, when its size was `size`.
    """

    step: int = 0
    taken: float = 0.0
    back: float = 0.0
    time_us: int = 0
    ready_us: int = 0
    paused_us: int = 0
    floor: int = 0
    failures: int = 0
    primed: bool = False
    clean: int = 0
    size: int = 0

    def look(self, seen: Seen, tolerance: float, longest_us: int) -> tuple[Probe, bool]:
        """Return the search after a look, and whether memory is missed (then nothing may be taken)."""
        if not seen.back and self.taken < _NOTHING and seen.time_us >= self.paused_us and not self.floor:
            return self, False
        fade = 0.5 ** (max(0, seen.time_us - self.time_us) / RECENT_US) if self.time_us else 1.0
        taken, back = self.taken * fade, self.back * fade + seen.back
        now = replace(self, taken=taken, back=back, time_us=seen.time_us)
        if self.floor and seen.size > self.size + self.size // 4:
            # it has become another program: what it could do with tells nothing any more
            now = replace(now, floor=0, failures=0, step=0, primed=False)
        elif seen.time_us < self.paused_us:
            now = replace(now, floor=max(self.floor, seen.holds))
        sign = back > max(_MISSED_LEAST, taken / _MISSED_PART)
        if not seen.back or not (sign or (seen.stalled > tolerance and back > taken / 256)):
            return now, False
        quiet = seen.time_us + _QUIET_US
        now = replace(now, step=0, back=0.0, clean=0)
        if back > 2 * taken:
            return replace(now, ready_us=quiet, failures=0), True
        if seen.time_us < self.paused_us:
            # one failure is told once, however many turns its pages take to come back
            return replace(now, ready_us=max(self.ready_us, quiet)), True
        failures = self.failures + 1
        ready = seen.time_us + min(longest_us, _FIRST_PAUSE_US << min(2 * (failures - 1), 20))
        after = replace(now, floor=seen.holds, size=seen.size, failures=failures)
        return replace(after, ready_us=ready, paused_us=ready), True

    def wants(self, holds: int) -> int:
        """Return the size of the next step."""
        if not self.primed:
            return _PRIME
        least = max(_LEAST_STEP, holds // _LEAST_PART)
        most = max(least, holds // _MOST_PART)
        if self.floor and holds > self.floor:
            above = holds - self.floor
            return min(most, max(least, above // 2 if above > self.floor // 8 else 0))
        if self.failures > 1:
            return least
        return min(most, max(self.step, least))

    def ordered(self, size: int, now_us: int) -> Probe:
        """Return the search after a step was ordered."""
        if not self.primed:
            return replace(self, primed=True, ready_us=now_us + _PAUSE_US)
        return replace(self, step=size, ready_us=now_us + _PAUSE_US)

    def took(self, size: int, *, all_of_it: bool, now_us: int) -> Probe:
        """Return the search after a step ended."""
        after = replace(self, taken=self.taken + size, clean=self.clean + size, time_us=now_us)
        if not all_of_it:
            return replace(after, step=0, ready_us=now_us + RECENT_US)
        return replace(after, step=self.step * _GROWTH)

    def forgiven(self, holds: int) -> Probe:
        """Return the search with one failure less for every 16th taken of which nothing was missed."""
        if self.failures and self.clean > max(holds // 16, _FORGIVEN):
            return replace(self, failures=self.failures - 1, clean=0)
        return self
