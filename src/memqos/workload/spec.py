"""A workload: phases, done one after another by one thread.

::

    apiVersion: memqos.dev/v1alpha1
    kind: Workload
    seed: 7                              # optional, 0..2^64-1; 0 when left out
    phases:
    - allocate: {name: heap, size: 64Mi, hugePages: false}
    - mmap: {name: index, path: /data/index, size: 16Mi, write: false}
    - touch: {region: heap, order: sequential, write: true, passes: 1}
    - touch: {region: heap, order: {zipf: 1.1, scatter: true}, accesses: 100000, bytesPerSecond: 40Mi}
    - read: {path: /data/file, block: 128Ki, passes: 2}
    - write: {path: /data/log, size: 32Mi, block: 1Mi, sync: true}
    - requests: {region: heap, pages: 16, order: {hotCold: {fraction: 0.1, probability: 0.9}},
                 perSecond: 100, seconds: 60, report: 10, file: {path: /data/file, bytes: 4Ki}}
    - free: {region: heap, size: 16Mi}
    - sleep: {seconds: 2}
    - repeat: {times: 3, phases: [...]}
    - hold: {seconds: 60}

Sizes are Kubernetes quantities, rounded up to whole pages of 4096 bytes.

- `allocate` maps private anonymous memory and touches none of it. It is never merged into huge
  pages (MADV_NOHUGEPAGE) unless `hugePages: true` leaves that to the node.
- `mmap` maps `size` bytes (without it all, but for a last page that is not whole) of an existing file,
  shared; `write: true` to write.
- `touch` accesses pages of a region: `accesses` of them, or `passes` times as many as the region (or
  its part `offset`, `size`) has pages. A read access reads 8 bytes of the page. A write access writes
  the whole page with content that no other page has, not zero and hardly compressible. Reading
  anonymous memory that was never written maps the kernel's zero page and charges nothing.
- `read` reads block after block until it has `bytes`, or `passes` times the file's size; the last read is
  cut to that. The file's last block may be short; sequential reading then goes on at the file's begin.
  `write` empties or creates the file, writes `size` bytes in order, and with `sync` ends with fsync.
- `requests` is an open loop: request i arrives at i/`perSecond` seconds whether or not the ones before
  are done, accesses `pages` pages, then reads `bytes` of the file in blocks, and is done. Ends after
  `count` requests, or after `seconds`: what has not begun by then is left unserved, so the phase lasts no
  longer however slow the node is. Without both, it ends when the program is told to stop. Its latency is from
  arrival to end. It is *late* when it arrives while an earlier one is not done. With `report`, a result
  is written for every so many seconds of arrivals, not one for the whole phase.
- `free` unmaps a region; with `size` it only gives the last `size` bytes back (MADV_DONTNEED), and they can
  be touched again.
- `sleep` does nothing for `seconds`; so does `hold`, which without `seconds` lasts until the program is
  told to stop.
- `repeat` does its phases `times` times, or until told to stop.
- `bytesPerSecond` slows a phase down: the access that begins at byte b of the phase does not begin before
  b / bytesPerSecond seconds; an access of a page counts 4096 bytes.

Orders: `sequential` (0, 1, 2, ... and round again), `uniform`, `zipf: s` (rank r has probability
∝ 1/r^s), `hotCold` (the first `fraction` of the pages gets `probability` of the accesses). With
`scatter: true` ranks are spread over the region, without it rank 0 is page 0. `draws` is the exact
definition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

PAGE: Final = 4096
"""Bytes of one access; regions are whole multiples of it."""

OrderKind: TypeAlias = Literal["sequential", "uniform", "zipf", "hotCold"]


@dataclass(frozen=True, slots=True)
class Order:
    """In which order pages (of a region) or blocks (of a file) are accessed."""

    kind: OrderKind = "sequential"
    exponent: float = 0.0
    fraction: float = 1.0
    probability: float = 1.0
    scatter: bool = False


SEQUENTIAL: Final = Order()


@dataclass(frozen=True, slots=True)
class Allocate:
    """Map `size` bytes of anonymous memory as region `name`."""

    name: str
    size: int
    huge_pages: bool = False


@dataclass(frozen=True, slots=True)
class MapFile:
    """Map `size` bytes (`None`: all) of a file, shared, as region `name`."""

    name: str
    path: str
    size: int | None = None
    write: bool = False


@dataclass(frozen=True, slots=True)
class Touch:
    """Access pages of a region: `accesses`, or when that is `None` `passes` over the part.

    The part begins at byte `offset` and has `size` bytes (`None`: to the region's end).
    """

    region: str
    order: Order = SEQUENTIAL
    write: bool = False
    accesses: int | None = None
    passes: int = 1
    offset: int = 0
    size: int | None = None
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Read `bytes` of a file, or when that is `None` `passes` times the file, by blocks of `block` bytes."""

    path: str
    bytes: int | None = None
    passes: int = 1
    block: int = 128 << 10
    order: Order = SEQUENTIAL
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a file of `size` bytes anew, by blocks of `block` bytes; `sync` ends with fsync."""

    path: str
    size: int
    block: int = 1 << 20
    sync: bool = False
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class RequestFile:
    """What each request reads: `bytes` bytes in blocks of `block`, in `order` over the file's blocks."""

    path: str
    bytes: int
    block: int = PAGE
    order: Order = Order("uniform")


@dataclass(frozen=True, slots=True)
class Requests:
    """An open loop of requests, `per_second` arrivals a second; `None` and `None`: until told to stop."""

    region: str
    pages: int
    per_second: float
    order: Order = Order("uniform")
    write: bool = False
    seconds: float | None = None
    count: int | None = None
    report: float | None = None
    file: RequestFile | None = None

    @property
    def arrivals(self) -> int | None:
        """How many requests arrive; `None` without end. those of `seconds` are the ones before its end."""
        if self.count is not None:
            return self.count
        return None if self.seconds is None else max(1, math.ceil(self.seconds * self.per_second - 1e-9))


@dataclass(frozen=True, slots=True)
class Free:
    """Unmap a region, or give back its last `size` bytes."""

    region: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep what there is for `seconds`; `None`: until told to stop."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """Do `phases` `times` times; `None`: until told to stop."""

    phases: tuple[Phase, ...]
    times: int | None = None


Action: TypeAlias = Allocate | MapFile | Touch | ReadFile | WriteFile | Requests | Free | Sleep | Hold
Phase: TypeAlias = Action | Repeat

KINDS: Final[dict[type, str]] = {
    Allocate: "allocate",
    MapFile: "mmap",
    Touch: "touch",
    ReadFile: "read",
    WriteFile: "write",
    Requests: "requests",
    Free: "free",
    Sleep: "sleep",
    Hold: "hold",
    Repeat: "repeat",
}
"""What each phase is called in the file and in the results."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A whole program; `source` is the file it was read from."""

    phases: tuple[Phase, ...]
    seed: int = 0
    source: str = ""
