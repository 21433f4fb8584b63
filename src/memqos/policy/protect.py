"""The first rung: memory that a pod needs is protected from those that matter less.

Every pod that outranks another one gets `memory.low` for its measured working set
(`memqos.policy.workingset`), and at least what a kubelet with TieredReservation would protect: its request,
as far as it uses it. A pod that outranks nobody gets nothing. All pods together never get more than the
configured part of what the node has for pods; the most important come first (`memqos.policy.share`). What
somebody else wrote (a kubelet, an admin) is never lowered. `memqos.policy.hierarchy` sets the `memory.low` of
the cgroups above.

The kernel may overrule `memory.low` when it finds nothing else, so it never causes an OOM kill. Where the
kernel overrules it too early, the pods' `memory.min` is raised as well (`memqos.policy.protect_hard`).

Without `memory_recursiveprot` a pod's protection does not reach its containers: there they get the
pod's `memory.low` too, which the kernel cuts down to the pod's.

Measured on the simulated kernels with the rungs protect and reclaim alone (512 MiB; the service has 64 MiB of
heap and reads at random in a file of 96 MiB; the batch pod walks over 360 MiB of heap and streams 256 MiB):
pages of the service's file that had to be read again, and the batch pod's time, of that under the kubelet
alone. With `memory.low` alone 6.1 read 2,148 pages again in the first 73 s.

    kernel        kubelet alone   protected   batch pod
    6.1 classic   4,427           0           1.16
    6.12 MGLRU    4,795           0           1.13
    7.2 MGLRU     424             0           2.96

On 7.2 the batch pod, which walks over all of its memory again and again, fits only when it also has the
service's page cache: there one of the two must lose.

A protected value includes room to grow. It is raised when that is used up, and lowered after `dwell_seconds`
at less than three quarters of it. So the knobs of a steady pod are written once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from memqos.model.plan import Plan, Stand
from memqos.policy.protect_draft import Draft
from memqos.policy.protect_hard import hard_promises, is_dangerous
from memqos.policy.rung import Situation
from memqos.policy.setting import setting
from memqos.policy.share import Claim, divide
from memqos.policy.signals import PodSignals
from memqos.policy.theirs import Theirs
from memqos.policy.workingset import WorkingSet, measure
from memqos.units import MIB, format_bytes, page_floor

_TRUSTED: Final = 16
"""One sixteenth of the node: page cache that counts as needed before it has shown so."""
_LEAST_ROOM: Final = 2 * MIB
_SPENT_US: Final = 2_000_000
"""A pod that still stalls so long after its protection was written is not helped by it."""


@dataclass(frozen=True, slots=True)
class ProtectSettings:
    """Memory of important pods that others cannot take."""

    enabled: bool = setting(
        True,
        "Protect what pods need from pods that matter less (memory.low; memory.min where MGLRU ignores it).",
        "unused protection costs nothing, and memory.low never kills",
    )
    at_most_percent: float = setting(
        75.0,
        "The most that all pods together are promised, in percent of the node's memory for pods.",
        "a quarter stays for the rest to live on: neighbours are to be slower, not dead",
        unit="percent",
        least=0,
    )
    hard_percent: float = setting(
        50.0,
        "The most of it that is promised by memory.min, on kernels whose MGLRU does not keep memory.low.",
        "page cache inside memory.min cannot be freed, whatever happens",
        unit="percent",
        least=0,
    )
    dwell_seconds: float = setting(
        30.0,
        "How long a pod must need much less before its protection is lowered.",
        "longer than a pause between requests; lowering late costs only what nobody asked for",
        unit="seconds",
        least=1,
    )


@dataclass(frozen=True, slots=True)
class Promise:
    """What one pod is promised: `size` bytes since `since_us`; less would do since `less_us`."""

    inode: int
    size: int
    since_us: int
    less_us: int | None = None


@dataclass(frozen=True, slots=True)
class ProtectMemory:
    """By pod's path what it needs and is promised; `short_us` is when the node was last short.

    `hard`: something is promised by `memory.min`.
    """

    needs: Mapping[str, WorkingSet] = field(default_factory=dict)
    promises: Mapping[str, Promise] = field(default_factory=dict)
    theirs: Theirs = field(default_factory=Theirs)
    short_us: int | None = None
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Protect:
    """Protect what pods that outrank others are measured to need (memory.low, memory.min).

    `calm_seconds` must pass until `memory.min` that was given up comes back.
    """

    settings: ProtectSettings = field(default_factory=ProtectSettings)
    calm_seconds: float = 10.0
    name: str = "protect"

    def initial(self) -> ProtectMemory:
        """Return a memory in which nothing is promised."""
        return ProtectMemory()

    def decide(self, memory: ProtectMemory, situation: Situation) -> tuple[ProtectMemory, Plan]:
        """Return the protection of every pod that outranks another."""
        pods, now = situation.signals.pods, situation.now_us
        gainers = [pod for pod in pods if pod.importance > pods[-1].importance and pod.current]
        total = _for_pods(situation)
        pressed = {victim for _, victim in situation.troubles.of}
        needs, promises, requests = {}, {}, {}
        for pod in gainers:
            path = pod.path
            before = memory.needs.get(path)
            hold = pod.key in pressed
            needs[path] = measure(before, pod, now, trusted=total // _TRUSTED, hold=hold)
            requests[path] = pod.request
            promised = memory.promises.get(path)
            promises[path] = self._promise(promised, pod, needs[path].need, requests[path], now)
        grants = _soft(int(total * self.settings.at_most_percent / 100), gainers, promises)
        budget = int(total * self.settings.hard_percent / 100)
        hard = hard_promises(budget, gainers, grants, situation, standing=memory.hard)
        short_us = now if hard and is_dangerous(situation, hard) else memory.short_us
        if short_us is not None and now - short_us < self.calm_seconds * 1e6:
            hard = {}
        draft = Draft(situation, memory.theirs, self.name)
        for pod in gainers:
            path = pod.path
            draft.protect(pod, grants[path], hard.get(path, 0), needs[path], requests[path])
        draft.carry_down()
        stands = tuple(
            _stand(self.name, pod, promises[pod.path], grants[pod.path], situation) for pod in gainers
        )
        after = ProtectMemory(needs, promises, Theirs(draft.raised), short_us, bool(hard))
        return after, Plan(tuple(draft.writes), stands=stands)

    def _promise(self, before: Promise | None, pod: PodSignals, need: int, request: int, now: int) -> Promise:
        floor = min(request, pod.current)
        need = min(max(need, floor), pod.limit)
        target = page_floor(min(pod.limit, need + max(need // 8, _LEAST_ROOM)), pod.page_size)
        if before is None or before.inode != pod.cgroup.inode or need > before.size:
            return Promise(pod.cgroup.inode, target, now)
        if target > before.size * 3 // 4:
            return replace(before, less_us=None)
        less_us = before.less_us or now
        if now - less_us >= self.settings.dwell_seconds * 1e6:
            return Promise(before.inode, target, now)
        return replace(before, less_us=less_us)


def _for_pods(situation: Situation) -> int:
    """Bytes that the node has for pods: its memory, or the limit of the cgroup that holds them all."""
    cgroups = situation.view.now.cgroups
    tops = {pod.path.partition("/")[0] for pod in situation.signals.pods}
    limits = [cgroups[top].memory_max for top in tops if top in cgroups]
    total = situation.view.now.node.meminfo.get("MemTotal", 0)
    return min([total, *(limit for limit in limits if limit is not None)])


def _soft(budget: int, gainers: Sequence[PodSignals], promises: Mapping[str, Promise]) -> dict[str, int]:
    ranks = {level: rank for rank, level in enumerate(sorted({pod.importance for pod in gainers}))}
    claims = [Claim(pod.path, promises[pod.path].size, 0, ranks[pod.importance]) for pod in gainers]
    size = gainers[0].page_size if gainers else 1
    return {path: page_floor(grant, size) for path, grant in divide(budget, claims).items()}


def _stand(name: str, pod: PodSignals, promise: Promise, grant: int, situation: Situation) -> Stand:
    trouble = situation.troubles.of.get(("memory", pod.key))
    why = f"it has {format_bytes(pod.current)}, and up to {format_bytes(grant)} are protected for it"
    if trouble is not None and not trouble.own:
        since = max(promise.since_us, trouble.since_us)
        if situation.now_us - since >= _SPENT_US:
            return Stand(name, pod.key, "spent", since + _SPENT_US, f"{why}, and {trouble}")
    return Stand(name, pod.key, "act", promise.since_us, why)
