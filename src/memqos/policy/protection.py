"""What protection holds: `memory.min` and `memory.low` down the cgroup tree.

The kernel takes a cgroup's effective protection from its parent's: what the children of a cgroup
claim together is cut down to what that cgroup itself is effectively granted
(`effective_protection` and `page_counter_calculate_protection` in mm/page_counter.c; 6.1:
mm/memcontrol.c). Whole pages; divisions truncate; `memory.min` and `memory.low` apart.

This is what the node's own reclaim keeps to (tests/kernel/test_policies.py), until nothing unprotected
is left; with one exception that was measured: MGLRU on 6.12 takes from a cgroup below its `memory.low`
like from any other, and keeps to `memory.min` (table in `memqos.policy.hierarchy`). An order to the root's
own `memory.reclaim` does not keep to `memory.low` with MGLRU: on 6.12 and 7.2 it took a protected pod's
page cache like everybody's, without one `low` event; on 6.1 it kept to `memory.low`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memqos.model.snapshot import Cgroup


@dataclass(frozen=True, slots=True)
class Protection:
    """What reclaim from the root leaves alone of a cgroup, in bytes: hard and best-effort."""

    min: int
    low: int


def share(
    usage: int, setting: int, parent_usage: int, parent_effective: int, claimed: int, *, recursive: bool
) -> int:
    """Return one cgroup's effective protection, in pages, from its parent's.

    `claimed` is the sum of min(usage, setting) over the cgroup and its siblings; `recursive` that
    cgroup2 is mounted with `memory_recursiveprot`, which shares out what nobody claims.
    """
    claim = min(usage, setting)
    if claimed > parent_effective:
        return claim * parent_effective // claimed
    if recursive and parent_effective > claimed and parent_usage > claimed and usage > claim:
        return claim + (parent_effective - claimed) * (usage - claim) // (parent_usage - claimed)
    return claim


def effective_protection(
    cgroups: Mapping[str, Cgroup], *, recursiveprot: bool, page_size: int = 4096
) -> dict[str, Protection]:
    """Return every cgroup's effective protection in reclaim that starts at the root.

    A child of the root has what is written there; the root itself, and a cgroup that holds no
    memory, has none. `cgroups` lists parents before children, as a `Snapshot` does.
    """
    claimed: dict[str | None, tuple[int, int]] = {}
    for cgroup in cgroups.values():
        hard, soft = claimed.get(cgroup.parent, (0, 0))
        usage, minimum, low = _pages(cgroup, page_size)
        claimed[cgroup.parent] = (hard + min(usage, minimum), soft + min(usage, low))
    pages: dict[str, tuple[int, int]] = {}
    for path, cgroup in cgroups.items():
        usage, minimum, low = _pages(cgroup, page_size)
        parent = cgroup.parent
        if parent is None or usage == 0:
            pages[path] = (0, 0)
        elif cgroups.get(parent) is None or not parent:
            pages[path] = (minimum, low)
        else:
            above, sums = pages[parent], claimed[parent]
            used = _pages(cgroups[parent], page_size)[0]
            pages[path] = (
                share(usage, minimum, used, above[0], sums[0], recursive=recursiveprot),
                share(usage, low, used, above[1], sums[1], recursive=recursiveprot),
            )
    return {path: Protection(hard * page_size, soft * page_size) for path, (hard, soft) in pages.items()}


def _pages(cgroup: Cgroup, page_size: int) -> tuple[int, int, int]:
    sizes = (cgroup.memory_current, cgroup.memory_min, cgroup.memory_low)
    usage, minimum, low = ((size or 0) // page_size for size in sizes)
    return usage, minimum, low
