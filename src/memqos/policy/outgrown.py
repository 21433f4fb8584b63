"""Limits below what a pod works on: it runs into them all the time, and reads back at once what was taken.

Nothing on the node can help such a pod: what it waits for is its own limit, so no rung takes from others for
it (`memqos.policy.trouble`), and no OOM kill tells its user. It is told once it has lasted, with the limit.

Who streams through its limit is none of these: nothing of what was taken is missed. Nor is a pod that memqos
or somebody else holds by memory.high: it does not run into its limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from memqos.model.plan import Advice
from memqos.policy.guard import NAME
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals
from memqos.policy.trouble import WatchSettings
from memqos.units import UNLIMITED, format_bytes

_LASTING_US: Final = 30_000_000
"""Longer than a start, or the load of a file; systemd-oomd waits as long until pressure counts as lasting."""
_PART: Final = 20
"""A 20th of the limit a second is missed: all of it in less than a minute."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A pod that runs into its limit: since when, when last, and what bounds it."""

    inode: int
    since_us: int
    last_us: int
    limit: str


Outgrown = Mapping[str, Grown]
"""By pod's path: what is remembered from turn to turn."""


def outgrown_after(before: Outgrown, situation: Situation, watch: WatchSettings) -> Outgrown:
    """Return who runs into a limit at this look, or did within the calm time."""
    now, found = situation.now_us, {}
    for pod in situation.signals.pods:
        known = before.get(pod.path)
        if known is not None and known.inode != pod.cgroup.inode:
            known = None
        limit = _limit(pod, situation, watch)
        if limit is not None:
            since = now if known is None else known.since_us
            found[pod.path] = Grown(pod.cgroup.inode, since, now, limit)
        elif known is not None and now - known.last_us < watch.calm_seconds * 1e6:
            found[pod.path] = known
    return found


def outgrown_advice(outgrown: Outgrown, situation: Situation) -> tuple[Advice, ...]:
    """Tell of those whose limit has been too small for long enough."""
    return tuple(
        Advice(pod.key, _problem(known), _remedy(pod), NAME)
        for pod in situation.signals.pods
        if (known := outgrown.get(pod.path)) is not None and known.last_us - known.since_us >= _LASTING_US
    )


def _limit(pod: PodSignals, situation: Situation, watch: WatchSettings) -> str | None:
    """Return the limit that a pod runs into and misses what it takes, in words; `None` when it does not."""
    if pod.rate("max_events") <= 0:
        return None
    waits = max(pod.share("memory_some_us"), pod.share("io_some_us"))
    if waits * 100 <= watch.memory_stall_percent:
        return None
    places = [("its memory limit", pod.cgroup)]
    for name, path in pod.placed.containers.items():
        cgroup = situation.view.now.cgroups.get(path)
        if cgroup is not None and situation.view.delta(cgroup, "memory_events", "max"):
            places.insert(0, (f"the memory limit of its container {name}", cgroup))
    for words, cgroup in places:
        limit = cgroup.memory_max
        if limit is not None and limit < UNLIMITED:
            missed = pod.refaults >= limit / _PART
            return f"{words}, {format_bytes(limit)}," if missed else None
    return None


def _problem(known: Grown) -> str:
    return f"{known.limit} is less than it works on: it reads back all the time what was taken from it there"


def _remedy(pod: PodSignals) -> str:
    swap = "" if pod.cgroup.memory_swap_max else ", or let it swap: annotation memqos.dev/swap-limit"
    return f"raise the limit{swap}"
