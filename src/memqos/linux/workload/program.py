"""A workload done for real: to this process's memory and to files of this machine.

One thread does the phases in order. Each leaves its `Result` as soon as it ends, so what is known
survives the process being killed. Preparation (opening files, tables of an order, numpy) is outside of
what a result counts. numpy, which takes memory of its own and seconds to import on an emulated
processor, is loaded before the first phase, and only for a workload that draws many random pages.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from typing import Final

from memqos.errors import ExperimentError
from memqos.linux.workload.clock import Meter, Pace, Stop
from memqos.linux.workload.content import Content
from memqos.linux.workload.files import BlockReader, read_file, write_file
from memqos.linux.workload.memory import Region, Walk
from memqos.linux.workload.requests import serve
from memqos.workload.draws import phase_key, places
from memqos.workload.many import FEW_PER_REQUEST, draws_many
from memqos.workload.result import RequestStats, Result
from memqos.workload.spec import (
    KINDS,
    PAGE,
    Allocate,
    Free,
    Hold,
    MapFile,
    ReadFile,
    Requests,
    Sleep,
    Touch,
    Workload,
    WriteFile,
)
from memqos.workload.steps import Step, steps

_log = logging.getLogger(__name__)

BURST: Final = 512
"""Most pages touched between two looks at the stop flag: a second, when each one waits for a disk."""


def run_workload(workload: Workload, emit: Callable[[Result], None], stop: Stop) -> None:
    """Do all phases, or until `stop` is asked; hand each result to `emit`.

    Raises `ExperimentError` naming the phase when a file or mapping fails.
    """
    program = _Program(workload, emit, stop)
    try:
        for step in steps(workload):
            program.do(step)
            if stop.asked:
                break
    finally:
        program.close()


class _Program:
    def __init__(self, workload: Workload, emit: Callable[[Result], None], stop: Stop) -> None:
        self._seed = workload.seed
        self._source = workload.source
        self._emit = emit
        self._stop = stop
        self._content = Content()
        self._regions: dict[str, Region] = {}
        self._vector = any(map(draws_many, workload.phases)) and load_numpy()

    def do(self, step: Step) -> None:
        meter = Meter(step)
        try:
            stats = self._act(step, meter)
        except (OSError, ValueError) as error:
            path = getattr(step.action, "path", "")
            if isinstance(step.action, Requests) and step.action.file is not None:
                path = step.action.file.path
            problem = (error.strerror if isinstance(error, OSError) else "") or str(error)
            raise ExperimentError(
                f"{path}: {problem}" if path else problem,
                source=self._source,
                field=f"{step.place}.{KINDS[type(step.action)]}",
            ) from error
        self._emit(meter.result(stopped=self._stop.asked, requests=stats))

    def close(self) -> None:
        while self._regions:
            self._regions.popitem()[1].unmap()

    def _act(self, step: Step, meter: Meter) -> RequestStats | None:
        match action := step.action:
            case Allocate() | MapFile():
                self._regions[action.name] = Region(action, self._content)
            case Touch():
                self._touch(action, step.number, meter)
            case ReadFile():
                read_file(action, self._seed, step.number, meter, self._stop)
            case WriteFile():
                write_file(action, self._content, meter, self._stop)
            case Requests():
                return self._requests(action, step.number, meter)
            case Free():
                if action.size is None:
                    self._regions.pop(action.region).unmap()
                else:
                    self._regions[action.region].give_back(action.size)
            case Sleep() | Hold():
                self._stop.sleep(action.seconds)
        return None

    def _touch(self, action: Touch, number: int, meter: Meter) -> None:
        region = self._regions[action.region]
        first = action.offset // PAGE
        count = region.pages - first if action.size is None else action.size // PAGE
        if count < 1 or first + count > region.pages:
            raise ValueError(f"the part reaches beyond the {region.pages * PAGE} bytes of the region")
        total = action.passes * count if action.accesses is None else action.accesses
        key = phase_key(self._seed, number)
        walk = Walk(
            region, places(action.order, count), key, first=first, write=action.write, vector=self._vector
        )
        meter.begin()
        pace = Pace(action.bytes_per_second, self._stop)
        burst = pace.burst(PAGE, BURST)
        while meter.pages < total and not self._stop.asked:
            now = min(burst, total - meter.pages)
            walk.access(meter.pages, now)
            meter.pages += now
            pace.wait(meter.pages * PAGE)

    def _requests(self, action: Requests, number: int, meter: Meter) -> RequestStats:
        region = self._regions[action.region]
        walk = Walk(
            region,
            places(action.order, region.pages),
            phase_key(self._seed, number),
            write=action.write,
            vector=self._vector and action.pages >= FEW_PER_REQUEST,
        )
        if action.file is None:
            return serve(action, walk, None, meter, self._stop, self._emit)
        reader = BlockReader(action.file.path, action.file.block, action.file.order, self._seed, number)
        try:
            return serve(action, walk, reader, meter, self._stop, self._emit)
        finally:
            reader.close()


def load_numpy() -> bool:
    """Import numpy where it can be; where not, say so, and the same pages are drawn more slowly.

    It may not be installed (the `sim` extra), or be built for a newer processor than this one: QEMU's
    without cmpxchg16b, for example, is not x86-64-v2. What takes 0.03 to 0.4 us an access with numpy
    takes 1 to 3 us without, and 14 to 27 us on that emulated processor.
    """
    # each of OpenBLAS's threads would take memory of its own, and nothing here multiplies matrices
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        importlib.import_module("memqos.workload.vector")
    except (ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        _log.warning("workload: random pages are drawn in plain Python, without numpy and slowly: %s", reason)
        return False
    return True
