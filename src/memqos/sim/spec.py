"""What a simulated node is made of: memory, CPUs, disks, settings, and what the kernel's work costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memqos.errors import ExperimentError
from memqos.units import GIB, MIB

MAX_DISKS = 4


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk: bytes and requests per second (0: no bound) and microseconds of latency, up to a spread more.

    With `burst_us` a leaky bucket stands before it: after being idle it takes that much of its bandwidth at
    once, and a request passes as soon as those before it have passed so far, however large itself. Without,
    each is served for as long as its bytes take.
    With `under_way` pages on their way to swap (0: however many) reclaim waits for the first of them, besides
    the bound in requests that a kernel has: on a fast processor, where no time passes between its rounds.
    """

    name: str = "vda"
    read_bps: int = 0
    write_bps: int = 0
    read_iops: int = 0
    write_iops: int = 0
    read_latency_us: int = 100
    write_latency_us: int = 100
    spread_us: int = 0
    burst_us: int = 0
    under_way: int = 256


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What the simulated node is made of. Every field has a default that suits a small VM.

    `system` is memory that the kernel and the rest of the system hold and never give back;
    `read_ahead` as read_ahead_kb, in bytes; `page_cluster` as vm.page-cluster (2^n slots are read
    together); `swap_disk` names the disk swap lies on, which
    `swap_rotates` if it says so (virtio-blk does, if not told otherwise): swap-in then reads the slots around
    a page's own, else the pages around it. `overcommit`: vm.overcommit_memory is 1, memory is mapped however
    much there is of it.
    """

    memory: int = GIB
    cpus: int = 2
    disks: tuple[Disk, ...] = (Disk(),)
    swap: int = 0
    swap_disk: str = ""
    swap_rotates: bool = True
    swappiness: int = 60
    read_ahead: int = 128 << 10
    page_cluster: int = 3
    recursiveprot: bool = True
    thp: bool = False
    system: int = 0
    dirty_ratio: int = 20
    dirty_background_ratio: int = 10
    overcommit: bool = False
    seed: int = 1

    def check(self) -> None:
        """Raise `ExperimentError` naming the first field that makes no sense."""
        for name, value, least in (
            ("memory", self.memory, 16 * MIB),
            ("cpus", self.cpus, 1),
            ("swap", self.swap, 0),
            ("system", self.system, 0),
            ("read_ahead", self.read_ahead, 0),
            ("page_cluster", self.page_cluster, 0),
        ):
            if value < least:
                raise ExperimentError(f"{value} is too little", field=name, remedy=f"write at least {least}")
        if not 0 <= self.swappiness <= 200:
            problem = f"{self.swappiness} is no swappiness"
            raise ExperimentError(problem, field="swappiness", remedy="write 0 to 200")
        if self.system >= self.memory:
            raise ExperimentError("the system takes all memory", field="system", remedy="make it smaller")
        if not 1 <= len(self.disks) <= MAX_DISKS:
            remedy = f"give 1 to {MAX_DISKS}"
            raise ExperimentError(f"{len(self.disks)} disks", field="disks", remedy=remedy)
        if self.swap_disk and self.swap_disk not in {disk.name for disk in self.disks}:
            problem = f"there is no disk {self.swap_disk!r}"
            raise ExperimentError(problem, field="swap_disk", remedy="name one of disks")


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU time of the kernel's own work, nanoseconds.

    From the field study: a resident page's read costs 0.52 µs of system time (0.544 s for 4 GiB: the copy
    and an eighth of a system call), a page that must be reclaimed for and read anew 1.72 µs more.
    A page sent to swap costs its mappings, the TLB, a slot and a bio. `round` is what a round of reclaim at
    one priority takes besides its pages, for each cgroup it comes to where it is the whole node's; `request`
    what it takes to send a request to a disk and to hear of its end; `writeback` what a page of a file takes
    the flusher, on its way and at its end. Where they are 0 the costs of pages include them.
    `exit` is how long the memory of a process that is killed for its cgroup's limit is held still, for each
    of its pages; 0: it is free at once.
    `program` is how many times slower programs themselves are than where their own times were measured.
    """

    fault: int = 700
    scan: int = 150
    steal: int = 250
    swap_out: int = 2000
    round: int = 0
    request: int = 0
    read_miss: int = 1300
    copy: int = 444
    syscall: int = 600
    exit: int = 0
    writeback: int = 0
    quantum: int = 1_000_000
    program: int = 1

    def times(self, slower: int) -> Costs:
        """The same on a processor so many times as slow, for the kernel and for programs."""
        kernel = {name: getattr(self, name) * slower for name in _KERNEL}
        return replace(self, **kernel, program=self.program * slower)


_KERNEL = (
    *("fault", "scan", "steal", "swap_out", "round", "request", "writeback", "read_miss", "copy"),
    *("syscall", "exit"),
)
