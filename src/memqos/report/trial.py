"""What a recorded stretch of a node's life shows: who held what, and each pod's memory over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memqos.model.events import oom_kills
from memqos.model.plan import Tick
from memqos.model.snapshot import Cgroup
from memqos.report.figures import Line, Marker, Panel
from memqos.units import MIB, UNLIMITED, format_bytes


def tightest(ticks: Sequence[Tick]) -> Tick | None:
    """Return the turn at which the pods together had the most in swap, or held the most if none swapped."""
    return max(ticks, key=_held, default=None)


def sentences(ticks: Sequence[Tick]) -> list[str]:
    """Say of each pod that was short of memory what became of it."""
    said = []
    for name, looks in _chosen(ticks):
        kills = sum(1 for _ in _kills(looks))
        swap = max(cgroup.memory_swap_current or 0 for _, cgroup in looks)
        allowed = looks[-1][1].memory_swap_max or 0
        limit = format_bytes(looks[-1][1].memory_max or 0)
        fate = f"OOM-killed {kills} times" if kills > 1 else "OOM-killed once" if kills else "never killed"
        paged = f"up to {format_bytes(swap)} in swap" if swap else "nothing in swap"
        said.append(f"{name}: {fate} at its limit of {limit}; {paged}, {format_bytes(allowed)} allowed")
    return said


def pod_panels(ticks: Sequence[Tick], *, at_most: int = 3) -> list[Panel]:
    """Return a panel for each pod that was killed or swapped, or for any if none was.

    x is seconds since the first turn.
    """
    return [_panel(name, looks) for name, looks in _chosen(ticks)[:at_most]]


def _chosen(ticks: Sequence[Tick]) -> list[tuple[str, list[tuple[float, Cgroup]]]]:
    """Return the looks at each pod that was short of memory, or at each pod if none was."""
    pods: dict[str, list[tuple[float, Cgroup]]] = {}
    for tick in ticks:
        seconds = (tick.snapshot.time_us - ticks[0].snapshot.time_us) / 1e6
        for name, cgroup in _pod_cgroups(tick):
            pods.setdefault(name, []).append((seconds, cgroup))
    chosen = [name for name, looks in pods.items() if _was_short(looks)] or list(pods)
    return [(name, pods[name]) for name in sorted(chosen)]


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
        kills = oom_kills(cgroup.memory_events) if cgroup.memory_events is not None else 0
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


def _held(tick: Tick) -> tuple[int, int]:
    cgroups = [cgroup for _, cgroup in _pod_cgroups(tick)]
    return (
        sum(cgroup.memory_swap_current or 0 for cgroup in cgroups),
        sum(cgroup.memory_current or 0 for cgroup in cgroups),
    )
