"""What the admin says about limits on the disk."""

from __future__ import annotations

from dataclasses import dataclass

from memqos.errors import InputError
from memqos.policy.setting import setting
from memqos.units import MIB


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """A disk that is shared by priority, and what it can do: the volume's or the maker's own figures."""

    name: str = setting(
        "",
        "The disk's kernel name (vda, nvme0n1), or a shell pattern for several.",
        "required",
    )
    bytes_per_second: int = setting(
        200 * MIB,
        "What it reads or writes in a second.",
        "a usual cloud volume's",
        unit="bytes",
        least=4096,
    )
    requests_per_second: int = setting(
        2000,
        "How many small requests it serves in a second.",
        "a usual cloud volume's",
        unit="requests",
        least=1,
    )
    read_milliseconds: float = setting(
        10.0,
        "How long 95 % of its reads may take. They wait for writes a quarter of it at most; with io.cost, "
        "everybody gets less of the disk while they take longer.",
        "several times what a disk takes that is not overloaded",
        unit="milliseconds",
        least=0.1,
    )
    shape_queue: bool = setting(
        True,
        "Let its scheduler (mq-deadline) accept few writes at a time, so that no read waits behind many.",
        "from kernel 6.12 on no limit of a cgroup applies to swap writes",
    )
    headroom_percent: float = setting(
        25.0,
        "Part of the disk that is kept free while a more important pod uses it, besides what that pod "
        "takes, and more while its requests take longer than when it has the disk to itself; 0 keeps nothing "
        "free and shares the disk by weight (io.cost).",
        "a disk that serves all it can makes every request wait",
        unit="percent",
        least=0.0,
    )

    def __post_init__(self) -> None:
        """Raise `InputError` for a disk without a name."""
        if not self.name:
            raise InputError("is empty", field="name", remedy="name a disk as lsblk does, such as nvme0n1")


@dataclass(frozen=True, slots=True)
class IoSettings:
    """Limits on the disk for pods that a more important one waits for."""

    enabled: bool = setting(
        True,
        "Limit the reads and writes of less important pods while a more important one waits for a disk.",
        "nothing else does: Kubernetes has no I/O limits",
    )
    disks: tuple[DiskSettings, ...] = setting(
        (),
        "Disks that are shared by priority, each with its name and what it can do.",
        "what is kept free of a disk is a part of what it can do; with wrong figures it is wasted",
    )
    blame_percent: float = setting(
        20.0,
        "Part of a disk's traffic that less important pods must cause together before they are limited.",
        "below that, a pod that waits mostly waits for its own requests",
        unit="percent",
        least=1.0,
    )
    saturated_percent: float = setting(
        50.0,
        "Part of the time that a disk must have requests to serve before anybody is limited on it.",
        "a pod that waits for a disk which is idle half of the time does not wait for others",
        unit="percent",
        least=0.0,
    )
    first_cut_percent: float = setting(
        50.0,
        "The first limit, in percent of what a pod would take of the disk; each further one is half of it. "
        "Lower where the more important pod waits much longer than it can bear.",
        "half a disk's time left free lets the victim's requests go almost at once",
        unit="percent",
        least=1.0,
    )
    floor_percent: float = setting(
        10.0,
        "The least a pod keeps of what it took before.",
        "it must go on, or it would hold its memory and locks for ever",
        unit="percent",
        least=1.0,
    )
    floor_bytes: int = setting(
        1 * MIB,
        "The least a pod keeps, in bytes per second each way; a quarter of what it took, if that is less.",
        "a usual program can still start, log and end, and yet fifty small ones can be limited",
        unit="bytes",
        least=4096,
    )
    floor_requests: int = setting(
        50,
        "The least a pod keeps, in requests per second; a quarter of what it took, if that is less.",
        "what one slow hard disk serves in half of its time",
        unit="requests",
        least=1,
    )
    dwell_seconds: float = setting(
        2.0,
        "How long a limit is kept before it is changed, either way.",
        "the figures of the last second then show what the limit did",
        unit="seconds",
        least=0.5,
    )
    calm_seconds: float = setting(
        10.0,
        "How long no more important pod may have waited before limits are raised step by step.",
        "longer than a usual pause within a batch job",
        unit="seconds",
        least=1.0,
    )
