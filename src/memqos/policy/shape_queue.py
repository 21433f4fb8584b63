"""Shape a disk's queue: few writes at once, so that a read never waits for many.

What no knob of a cgroup holds is a flood of swap writes: from 6.12 on they pass `io.max`, io.cost books them
and lets them go, and one reclaim of a cgroup at its limit has the kernel send tens of MiB at once, because
pages that are being written do not count as reclaimed yet. On a disk of 40 MiB/s each read then waits half a
second. The disk's own scheduler can hold them: mq-deadline hands out requests from a pool, and `async_depth`
is how much of that pool writes may have (`dd_limit_depth` in block/mq-deadline.c; reads may have all). Who
finds none left waits, and the reclaim with it: it goes on as its pages are written.

So a disk that the admin named with its figures gets mq-deadline, an `async_depth` whose writes take about a
quarter of `read_milliseconds` (a service's request is several reads, and each may meet them), and requests no
larger than what takes the disk as long as its own turnaround (bytes over requests per second, a power of two,
128 KiB at least): larger ones would only make a read behind them wait. Each of the disk's hardware queues has
a pool, and writers come on several at a time; so the depth is a quarter of what it would be. Up to 6.17 the
depth counts in each of a pool's words (`sbitmap_init_node` in lib/sbitmap.c makes four at least), and a depth
of one lets four writes go. A pool that is made smaller keeps the size of its words (`sbitmap_resize`): of one
made for 256 requests, as the kernel makes them for virtual disks and NVMe, 64 are one word. So a disk of few
writes gets a pool of 64 requests at most.

Every writer waits for its turn, also an important one: for a few requests, not for a flood. A disk with
another scheduler than `none` and mq-deadline (BFQ, kyber) has one that somebody chose, and stays as it is.
This is the first of the rungs for named disks, so it tells of names that fit none.

On 6.12 (e7, one boot, a disk of 40 MiB/s and 400 requests a second): what 99 of 100 requests of the service
waited for it fell from 303 ms to 41 ms, with `memqos.policy.reserve_io` to 17 to 20 ms in other boots, and
was 6 alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from memqos.model.plan import Plan, Write
from memqos.model.queue import DEADLINE, KNOB, queue_of, queue_text
from memqos.policy.io_settings import DiskSettings
from memqos.policy.named_disk import lost_names, named_disks
from memqos.policy.rung import Situation
from memqos.units import KIB

_OURS: Final = ("none", DEADLINE)
_LEAST_KIB: Final = 128
_PART: Final = 1 / 4
"""Part of the time a read may take that it may wait for writes."""
_WRITING: Final = 4
"""Hardware queues on which writes are reckoned with at a time."""
_WORD: Final = 64
"""Requests of a word of a pool made for 256 (`sbitmap_calculate_shift`)."""
_FEW: Final = 16
"""Below this depth four words would let notably more writes go."""


@dataclass(frozen=True, slots=True)
class ShapeQueue:
    """Have the disks in `io.disks` accept few writes at a time, so that reads do not wait (mq-deadline)."""

    disks: tuple[DiskSettings, ...] = ()
    name: str = "queue"

    def initial(self) -> None:
        """Return nothing: what is held shows in the snapshot."""

    def decide(self, memory: None, situation: Situation) -> tuple[None, Plan]:
        """Return how each of the disks shall queue."""
        now = situation.view.now
        root, lost = now.cgroups.get(""), lost_names(self.disks, now, self.name)
        if root is None or not root.io_queue:
            return None, Plan(advice=lost)
        value, reasons = {}, []
        for device, disk in named_disks(self.disks, now).items():
            queue = queue_of(root.io_queue.get(device, ""))
            if disk.shape_queue and queue.get("scheduler") in _OURS:
                value[device] = shaped(disk, queue)
                reasons.append(
                    f"no read of {now.node.disks[device].name} shall wait for more writes than it serves in "
                    f"{_PART * disk.read_milliseconds:g} ms"
                )
        if not value:
            return None, Plan(advice=lost)
        return None, Plan((Write("", KNOB, value, "; ".join(reasons), self.name, root.inode),), lost)


def shaped(disk: DiskSettings, queue: dict[str, str]) -> str:
    """Return how a disk shall queue that queues so now; what is stricter already stays."""
    turnaround = disk.bytes_per_second // disk.requests_per_second // KIB
    largest = max(_LEAST_KIB, 1 << max(0, turnaround - 1).bit_length())
    largest = min(largest, int(queue.get("max_sectors_kb", largest)))
    rate = min(disk.requests_per_second, disk.bytes_per_second // (largest * KIB))
    depth = max(1, int(rate * _PART * disk.read_milliseconds / 1000 / _WRITING))
    depth = min(depth, int(queue.get("async_depth", depth)))
    wanted: dict[str, str | int] = {"scheduler": DEADLINE, "async_depth": depth, "max_sectors_kb": largest}
    if "nr_requests" in queue:
        pool = int(queue["nr_requests"])
        wanted["nr_requests"] = min(pool, _WORD) if depth < _FEW else pool
    return queue_text(wanted)
