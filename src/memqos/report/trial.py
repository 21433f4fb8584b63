"""What a recorded stretch of a node's life shows: who held what, and each pod's memory over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memqos.model.plan import Tick
from memqos.model.snapshot import Cgroup
from memqos.report.figures import Line, Marker, Panel
from memqos.units import MIB, UNLIMITED


def fullest(ticks: Sequence[Tick]) -> Tick | None:
    """Return the turn at which the pods together held the most, memory and swap."""
    return max(ticks, key=lambda tick: sum(_held(each) for _, each in _pod_cgroups(tick)), default=None)


def pod_panels(ticks: Sequence[Tick], *, at_most: int = 3) -> list[Panel]:
    """Return a panel for each pod that was killed or swapped, or for any if none was.

    x is seconds since the first turn.
    """
    pods: dict[str, list[tuple[float, Cgroup]]] = {}
    for tick in ticks:
        seconds = (tick.snapshot.time_us - ticks[0].snapshot.time_us) / 1e6
        for name, cgroup in _pod_cgroups(tick):
            pods.setdefault(name, []).append((seconds, cgroup))
    chosen = [name for name, looks in pods.items() if _was_short(looks)] or list(pods)
    return [_panel(name, pods[name]) for name in sorted(chosen)[:at_most]]


def _panel(name: str, looks: Sequence[tuple[float, Cgroup]]) -> Panel:
    x = [seconds for seconds, _ in looks]
    current = [(cgroup.memory_current or 0) / MIB for _, cgroup in looks]
    swap = [(cgroup.memory_swap_current or 0) / MIB for _, cgroup in looks]
    markers = [Marker("OOM kill", x=seconds) for seconds in _kills(looks)]
    limit = looks[-1][1].memory_max
    if limit is not None and limit < UNLIMITED:
        markers.append(Marker(f"memory.max {limit / MIB:.0f} MiB", y=limit / MIB))
    lines = (Line("memory.current", x, current), Line("memory.swap.current", x, swap))
    return Panel(name, "MiB", lines, tuple(markers))


def _kills(looks: Sequence[tuple[float, Cgroup]]) -> Iterable[float]:
    before = 0
    for seconds, cgroup in looks:
        kills = cgroup.memory_events.get("oom_kill", 0) if cgroup.memory_events is not None else 0
        if kills > before:
            yield seconds
        before = max(before, kills)


def _was_short(looks: Sequence[tuple[float, Cgroup]]) -> bool:
    """True for a pod that was killed or swapped."""
    return any(True for _ in _kills(looks)) or any(cgroup.memory_swap_current for _, cgroup in looks)


def _pod_cgroups(tick: Tick) -> list[tuple[str, Cgroup]]:
    cgroups = tick.snapshot.cgroups
    found = [(placed.pod.key, cgroups.get(placed.cgroup or "/")) for placed in tick.pods]
    return [(name, cgroup) for name, cgroup in found if cgroup is not None]


def _held(cgroup: Cgroup) -> int:
    return (cgroup.memory_current or 0) + (cgroup.memory_swap_current or 0)
