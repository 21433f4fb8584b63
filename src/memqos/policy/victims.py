"""Who goes when somebody must: by priority, then excess over request, then what it frees for its cost.

1. The lowest priority goes first; a critical pod never, nor one whose annotation
   `memqos.dev/evictable` is "false" where the admin lets users say so.
2. Within a priority, pods above their memory request before those within: a request is a promise.
3. Then the one that frees most, memory and swap together, less what its end costs: a pod whose
   work is lost (restartPolicy Never) counts half.

The kubelet asks the second question first, and so evicts an important pod that outgrew its request
before an unimportant one that did not.

Pods are looked at by tier, all of one priority together, before any of them is too small to matter:
fifty pods of 1.3 % each are a large offender. A tier whose pods together free less
than a quarter of what is needed is passed over, since ending it would help nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from memqos.kubelet.resources import eviction_memory_request
from memqos.model.plan import Advice
from memqos.model.pods import Pod
from memqos.model.snapshot import Cgroup
from memqos.policy.choice import ANNOTATION, DOMAIN, FAMILY, short
from memqos.policy.signals import PodSignals
from memqos.policy.stat import clean_cache
from memqos.units import format_bytes

EVICTABLE: Final = "memqos.dev/evictable"
_LEAST: Final = 4
_BULK: Final = 0.75


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod that may go; `relief` is what its end frees for others, in bytes, memory and swap."""

    pod: PodSignals
    request: int
    relief: int

    @property
    def excess(self) -> int:
        """Bytes of its working set above its request, as the kubelet ranks; negative within it."""
        return max(0, self.pod.current - self.pod.stat("inactive_file")) - self.request

    @property
    def worth(self) -> float:
        """Bytes freed, weighed by what the end costs."""
        return self.relief * (0.5 if self.pod.placed.pod.restart_policy == "Never" else 1.0)

    @property
    def why(self) -> str:
        """What it holds and what it asked for, for people."""
        pod = self.pod
        holds = f"holds {format_bytes(pod.current)}"
        holds += f" and {format_bytes(pod.swap)} of swap" if pod.swap else ""
        over = f"{format_bytes(self.excess)} over" if self.excess > 0 else "within"
        asked = f"its request of {format_bytes(self.request)}" if self.request else "no request"
        return f"{pod.importance}, {holds}, {over} {asked}"


def candidates(pods: Iterable[PodSignals], *, users_may_refuse: bool = False) -> tuple[Candidate, ...]:
    """Return who may go, the first to go first."""
    found = [
        Candidate(pod, eviction_memory_request(pod.placed.pod).value, relief(pod))
        for pod in pods
        if not pod.importance.critical
        and not (users_may_refuse and pod.placed.pod.annotations.get(EVICTABLE) == "false")
    ]
    found.sort(key=lambda one: (one.pod.importance.priority, one.excess <= 0, -one.worth, one.pod.key))
    return tuple(found)


def unheeded(pod: Pod, name: str, *, users_may_refuse: bool) -> Iterator[Advice]:
    """Yield an advice, signed with `name`, for each annotation of ours that does not do what it seems to.

    Those about swap are `memqos.policy.choice`'s.
    """
    for key, text in pod.annotations.items():
        if not key.startswith(DOMAIN) or key.startswith(FAMILY):
            continue
        said = f"annotation {short(key)}"
        if key != EVICTABLE:
            remedy = f"write {ANNOTATION} or {EVICTABLE}"
            yield Advice(pod.key, f"{said}: memqos knows no such annotation", remedy, name)
        elif text not in ("true", "false"):
            remedy = 'write "true" or "false"'
            yield Advice(pod.key, f"{said}: {short(text)!r} is neither true nor false", remedy, name)
        elif text == "false" and not users_may_refuse:
            remedy = "ask the admin for evict.usersMayRefuse, or for a higher priority"
            yield Advice(
                pod.key, f"{said} does not spare it: the policy does not let users say so", remedy, name
            )


def relief(pod: PodSignals) -> int:
    """Return the bytes that can be had once the pod is gone and could not before.

    Clean page cache is no relief: it can be had while the pod lives.
    """
    return pod.current - pod.clean_cache + pod.swap


def bulk(pod: PodSignals, cgroups: Mapping[str, Cgroup]) -> str | None:
    """Return the container that holds nearly all of what the pod's end would free; `None` when none does."""
    least = relief(pod) * _BULK
    for name, path in pod.placed.containers.items():
        cgroup = cgroups.get(path)
        if cgroup is None:
            continue
        held = (cgroup.memory_current or 0) - clean_cache(cgroup) + (cgroup.memory_swap_current or 0)
        if held and held >= least:
            return name
    return None


def choose(ranked: Sequence[Candidate], deficit: int) -> tuple[Candidate, ...]:
    """Return the fewest of the lowest tier worth ending that free `deficit` bytes, in the ranking's order.

    When that tier does not hold as much, all of it is returned; where no tier is worth ending, the
    one that frees most.
    """
    tiers = [
        [one for one in tier if one.relief > 0]
        for _, tier in groupby(ranked, key=lambda one: one.pod.importance.priority)
    ]
    freed = [sum(one.relief for one in tier) for tier in tiers]
    worth = [tier for tier, bytes_ in zip(tiers, freed, strict=True) if bytes_ * _LEAST >= deficit]
    most = max(zip(freed, tiers, strict=True), key=lambda pair: pair[0], default=(0, []))[1]
    chosen: list[Candidate] = []
    for one in worth[0] if worth else most:
        chosen.append(one)
        if sum(each.relief for each in chosen) >= deficit:
            break
    return tuple(chosen)
