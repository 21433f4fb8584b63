"""How much memory the node can still give, counting swap, and when there will be none left.

That is what is free above the kernel's watermarks, clean page cache beyond a floor, and anonymous memory that
can still be swapped out: as much as there is free swap, and as pods' memory.swap.max allows. The floor of
page cache stands for the code of running programs: a node that drops it reads it again and again, and stands
still before any OOM kill (a livelock).

The kubelet's `memory.available` counts active page cache as used and knows no swap, so it evicts
pods that reclaim would have served (k/k #43916, #120800).

Every rung that asks whether the node is short asks here, for the kind of memory that matters to it: with or
without swap, without page cache that is protected from everybody, or free memory alone, by which the kernel's
own reclaim starts (`wanted_free`).

A page on its way to swap still has its memory and already has a slot; it is counted once. So a burst of
swap-out that runs ahead of its disk (kswapd under a fast processor: 130 MiB in half a second) is no shortage.
A page that came back from swap and kept its slot is in use, and counts as neither: with 25 MiB of those and
nothing else to be had, a real 7.2 under fifty growing pods (e11) was left to its OOM killer.

The forecast is the slope over the last window: the time until there is nothing left, and until swap is full.
It is `None` while the node does not move in that direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from memqos.model.snapshot import NodeFacts
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals, Signals
from memqos.policy.stat import swapping_out
from memqos.units import format_bytes

_CACHE_FLOOR: Final = 0.02
"""Part of the node's memory that its programs' own code is taken to need in page cache."""
_PER_STALL: Final = 16
"""For a pod that does nothing but wait for memory a sixteenth of the node is to be free."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Bytes that can be had now, `slope` in bytes per second (negative: shrinking), and the forecast."""

    total: int
    obtainable: int
    swap_room: int
    slope: float = 0.0
    swap_slope: float = 0.0

    @property
    def exhausted_in(self) -> float | None:
        """Seconds until nothing can be had, at this rate; `None` when it does not shrink."""
        return self.obtainable / -self.slope if self.slope < 0 else None

    @property
    def swap_full_in(self) -> float | None:
        """Seconds until swap is full, at this rate; `None` when there is none, or it does not fill."""
        return self.swap_room / -self.swap_slope if self.swap_room and self.swap_slope < 0 else None

    def __str__(self) -> str:
        """Write it for people: `38Mi can still be had, none in 2.1 s at this rate`."""
        left = f"{format_bytes(self.obtainable)} of {format_bytes(self.total)} is still available"
        if self.exhausted_in is not None and self.exhausted_in < 60:
            left += f", none in {self.exhausted_in:.1f} s at this rate"
        if self.swap_full_in is not None and self.swap_full_in < 60:
            left += f", swap is full in {self.swap_full_in:.1f} s"
        return left


def outlook(signals: Signals) -> Outlook:
    """Return what the node can still give, from the figures of this turn."""
    node = signals.view.now.node
    swap_room = _swap_room(node, signals.pods)
    available, swap = signals.node_rate("available"), signals.node_rate("swap_free")
    return Outlook(
        total=node.meminfo.get("MemTotal", 0),
        obtainable=without_swap(node) + swap_room + swapping_out(node.meminfo),
        swap_room=swap_room,
        slope=available + min(0.0, swap),
        swap_slope=swap,
    )


def is_short(signals: Signals, part: float, *, swapping: Sequence[PodSignals] = (), kept: int = 0) -> bool:
    """Whether less than `part` (0 to 1) of the node's memory can be had without swap.

    What the `swapping` pods may still swap counts as well, with what is on its way there, and `kept` bytes of
    page cache do not.
    """
    node = signals.view.now.node
    left = without_swap(node) - kept
    if swapping:
        left += _swap_room(node, swapping) + swapping_out(node.meminfo)
    return left < node.meminfo.get("MemTotal", 0) * part


def wanted_free(situation: Situation) -> int:
    """Return the bytes that should be free and are not, so that the kernel's own reclaim stays asleep.

    kswapd begins below the low watermarks and ends at the high ones. Twice those are kept, and what all pods
    grow by or have taken from them in a second; more while somebody stalls who is not the least important.
    """
    node, pods = situation.view.now.node, situation.signals.pods
    growth = sum(max(0.0, pod.growth) for pod in pods)
    need = max(growth, sum(pod.rate("stolen") * pod.page_size for pod in pods))
    least = pods[-1].importance if pods else None
    for trouble in situation.pressing("memory"):
        if trouble.importance != least:
            need = max(need, node.meminfo.get("MemTotal", 0) * trouble.share / _PER_STALL)
    return max(0, 2 * _high(node) + int(need) - node.meminfo.get("MemFree", 0))


def _swap_room(node: NodeFacts, pods: Iterable[PodSignals]) -> int:
    return min(node.meminfo.get("SwapFree", 0), sum(pod.swappable for pod in pods))


def _high(node: NodeFacts) -> int:
    return sum(zone.high for zone in node.zones) * node.page_size


def without_swap(node: NodeFacts) -> int:
    """Return the bytes that can be had without writing anything: free, and clean page cache."""
    info = node.meminfo
    reserve = _high(node)
    free = max(0, info.get("MemFree", 0) - reserve)
    cache = info.get("Active(file)", 0) + info.get("Inactive(file)", 0)
    writing = info.get("Writeback", 0) - swapping_out(info)
    clean = cache - info.get("Dirty", 0) - writing
    floor = int(info.get("MemTotal", 0) * _CACHE_FLOOR)
    had = free + max(0, clean - floor) + info.get("SReclaimable", 0) // 2
    # a node that names no page cache (a container's view, a test) still says what it has available
    return had if "Active(file)" in info else max(0, info.get("MemAvailable", 0) - reserve)
