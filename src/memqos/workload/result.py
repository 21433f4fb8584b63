"""What a phase leaves: one JSON object a line, of the same form from a real kernel and a simulated one."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from memqos.workload.histogram import Histogram


class RequestStats(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The requests of a phase (or of one `report` interval) that were completed; microseconds.

    Latency is from arrival to completion, `service_max_us` from the start of the work. `unserved` arrived
    in time and were not begun before the phase's `seconds` were over; no latency counts them. `gap_max_us`
    is the longest time without a completion, counted from the begin of the phase or the completion before.

    `waits` has the latencies less what the processor had in them, where the kernel says how long a task was
    on one and waited for one: those of the same requests on an infinitely fast processor, as rows likewise.
    """

    completed: int
    late: int
    unserved: int
    p50_us: int
    p99_us: int
    max_us: int
    service_max_us: int
    gap_max_us: int
    histogram: list[tuple[int, int]]
    waits: list[tuple[int, int]] | None = None

    @classmethod
    def of(
        cls,
        latencies: Histogram,
        *,
        late: int,
        unserved: int,
        service_max_us: int,
        gap_max_us: int,
        waits: Histogram | None = None,
    ) -> RequestStats:
        """Sum up what was counted."""
        return cls(
            completed=latencies.total,
            late=late,
            unserved=unserved,
            p50_us=latencies.percentile(50),
            p99_us=latencies.percentile(99),
            max_us=latencies.max_us,
            service_max_us=service_max_us,
            gap_max_us=gap_max_us,
            histogram=latencies.rows(),
            waits=None if waits is None else waits.rows(),
        )


class Result(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One phase (or one `report` interval of requests): times on the node's monotonic clock, microseconds.

    `number` and `place` are `steps.Step`'s. `pages` counts accesses. Faults are getrusage's of the
    process. `stopped` is true for the phase that was not finished because the program was told to stop.
    """

    number: int
    place: str
    kind: str
    start_us: int
    end_us: int
    pages: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    minor_faults: int = 0
    major_faults: int = 0
    requests: RequestStats | None = None
    stopped: bool = False

    def line(self) -> bytes:
        """Return the JSON line, with its newline."""
        return msgspec.json.encode(self) + b"\n"


def parse_results(text: bytes) -> list[Result]:
    """Read the lines back; a last line that was cut off is left out. Raises `msgspec.ValidationError`."""
    whole = text[: text.rfind(b"\n") + 1]
    return [msgspec.json.decode(line, type=Result) for line in whole.splitlines() if line]
