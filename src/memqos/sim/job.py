"""What a command line of a simulated program comes to (`commands` reads one)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memqos.sim.own import NOTHING, Own
from memqos.workload.spec import Workload


@dataclass(frozen=True, slots=True)
class Job:
    """What a process does: phases, its own CPU time a page (ns), how many processes, whether it is respawned.

    `write_ns`: its own time for a page of a file that it writes, where that is another one. `fadvise`: it
    announces sequential reading (POSIX_FADV_SEQUENTIAL), which doubles the readahead.
    It ends with `refused` when it maps more than all memory and swap (vm.overcommit_memory=0: mm/util.c,
    `__vm_enough_memory`). It prints its `results` as JSON lines, or what it `says` after its n-th touch
    phase. After `timeout` seconds all of its processes end with 0. `to_end`: it stops at a file's end,
    however much it was told to read; a workload goes on at the begin.
    """

    workload: Workload
    page_ns: int = 600
    write_ns: int | None = None
    processes: int = 1
    respawn: bool = False
    fadvise: bool = False
    results: bool = False
    says: Callable[[int], str] | None = None
    own: Own = NOTHING
    refused: int = 1
    timeout: float | None = None
    to_end: bool = False
