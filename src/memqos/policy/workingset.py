"""How much memory a pod needs, from what it uses and what it asked back: an estimate without sampling.

Everything but page cache counts as needed: anonymous and shared memory, the kernel's own. Page cache
that was read once looks, from outside, like page cache that is read all the time; so it counts

* as far as it is mapped (programs and libraries, files that are mapped to be used);
* as far as it came back: a refault is a page that was taken and was needed. What refaults adds to what
  is *earned*, never beyond what is there, and fades by half in `HALF_LIFE_US` in which nothing presses;
* and a little on trust (`trusted` bytes), so that a small cache need not be lost once to be known.

So a stream through an important pod is not taken for its working set, and its index file is.
7.2 with MGLRU forgets what it took of page cache soon (its cap on shadow nodes), so a large file
earns less there than it should; requests still stand for it (`memqos.policy.protect`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from memqos.policy.signals import PodSignals

HALF_LIFE_US: Final = 600 * 10**6
"""Ten minutes: longer than the pause between two runs of a job that comes every few minutes."""


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """What one cgroup needs, in bytes, as of a moment; `earned` of it is page cache that came back."""

    inode: int
    time_us: int
    refaults: int
    need: int
    earned: int


def measure(
    before: WorkingSet | None, pod: PodSignals, now_us: int, *, trusted: int, hold: bool
) -> WorkingSet:
    """Return the estimate of this moment; `hold` keeps what was earned from fading (under pressure)."""
    refaults = pod.end.refaults_file
    cache = max(0, pod.stat("file") - pod.stat("shmem"))
    earned = 0
    if before is not None and before.inode == pod.cgroup.inode:
        passed = max(0, now_us - before.time_us)
        kept = before.earned if hold else int(before.earned * 0.5 ** (passed / HALF_LIFE_US))
        fresh = max(0, refaults - before.refaults) * pod.page_size
        earned = max(kept, min(kept + fresh, cache))
    shown = max(earned, pod.stat("file_mapped")) + trusted
    need = max(0, pod.current - cache) + min(cache, shown)
    return WorkingSet(pod.cgroup.inode, now_us, refaults, need, earned)
