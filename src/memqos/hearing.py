"""How often one source of pressure is listened to.

The first signal of a source is heard at once. One that goes on is heard again after 0.2 s, 0.4 s, 0.8 s and
then once a second: a program that reads a disk all day stalls on it all day, and one that lives at its
limit reclaims there all the time; neither is news. After `CALM_S` of silence the next one is heard at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

SHORTEST_S: Final = 0.2
LONGEST_S: Final = 1.0
CALM_S: Final = 2.0

Source: TypeAlias = tuple[str, str]
"""A cgroup's path and the file that signals."""


@dataclass(slots=True)
class _Mute:
    until: float
    length: float


@dataclass(slots=True)
class Hearing:
    """The sources that were heard of late. Times are seconds of any one clock."""

    _mutes: dict[Source, _Mute] = field(default_factory=dict)

    def hears(self, source: Source, now: float) -> bool:
        """Tell whether a signal is to be listened to, and count it if so."""
        mute = self._mutes.get(source)
        if mute is None or now >= mute.until + CALM_S:
            self._mutes[source] = _Mute(now + SHORTEST_S, SHORTEST_S)
            return True
        if now < mute.until:
            return False
        mute.length = min(2 * mute.length, LONGEST_S)
        mute.until = now + mute.length
        return True

    def forget(self, path: str) -> None:
        """Forget a cgroup."""
        for source in [each for each in self._mutes if each[0] == path]:
            del self._mutes[source]
