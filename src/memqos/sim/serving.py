"""The request loop of a simulated program: an open loop, batch by batch, as the real one counts.

Requests are given to the kernels a second's worth at a time; what each took is read back when the batch is
over, or when the program is told to stop in the middle of one. `unserved` is known at the end only, as it
is in reality.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, SECOND, Machine
from memqos.sim.own import Row
from memqos.workload.draws import BLOCKS, PAGES, phase_key, places
from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats
from memqos.workload.spec import RequestFile, Requests
from memqos.workload.vector import VectorPlaces

BATCH = 1 << 16
"""Places drawn at a time."""
FOREVER = 1 << 40


class Serving:
    """One `requests` phase; `rows` yields what is to be done next.

    `table` is the program's part of the machine's table, two halves of `BATCH`: the pages, and the pages of
    the file. `file` is the file's object and its size in bytes.
    """

    def __init__(
        self,
        machine: Machine,
        action: Requests,
        row: Row,
        *,
        pages: int,
        table: int,
        seed: int,
        number: int,
        file: tuple[int, int] | None = None,
    ) -> None:
        self._machine, self._action, self._table = machine, action, table
        self._begin = machine.now
        self._interval = round(SECOND * 1000 / action.per_second)
        self._pages = VectorPlaces(places(action.order, pages))
        self._page_key = phase_key(seed, number, PAGES)
        self._row = row | {
            k.P_CHUNK: pages,
            k.P_PATTERN: k.TRACE,
            k.P_WRITE: int(action.write),
            k.P_INTERVAL: self._interval,
            k.P_LAT: table,
            k.P_END: 0 if action.seconds is None else self._begin + round(action.seconds * SECOND),
        }
        self._reads: FileDraws | None = None
        if action.file is not None and file is not None:
            self._reads = FileDraws(action.file, file[1], phase_key(seed, number, BLOCKS))
            self._row |= {k.P_FILE: file[0], k.P_FCOUNT: self._reads.pages, k.P_FBLOCK: self._reads.block}
        self._done, self._last = 0, self._begin
        self._first = self._asked = self._seen = 0
        self._new()

    def _new(self) -> None:
        self._latencies, self._late, self._longest, self._gap = Histogram(), 0, 0, 0
        self._unserved = 0

    def rows(self, tell: Callable[[], None]) -> Iterator[list[Row]]:
        """Yield the batches; `tell` is called at the end of each `report` interval but the last."""
        action = self._action
        total = FOREVER if action.arrivals is None else action.arrivals
        each = max(1, BATCH // max(action.pages, self._reads.pages if self._reads else 0, 1))
        # a batch lasts a second or so, so that what it draws is not drawn in vain
        each = min(each, max(1, round(action.per_second)))
        report, reported = action.report or 0.0, 1
        while self._done < total:
            number = min(each, total - self._done)
            if report:
                boundary = math.ceil(reported * report * action.per_second - 1e-9)
                if self._done >= boundary:
                    tell()
                    self._new()
                    reported = int(self._done / action.per_second / report + 1e-9) + 1
                    continue
                number = min(number, boundary - self._done)
            yield [self._batch(number)]
            self.collect()
            if self._seen < number:
                self._unserved = total - self._done
                return

    def _batch(self, number: int) -> Row:
        tab: Any = self._machine.m.tab
        lat: Any = self._machine.m.lat
        each, at = self._action.pages, self._table
        if each:
            drawn = self._pages.at(self._page_key, self._done * each, number * each)
            tab[at : at + number * each] = drawn
        row = self._row | {
            k.P_B: number,
            k.P_START: self._begin + self._done * self._interval // 1000,
            k.P_A: at,
        }
        if self._reads is not None:
            row[k.P_FA] = at + BATCH
            wanted = self._reads.at(self._done, number)
            tab[at + BATCH : at + BATCH + len(wanted)] = wanted
        lat[at : at + number] = 0
        self._first, self._asked, self._seen = row[k.P_START], number, 0
        return row

    def collect(self) -> None:
        """Count the requests that were served since the last time."""
        lat: Any = self._machine.m.lat
        while self._seen < self._asked:
            taken = int(lat[self._table + self._seen])
            if taken == 0:
                return
            arrival = self._first + self._seen * self._interval // 1000
            self._late += arrival < self._last
            ended = arrival + taken
            self._longest = max(self._longest, ended - max(arrival, self._last))
            self._gap = max(self._gap, ended - self._last)
            self._last = ended
            self._latencies.add(taken // 1000)
            self._seen += 1
            self._done += 1

    @property
    def bytes_read(self) -> int:
        """Bytes read from the file in this interval."""
        return self._latencies.total * self._action.file.bytes if self._action.file is not None else 0

    def stats(self) -> RequestStats:
        """The requests of this interval so far."""
        return RequestStats.of(
            self._latencies,
            late=self._late,
            unserved=self._unserved,
            service_max_us=self._longest // 1000,
            gap_max_us=self._gap // 1000,
        )


class FileDraws:
    """Which pages of a file the requests read: block after block, as the real program draws them.

    A block that reaches beyond the end of the file stays at its last page; a block smaller than a page reads
    the page it begins in. `pages` and `block`: pages of a request, and of a block.
    """

    def __init__(self, file: RequestFile, size: int, key: int) -> None:
        self._block, self._key = file.block, key
        self._end = -(-size // PAGE)
        self._places = VectorPlaces(places(file.order, -(-size // file.block)))
        self._blocks = -(-file.bytes // file.block)
        lengths = [min(file.block, file.bytes - i * file.block) for i in range(self._blocks)]
        counts = [-(-length // PAGE) for length in lengths]
        self._which = np.repeat(np.arange(self._blocks), counts)
        self._offset = np.concatenate([np.arange(count) for count in counts])
        self.pages, self.block = sum(counts), max(counts)

    def at(self, first: int, number: int) -> Any:
        """The pages of requests `first` to `first + number`, `pages` for each."""
        drawn = self._places.at(self._key, first * self._blocks, number * self._blocks)
        begins = drawn.astype(np.int64).reshape(number, self._blocks) * self._block // PAGE
        wanted = begins[:, self._which] + self._offset
        return np.minimum(wanted, self._end - 1).reshape(-1)
