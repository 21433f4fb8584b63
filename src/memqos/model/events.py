"""What `memory.events` says, where its counters are not what they seem."""

from __future__ import annotations

from collections.abc import Mapping


def oom_kills(events: Mapping[str, int]) -> int:
    """Return how often the OOM killer came: for a group as one (`memory.oom.group`), else for each process.

    `oom_kill` counts processes, and in a group the first victim twice (mm/oom_kill.c,
    `oom_kill_process`: once itself, once as a member), so `oom_group_kill` (5.17) goes before it.
    """
    return events.get("oom_group_kill") or events.get("oom_kill", 0)
