"""Every phase of a workload in both worlds: done for real to this process's memory, and simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memqos.linux.workload.clock import Stop
from memqos.linux.workload.program import run_workload
from memqos.sim.files import Files
from memqos.sim.job import Job
from memqos.sim.kernels import layout as k
from memqos.sim.machine import SECOND, Machine
from memqos.sim.process import Process
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import NodeSpec
from memqos.units import MIB
from memqos.workload.parse import workload_from
from memqos.workload.result import Result
from memqos.workload.spec import KINDS, Workload

HEAP = {"allocate": {"name": "heap", "size": "512Ki"}}
MAPPED = {"mmap": {"name": "index", "path": "FILE", "size": "128Ki"}}
WRITABLE = {"mmap": {"name": "index", "path": "FILE", "write": True}}


def touch(region: str = "heap", **fields: Any) -> dict[str, Any]:
    return {"touch": {"region": region, **fields}}


def requests(**fields: Any) -> dict[str, Any]:
    return {"requests": {"region": "heap", "pages": 4, "perSecond": 500, **fields}}


PHASES: dict[str, list[dict[str, Any]]] = {
    "allocate, touch in order, pass after pass": [HEAP, touch(write=True), touch(passes=3)],
    "touch a part": [HEAP, touch(write=True, offset="64Ki", size="96Ki", passes=2)],
    "touch uniform": [HEAP, touch(order="uniform", write=True, accesses=300)],
    "touch zipf": [HEAP, touch(order={"zipf": 1.1, "scatter": True}, accesses=70_000)],
    "touch hot and cold": [
        HEAP,
        touch(order={"hotCold": {"fraction": 0.1, "probability": 0.9}}, accesses=300, offset="128Ki"),
    ],
    "touch slowly": [HEAP, touch(write=True, bytesPerSecond="8Mi")],
    "map a file and read it": [MAPPED, touch("index", passes=2)],
    "map a file and write it": [WRITABLE, touch("index", write=True, order="uniform", accesses=100)],
    "read a file": [{"read": {"path": "FILE", "passes": 2}}],
    "read a part in blocks": [{"read": {"path": "FILE", "bytes": "100Ki", "block": "16Ki"}}],
    "read in another order": [{"read": {"path": "FILE", "order": "uniform", "block": "8Ki"}}],
    "read small blocks": [{"read": {"path": "FILE", "bytes": "24Ki", "order": {"zipf": 1.0}, "block": 1536}}],
    "write a file and read it": [
        {"write": {"path": "NEW", "size": "300Ki", "sync": True}},
        {"read": {"path": "NEW"}},
    ],
    "write a file that is there": [{"write": {"path": "FILE", "size": "64Ki", "block": "8Ki"}}],
    "free a part and all": [
        HEAP,
        touch(write=True),
        {"free": {"region": "heap", "size": "256Ki"}},
        touch(write=True),
        {"free": {"region": "heap"}},
    ],
    "sleep and hold": [{"sleep": {"seconds": 0.02}}, {"hold": {"seconds": 0.02}}],
    "repeat": [{"repeat": {"times": 3, "phases": [HEAP, touch(), {"free": {"region": "heap"}}]}}],
    "requests by number": [HEAP, requests(count=30, write=True)],
    "requests by time": [HEAP, requests(seconds=0.05)],
    "requests reported in parts": [HEAP, requests(seconds=0.06, report=0.02)],
    "requests that read a file": [
        HEAP,
        requests(count=10, file={"path": "FILE", "bytes": "12Ki", "block": "8Ki"}),
    ],
}


def workload(tmp_path: Path, phases: list[dict[str, Any]]) -> Workload:
    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named(each) for key, each in value.items()}
        if isinstance(value, list):
            return [named(each) for each in value]
        return str(tmp_path / value.lower()) if value in ("FILE", "NEW") else value

    head = {"apiVersion": "memqos.dev/v1alpha1", "kind": "Workload", "seed": 4}
    return workload_from({**head, "phases": named(phases)})


def really(wanted: Workload) -> list[Result]:
    found: list[Result] = []
    stop = Stop()
    try:
        run_workload(wanted, found.append, stop)
    finally:
        stop.close()
    return found


def simulated(wanted: Workload, files: dict[str, int]) -> list[Result]:
    machine = Machine(PROFILES["6.12"], NodeSpec(memory=64 * MIB))
    machine.mkdir("a")
    process = Process(machine, Files(machine, files), "a", Job(wanted, 300, results=True))
    while process.alive and machine.now < 60 * SECOND:
        for _, kind, _, _ in machine.advance(60 * SECOND):
            if kind == k.EV_MARK and process.alive:
                process.go_on()
    assert not process.alive
    return process.results


def told(result: Result) -> tuple[Any, ...]:
    stats = result.requests
    counted = None if stats is None else sum(n for _, n in stats.histogram) == stats.completed
    return (
        result.number,
        result.place,
        result.kind,
        result.pages,
        result.bytes_read,
        result.bytes_written,
        counted,
        result.stopped,
    )


def due(results: list[Result]) -> int:
    """Return how many requests came, in time or not."""
    return sum(one.requests.completed + one.requests.unserved for one in results if one.requests is not None)


@pytest.mark.parametrize("phases", PHASES.values(), ids=PHASES.keys())
def test_both_worlds_do_the_same_and_say_the_same(tmp_path: Path, phases: list[dict[str, Any]]) -> None:
    wanted = workload(tmp_path, phases)
    (tmp_path / "file").write_bytes(b"x" * 201_000)
    played = simulated(wanted, {str(tmp_path / "file"): 201_000})
    for _ in range(10):  # a busy machine serves fewer requests in time, and in other parts
        real = really(wanted)
        if [told(each) for each in played] == [told(each) for each in real]:
            break
    assert [told(each) for each in played] == [told(each) for each in real]
    assert due(played) == due(real)


def test_a_program_that_is_told_to_stop_leaves_what_is_done_of_its_phase(tmp_path: Path) -> None:
    machine = Machine(PROFILES["6.12"], NodeSpec(memory=64 * MIB))
    machine.mkdir("a")
    job = Job(workload(tmp_path, [HEAP, requests()]), 300, results=True)
    process = Process(machine, Files(machine, {}), "a", job)
    while machine.now < SECOND // 10:
        machine.advance(SECOND // 10)
    process.interrupted()
    stopped = process.results[-1]
    assert (stopped.kind, stopped.stopped) == ("requests", True)
    assert stopped.requests is not None
    # one every 2 ms, the first at once, and the one that has just arrived is not done
    assert stopped.requests.completed == 50
    assert stopped.requests.unserved == 0


def test_every_kind_of_phase_is_among_them() -> None:
    kinds = {next(iter(phase)) for phases in PHASES.values() for phase in phases}
    assert kinds == set(KINDS.values())
