"""Where `memory.low` is overruled too early: who may have `memory.min`, and when that is given up.

It is overruled too early in two cases. MGLRU of 6.12 does not keep it in the node's own reclaim (table in
`memqos.policy.hierarchy`; such a kernel shows as MGLRU without `swappiness=max` in `memory.reclaim`). And any
kernel that waits for a slow swap device gives up on the pods that may swap: pages on their way out are not
free yet, and the next round takes whatever is protected. So there (others may still swap more than the
page cache at stake) `memory.min` is raised, and stays while they may swap a quarter of it, or have as much on
its way to swap: just when they swap most they have least left to swap. On 7.2 it was given up for half a
second of such a storm, and a service lost 40 of its 96 MiB of page cache (e6). Five bounds keep it from
forcing an OOM kill:

* only where the whole of a pod's memory fits: that MGLRU skips a cgroup that is below its
  `memory.min` as a whole and takes from any other as if it had none, so a lower value does nothing;
* never as high as a limit (`memqos.policy.guard`): a pod that fills its own gets nine tenths of it, on
  6.12 nothing, because that would not be the whole;
* at the pod's cgroup, not its containers', and only with `memory_recursiveprot`, which passes it down:
  reclaim for the pod's own limit starts at that cgroup and does not count its protection (k/k#137880 was
  killed by its container's `memory.min`, at the pod's limit);
* at most `hard_percent` of the node (`memqos.policy.protect.ProtectSettings`);
* page cache inside `memory.min` is out of every reclaim's reach, so when what the node can still free
  besides (page cache, what may be swapped) comes close to nothing, all of it is given up, back to
  `memory.low`, until the node has been well for the calm time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from memqos.policy.guard import safe_min
from memqos.policy.rung import Situation
from memqos.policy.shortage import is_short
from memqos.policy.signals import PodSignals
from memqos.policy.stat import swapping_out

_STAYS: Final = 0.25
_SHORT: Final = 1 / 32
"""Part of the node left to free: about twice the high watermark of a node of 1 GiB."""


def hard_promises(
    budget: int,
    gainers: Sequence[PodSignals],
    grants: Mapping[str, int],
    situation: Situation,
    *,
    standing: bool = False,
) -> dict[str, int]:
    """Return by path what may be promised by `memory.min`: whole pods, the most important first.

    `standing`: something was promised at the last look, so it takes more to be over.
    """
    features = situation.view.now.features
    if "memory_recursiveprot" not in features:
        return {}
    old = "mglru" in features and "memory.reclaim swappiness=max" not in features
    if not old and not _may_swap(situation, gainers, _STAYS if standing else 1.0):
        return {}
    hard = {}
    for pod in gainers:
        grant = grants[pod.path]
        safe = safe_min(grant, pod.path, situation.view.now)
        if pod.current <= (safe if old else grant) and safe <= budget:
            hard[pod.path] = safe
            budget -= safe
    return hard


def is_dangerous(situation: Situation, hard: Mapping[str, int]) -> bool:
    """Whether what the node can free, besides what `memory.min` keeps, comes close to nothing."""
    pods = situation.signals.pods
    kept = _page_cache(pod for pod in pods if pod.path in hard)
    swapping = [pod for pod in pods if pod.path not in hard]
    return is_short(situation.signals, _SHORT, swapping=swapping, kept=kept)


def _may_swap(situation: Situation, gainers: Sequence[PodSignals], part: float) -> bool:
    """Whether others may still swap more than a part of the page cache that the kernel would take instead.

    What is on its way to swap counts: a reclaim that finds only that waits for none of it.
    """
    gaining = {pod.path for pod in gainers}
    room = sum(pod.swappable for pod in situation.signals.pods if pod.path not in gaining)
    meminfo = situation.view.now.node.meminfo
    leaving = min(room, meminfo.get("SwapFree", 0)) + swapping_out(meminfo)
    return leaving > part * max(_page_cache(gainers), 0)


def _page_cache(pods: Iterable[PodSignals]) -> int:
    return sum(pod.stat("file") - pod.stat("shmem") for pod in pods)
