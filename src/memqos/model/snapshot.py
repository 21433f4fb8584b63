"""Raw facts of one node at one moment, in the kernel's own words and units.

A field is named after its file, dots as underscores: `memory.swap.max` is `memory_swap_max`.
Sizes are bytes, durations microseconds, "max" is `units.UNLIMITED`. `None` always means one thing:
this kernel, or this cgroup, has no such file (the root has no `memory.max`, 6.1 no
`memory.swap.peak`, a cgroup without the io controller no `io.stat`), or it could not be read, and then
`Snapshot.unread` says so. What no policy decides by may be a few looks old on a real node (`memory_peak`, but
after an event, `memory_zswap_current`, `cpu_pressure`; `memqos.linux.files`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, overload

from msgspec import Struct

from memqos.units import UNLIMITED

_T = TypeVar("_T")


class Counters(Mapping[str, int]):
    """The lines of a flat-keyed file (`memory.stat`, `memory.events`, `/proc/vmstat`), read-only.

    The keys of a file are the same in every cgroup of a kernel, so all share one `layout`
    (key to position) and each holds only its `values`.
    """

    __slots__ = ("layout", "values_")

    def __init__(self, layout: Mapping[str, int], values: tuple[int, ...]) -> None:
        self.layout = layout
        self.values_ = values

    @classmethod
    def of(cls, counters: Mapping[str, int]) -> Counters:
        """Build from a plain mapping (tests, the simulator, a journal)."""
        return cls({key: index for index, key in enumerate(counters)}, tuple(counters.values()))

    def __getitem__(self, key: str) -> int:
        return self.values_[self.layout[key]]

    @overload
    def get(self, key: str, /) -> int | None: ...
    @overload
    def get(self, key: str, /, default: int) -> int: ...
    @overload
    def get(self, key: str, /, default: int | _T) -> int | _T: ...
    def get(self, key: str, /, default: Any = None) -> Any:
        """Return a counter, or `default`: asked thousands of times a turn, so without an exception inside."""
        place = self.layout.get(key)
        return default if place is None else self.values_[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout)

    def __len__(self) -> int:
        return len(self.layout)

    def __repr__(self) -> str:
        return f"Counters({dict(self)})"


class PressureLine(Struct, frozen=True, gc=False):
    """One line of a `*.pressure` file: averages in percent, `total` in microseconds."""

    avg10: float
    avg60: float
    avg300: float
    total: int


class Pressure(Struct, frozen=True):
    """A `*.pressure` file (Documentation/accounting/psi.rst). The node's cpu file may have no `full`."""

    some: PressureLine
    full: PressureLine | None = None


class IoStat(Struct, frozen=True, gc=False):
    """One device's line of `io.stat`: bytes and requests read, written, discarded."""

    rbytes: int = 0
    wbytes: int = 0
    rios: int = 0
    wios: int = 0
    dbytes: int = 0
    dios: int = 0


class IoMax(Struct, frozen=True, gc=False):
    """One device's line of `io.max`: bytes and requests per second; `UNLIMITED` is "max"."""

    rbps: int = UNLIMITED
    wbps: int = UNLIMITED
    riops: int = UNLIMITED
    wiops: int = UNLIMITED


class Cgroup(Struct, frozen=True, kw_only=True):
    """One cgroup. `path` is below the cgroup root ("" is the root itself); `inode` its identity.

    Devices in `io_stat`, `io_max`, `io_cost_*` and `io_queue` are "major:minor". `io_cost_qos` and
    `io_cost_model`, the root's alone, are the kernel's text for each disk that somebody set them for;
    `io_queue`, the root's too, is how each disk queues (`memqos.linux.queues`).
    """

    path: str
    inode: int
    cgroup_events: Counters | None = None
    memory_current: int | None = None
    memory_peak: int | None = None
    memory_min: int | None = None
    memory_low: int | None = None
    memory_high: int | None = None
    memory_max: int | None = None
    memory_oom_group: bool | None = None
    memory_stat: Counters | None = None
    memory_events: Counters | None = None
    memory_events_local: Counters | None = None
    memory_pressure: Pressure | None = None
    memory_swap_current: int | None = None
    memory_swap_high: int | None = None
    memory_swap_max: int | None = None
    memory_swap_events: Counters | None = None
    memory_zswap_current: int | None = None
    io_stat: Mapping[str, IoStat] | None = None
    io_max: Mapping[str, IoMax] | None = None
    io_weight: int | None = None
    io_cost_qos: Mapping[str, str] | None = None
    io_cost_model: Mapping[str, str] | None = None
    io_queue: Mapping[str, str] | None = None
    io_pressure: Pressure | None = None
    cpu_pressure: Pressure | None = None
    cpu_weight: int | None = None

    @property
    def parent(self) -> str | None:
        """The parent's path; `None` for the root."""
        return self.path.rpartition("/")[0] if self.path else None


class Swap(Struct, frozen=True, gc=False):
    """One line of /proc/swaps; sizes in bytes.

    `device` is the "major:minor" of the disk that is swapped to, as `io.stat` and `io.max` name it: of a
    swap file, its filesystem's; of a partition, the whole disk's. `None` when it cannot be told.
    """

    filename: str
    kind: str
    size: int
    used: int
    priority: int
    device: str | None = None


class Disk(Struct, frozen=True, gc=False):
    """One line of /proc/diskstats (Documentation/admin-guide/iostats.rst); bytes and microseconds."""

    device: str
    name: str
    rios: int
    rbytes: int
    wios: int
    wbytes: int
    in_flight: int
    io_time_us: int
    weighted_time_us: int


class Zone(Struct, frozen=True, gc=False):
    """One zone of /proc/zoneinfo, in pages: free pages and the min/low/high watermarks."""

    numa_node: int
    name: str
    free: int
    min: int
    low: int
    high: int
    managed: int


class NodeFacts(Struct, frozen=True, kw_only=True):
    """What the node itself says: /proc/meminfo (bytes), /proc/vmstat, pressure, swaps, disks, zones."""

    meminfo: Counters
    vmstat: Counters
    memory_pressure: Pressure | None = None
    io_pressure: Pressure | None = None
    cpu_pressure: Pressure | None = None
    swaps: tuple[Swap, ...] = ()
    disks: Mapping[str, Disk] = {}
    zones: tuple[Zone, ...] = ()
    page_size: int = 4096


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything the policies may look at, from one pass over one node.

    `time_us` is the node's monotonic clock; `features` the knobs and abilities that probing found
    (see `FEATURES`); `cgroups` is keyed by path, parents before children. `unread` says, in a few lines
    `path: knob: reason`, what was there and could not be read: it counts as not there.
    """

    time_us: int
    boot_id: str
    node: NodeFacts
    cgroups: Mapping[str, Cgroup]
    features: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()


FEATURES: Final = {
    "memory.reclaim": "memory.reclaim exists: pages can be taken back without a limit (5.19)",
    "memory.reclaim swappiness": "memory.reclaim takes swappiness=0..200 (6.8)",
    "memory.reclaim swappiness=max": "memory.reclaim takes swappiness=max, anonymous memory only (6.17)",
    "memory.peak": "memory.peak exists (5.19)",
    "memory.peak reset": "memory.peak can be reset per open file (6.12)",
    "memory.swap": "the kernel accounts swap per cgroup and memory.swap.max exists",
    "memory.zswap": "memory.zswap.* exist (5.19)",
    "psi": "*.pressure files can be read (CONFIG_PSI, psi=1)",
    "psi trigger": "a trigger can be set on memory.pressure by this process",
    "io.max": "the io controller is on and io.max exists",
    "io.max spares swap": "swap writes pass io.max, which only books them (6.12)",
    "io.weight": "io.weight exists (BFQ or io.cost)",
    "io.cost": "io.cost.qos exists at the root",
    "memory_recursiveprot": "cgroup2 is mounted with memory_recursiveprot",
    "mglru": "/sys/kernel/mm/lru_gen/enabled is not 0",
    "swap": "at least one swap device is on",
    "cgroup.kill": "cgroup.kill exists (5.14)",
}
"""Every name that `Snapshot.features` may hold, with what it means."""
