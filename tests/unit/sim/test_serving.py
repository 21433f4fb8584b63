"""What the requests of a simulated service read of their file."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.files import Files
from memqos.sim.job import Job
from memqos.sim.kernels import layout as k
from memqos.sim.machine import SECOND, Machine
from memqos.sim.process import Process
from memqos.sim.profiles import PROFILES
from memqos.sim.serving import FileDraws
from memqos.sim.spec import NodeSpec
from memqos.units import KIB, MIB
from memqos.workload.draws import BLOCKS, phase_key
from memqos.workload.parse import workload_document, workload_from
from memqos.workload.spec import Order, RequestFile

REQUESTS = 120


def served(kernel: str, size: int, file: dict[str, Any]) -> tuple[Machine, int]:
    """Serve `REQUESTS` requests from a file of `size` bytes, and return the machine and the file's object."""
    machine = Machine(PROFILES[kernel], NodeSpec(memory=128 * MIB))
    machine.mkdir("a")
    files = Files(machine, {"/f": size})
    phases = [
        {"allocate": {"name": "heap", "size": "64Ki"}},
        {"requests": {"region": "heap", "pages": 1, "perSecond": 100, "count": REQUESTS, "file": file}},
    ]
    workload = workload_from(workload_document({"seed": 3, "phases": phases}))
    process = Process(machine, files, "a", Job(workload, 300, results=True))
    while process.alive and machine.now < 60 * SECOND:
        for _, kind, _, _ in machine.advance(60 * SECOND):
            if kind == k.EV_MARK and process.alive:
                process.go_on()
    assert sum(one.requests.completed for one in process.results if one.requests) == REQUESTS
    return machine, files.find("/f")


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_a_block_is_read_by_one_call_so_a_random_one_is_no_sequence(kernel: str) -> None:
    """page_cache_sync_ra: a small random read reads what was asked for, not a window that grows."""
    size = 32 * MIB
    machine, file = served(kernel, size, {"path": "/f", "bytes": "8Ki", "block": "8Ki", "order": "uniform"})
    draws = FileDraws(RequestFile("/f", 8 * KIB, 8 * KIB, Order("uniform")), size, phase_key(3, 1, BLOCKS))
    wanted = {int(page) for page in draws.at(0, REQUESTS)}
    base = int(machine.m.obj[file, k.O_BASE])
    assert all(machine.m.w[base + page] & k.RES for page in wanted)
    assert len(wanted) <= int(machine.m.obj[file, k.O_RESIDENT]) < 1.2 * len(wanted)


def test_a_block_that_reaches_beyond_the_end_reads_what_there_is() -> None:
    machine, file = served(
        "6.12", 12 * KIB, {"path": "/f", "bytes": "16Ki", "block": "8Ki", "order": "uniform"}
    )
    assert int(machine.m.obj[file, k.O_RESIDENT]) == 3
