"""Who suffers: pods that stall on memory or on a disk, since when, and whether by their own limit.

A pod is in trouble once it stalls for more than the settings' share of the window, and until it has
stayed below half of that for the calm time; so a trouble does not flicker, and what was done about
it is not undone in its middle. A pod that runs into its own limit (`memory.events` max or high) is
its own cause: others giving way would not help it.

Whether others are to blame, and who, is each rung's question; a pod that matters least can be in
trouble too, but nobody gives way to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from memqos.policy.importance import Importance
from memqos.policy.setting import setting
from memqos.policy.signals import PodSignals, Signals

Kind: TypeAlias = Literal["memory", "io"]

COUNTERS: Final[Mapping[Kind, str]] = {"memory": "memory_some_us", "io": "io_some_us"}
"""The stall counter of each kind: a field of `memqos.policy.history.Sample`."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """When a pod counts as disturbed, and when that is over."""

    memory_stall_percent: float = setting(
        5.0,
        "A pod is in trouble when some of its tasks wait for memory for more than this share of a second.",
        "a pod that has the memory it needs hardly ever waits for it",
        unit="percent",
        least=0.1,
    )
    io_stall_percent: float = setting(
        10.0,
        "A pod is in trouble when some of its tasks wait for a disk for more than this share of a second.",
        "a pod that reads files waits now and then; one that waits a tenth of the time is disturbed",
        unit="percent",
        least=0.1,
    )
    calm_seconds: float = setting(
        10.0,
        "How long a pod must stay below half of that before its trouble is over and remedies are undone.",
        "longer than a garbage collector's or a cron job's pause between two bursts",
        unit="seconds",
        least=1.0,
    )


class Trouble(Struct, frozen=True):
    """One pod that stalls: `share` of the last window (0 to 1), `worst` since it began at `since_us`.

    `least`: the share from which on that is a trouble; `own`: it runs into its own memory.max or memory.high.
    """

    kind: Kind
    victim: str
    importance: Importance
    share: float
    worst: float
    least: float
    since_us: int
    own: bool = False
    calm_since_us: int | None = None

    def __str__(self) -> str:
        """Write it for people: `default/shop waits for memory 23 % of the time`."""
        what = "memory" if self.kind == "memory" else "the disk"
        return f"{self.victim} waits for {what} {self.share * 100:.0f} % of the time"


@dataclass(frozen=True)
class Troubles:
    """All of them, by kind and victim: a policy's memory of who suffers."""

    of: Mapping[tuple[Kind, str], Trouble] = field(default_factory=dict)

    def after(self, signals: Signals, settings: WatchSettings) -> Troubles:
        """Return the troubles as of these signals: new ones begun, calm ones ended."""
        now, found = signals.view.now.time_us, {}
        least: Mapping[Kind, float] = {
            "memory": settings.memory_stall_percent / 100,
            "io": settings.io_stall_percent / 100,
        }
        for pod in signals.pods:
            for kind in least:
                before = self.of.get((kind, pod.key))
                trouble = _trouble(kind, pod, before, least[kind], now)
                if trouble is not None and not _is_over(trouble, now, settings):
                    found[trouble.kind, trouble.victim] = trouble
        return Troubles(found)

    def pressing(self, kind: Kind | None = None) -> tuple[Trouble, ...]:
        """Return the troubles that others may be the cause of, those of the most important pods first."""
        return self._pressing[kind]

    @cached_property
    def _pressing(self) -> Mapping[Kind | None, tuple[Trouble, ...]]:
        wanted = [one for one in self.of.values() if not one.own]
        wanted.sort(key=lambda one: (one.importance, one.share), reverse=True)
        kinds: tuple[Kind, ...] = ("memory", "io")
        by_kind = {kind: tuple(one for one in wanted if one.kind == kind) for kind in kinds}
        return {None: tuple(wanted), "memory": by_kind["memory"], "io": by_kind["io"]}


def _trouble(kind: Kind, pod: PodSignals, before: Trouble | None, least: float, now: int) -> Trouble | None:
    share = pod.share_lately(COUNTERS[kind])
    if before is None and share <= least:
        return None
    own = kind == "memory" and (pod.rate("max_events") > 0 or pod.rate("high_events") > 0)
    if before is None:
        return Trouble(kind, pod.key, pod.importance, share, share, least, now, own)
    calm = None if share > least / 2 else before.calm_since_us or now
    # a pod that is made anew under its name may matter more or less than the one before
    return replace(
        before,
        importance=pod.importance,
        share=share,
        worst=max(before.worst, share),
        own=own,
        calm_since_us=calm,
    )


def _is_over(trouble: Trouble, now: int, settings: WatchSettings) -> bool:
    calm = trouble.calm_since_us
    return calm is not None and now - calm >= settings.calm_seconds * 1e6
