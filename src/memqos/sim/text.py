"""A program's own files: page cache of who runs it first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Pages of a program's own files that nobody else has read: page cache of who runs it first.

    `mapped` come by page faults as it starts, are mapped as long as it runs, and are read once besides,
    unless it only `waits`; `read` are read twice, as an interpreter reads its modules. `large` are the two
    where page cache has large folios, which end beyond what was asked for.

    Page cache of guests' pods beyond what they had read of /data (memory.stat: file less shmem, and pgsteal;
    io.stat), the same in every run: 11 pages once a pod sleeps, 11 more for the first dd or md5sum (15 on
    7.2), 15 for the first `memqos workload` (24), 5 for the first `memqos.lab.load` (9), nothing for a second
    pod (k1, k5, k7, k10, k13; e5). On 6.1 14 of the 15 are active after one workload, 11 after one dd, 10
    after one md5sum, and none of sleep's as long as nothing is reclaimed (k12, k1, e1). On 6.12 five of the
    15 are read again with each later workload and ten stay in the youngest generations, as what is read in a
    fault does; ten came back in a fault on 7.2 (k15). What programs have in common with the laboratory's
    player, the interpreter and libc, is in memory before them, as on a node.
    """

    name: str
    mapped: int
    read: int = 0
    large: tuple[int, int] | None = None
    waits: bool = False

    def parts(self, *, large: bool) -> tuple[int, int]:
        """How many pages are mapped and how many are read."""
        return self.large if large and self.large else (self.mapped, self.read)
