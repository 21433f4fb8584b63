"""What every rung looks at: each pod's pressure, growth and traffic over the last window.

Computed once a turn from the view and the history, so that all rungs use the same figures. A rate that is not
known yet is 0 (and `over_us` is 0), so that nothing is done on a first look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from msgspec import Struct

from memqos.kubelet.resources import pod_memory_request
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Cgroup, IoStat
from memqos.model.view import View
from memqos.policy.history import LEAST_US, WINDOW_US, History, Moment, NodeSample, Sample
from memqos.policy.importance import Importance, importance
from memqos.policy.stat import clean_cache, stat_of, swappable, unreclaimable
from memqos.units import UNLIMITED


class PodSignals(Struct, frozen=True, dict=True):
    """One pod over a window of `over_us` microseconds; `begin` and `end` are its counters there.

    The pod's own cgroup is meant throughout; its containers are in it. `key` is `namespace/name`, the subject
    of stands and advice; `leaving`: it was told to go. `swappable` are the bytes of anonymous and shared
    memory that its swap.max and the node's free swap let out; `io` its bytes and requests per second by
    device ("major:minor"), of devices used in the window. `lately` are its counters at the first look of the
    last second, when there was one.
    """

    placed: PlacedPod
    key: str
    cgroup: Cgroup
    importance: Importance
    over_us: int
    begin: Sample
    end: Sample
    page_size: int
    swap_free: int
    swappable: int
    io: Mapping[str, IoStat]
    leaving: bool = False
    lately: Sample | None = None

    @property
    def path(self) -> str:
        """The pod's cgroup."""
        return self.cgroup.path

    def share(self, field: str) -> float:
        """Return the part of the window, 0 to 1, that a `*_us` counter grew by: `share("memory_some_us")`."""
        grown: int = getattr(self.end, field) - getattr(self.begin, field)
        return min(1.0, max(0, grown) / self.over_us) if self.over_us else 0.0

    def share_lately(self, field: str) -> float:
        """Return `share`, or what the looks of the last second alone saw of that second, if that is more.

        Looks may lie so far apart that the window is nearly two seconds: the stall that has just woken the
        agent would be halved in it.
        """
        if not self.over_us:
            return 0.0
        end: int = getattr(self.end, field)
        share: float = max(0, end - getattr(self.begin, field)) / self.over_us
        if self.lately is not None:
            share = max(share, (end - getattr(self.lately, field)) / WINDOW_US)
        return min(1.0, share)

    def rate(self, field: str) -> float:
        """Return a counter's or a size's change per second; negative where a size shrank."""
        grown: int = getattr(self.end, field) - getattr(self.begin, field)
        return grown * 1e6 / self.over_us if self.over_us else 0.0

    @cached_property
    def refaults(self) -> float:
        """Bytes per second that had been taken back and were needed again, file and anonymous."""
        return (self.rate("refaults_file") + self.rate("refaults_anon")) * self.page_size

    @cached_property
    def growth(self) -> float:
        """Bytes per second by which memory and swap together grew."""
        return self.rate("memory") + self.rate("swap")

    @property
    def current(self) -> int:
        """Bytes charged (memory.current)."""
        return self.cgroup.memory_current or 0

    @property
    def swap(self) -> int:
        """Bytes swapped out."""
        return self.cgroup.memory_swap_current or 0

    @property
    def limit(self) -> int:
        """The pod's memory.max in bytes; `UNLIMITED` where none is set."""
        return UNLIMITED if self.cgroup.memory_max is None else self.cgroup.memory_max

    @cached_property
    def request(self) -> int:
        """Bytes of memory that the pod requests in all; 0 when none."""
        return pod_memory_request(self.placed.pod)

    def stat(self, key: str) -> int:
        """Return one value of the pod's memory.stat; 0 where the kernel has no such line."""
        return stat_of(self.cgroup, key)

    @cached_property
    def clean_cache(self) -> int:
        """Bytes of page cache that can be dropped without writing anything."""
        return clean_cache(self.cgroup)

    @cached_property
    def unreclaimable(self) -> int:
        """Bytes that no reclaim can take: what cannot be swapped, locked pages, the kernel's own."""
        return unreclaimable(self.cgroup, self.swap_free)


@dataclass(frozen=True)
class Signals:
    """The node and its pods at one turn, the most important pods first."""

    view: View
    over_us: int
    node_begin: NodeSample
    node_end: NodeSample
    pods: tuple[PodSignals, ...]

    @classmethod
    def of(cls, view: View, history: History) -> Signals:
        """Measure a view against its history, whose last moment is this very view's."""
        end = history.moments[-1]
        begin = history.since() or end
        moments = (begin, *history.moments)
        lately = [one for one in history.moments[:-1] if end.time_us - one.time_us < WINDOW_US]
        pods = [_pod_signals(view, placed, end, moments, lately) for placed in view.pods]
        known = [pod for pod in pods if pod is not None]
        known.sort(key=lambda pod: (pod.importance, pod.key), reverse=True)
        return cls(view, end.time_us - begin.time_us, begin.node, end.node, tuple(known))

    def node_rate(self, field: str) -> float:
        """Return the change per second of one of the node's numbers."""
        grown: int = getattr(self.node_end, field) - getattr(self.node_begin, field)
        return grown * 1e6 / self.over_us if self.over_us else 0.0

    def busy(self, device: str) -> float:
        """Return the part of the window, 0 to 1, that a disk had requests to serve; 0 of an unknown one."""
        return min(1.0, self.disk_rate(device, "io_time_us") / 1e6)

    def disk_rate(self, device: str, field: str) -> float:
        """Return what one of a disk's counters grew by per second; 0 of an unknown one."""
        end, begin = self.node_end.disks.get(device), self.node_begin.disks.get(device)
        if end is None or begin is None or not self.over_us:
            return 0.0
        grown: int = getattr(end, field) - getattr(begin, field)
        return max(0, grown) * 1e6 / self.over_us

    def pod(self, key: str) -> PodSignals | None:
        """Return a pod by `namespace/name`; `None` when it has no cgroup here."""
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> Mapping[str, PodSignals]:
        return {pod.key: pod for pod in reversed(self.pods)}

    def below(self, level: Importance) -> tuple[PodSignals, ...]:
        """Return the pods that matter less, the least important first."""
        if (known := self._below.get(level)) is None:
            known = tuple(pod for pod in reversed(self.pods) if pod.importance < level)
            self._below[level] = known
        return known

    @cached_property
    def _below(self) -> dict[Importance, tuple[PodSignals, ...]]:
        """A node has few levels of importance, and rungs ask about each of its pods."""
        return {}


def _pod_signals(
    view: View, placed: PlacedPod, end: Moment, moments: Sequence[Moment], lately: Sequence[Moment]
) -> PodSignals | None:
    """Measure one pod; one born within the window, since it was first seen.

    `moments` begin with the one that rates are taken from; `lately` are those of the last second.
    """
    cgroup = view.now.cgroups.get(placed.cgroup) if placed.cgroup else None
    if cgroup is None:
        return None
    path = cgroup.path
    last = end.pods[path]
    first, over_us = last, 0
    for moment in moments:
        sample = moment.pods.get(path)
        if sample is not None and sample.inode == last.inode:
            if moments[0] is not end and end.time_us - moment.time_us >= LEAST_US:
                first, over_us = sample, end.time_us - moment.time_us
            break
    before = next((moment.pods[path] for moment in lately if path in moment.pods), None)
    if before is not None and before.inode != last.inode:
        before = None
    node = view.now.node
    swap_free = node.meminfo.get("SwapFree", 0)
    leaving = placed.pod.uid in view.underway.leaving
    return PodSignals(
        placed,
        placed.pod.key,
        cgroup,
        importance(placed.pod),
        over_us,
        first,
        last,
        node.page_size,
        swap_free,
        swappable(cgroup, swap_free),
        _io_rates(first.io, last.io, over_us) if last.io is not first.io else {},
        leaving,
        before,
    )


def _io_rates(begin: Mapping[str, IoStat], end: Mapping[str, IoStat], over_us: int) -> Mapping[str, IoStat]:
    rates = {}
    for device, now in end.items():
        then = begin.get(device, IoStat())
        if over_us and now != then:
            per_second = [
                max(0, getattr(now, name) - getattr(then, name)) * 10**6 // over_us
                for name in IoStat.__struct_fields__
            ]
            rates[device] = IoStat(*per_second)
    return rates
