"""Simulated nodes to measure: cgroups that read single pages, programs that read files."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import Costs, Disk, NodeSpec
from memqos.units import GIB, MIB

PAGE = 4096


class Readers:
    """A node on which `groups` cgroups, each with its limit and its file, share the pages of traces.

    Page `p` of a trace is page `p // groups` of file `p % groups`, read by cgroup `p % groups`; each may hold
    `fit // groups` pages. So the accesses and the memory are those of one cache of `fit` pages.
    """

    def __init__(self, kernel: str, pages: int, fit: int, groups: int = 1, memory: int = 16 * GIB) -> None:
        self.groups = groups
        self.machine = Machine(PROFILES[kernel], NodeSpec(memory=memory, read_ahead=0, disks=(Disk(),)))
        self.paths = [f"pods/pod{i}" for i in range(groups)]
        self.machine.mkdir("pods")
        for path in self.paths:
            self.machine.mkdir(path)
            self.machine.set_limit(path, k.MAX, fit // groups * PAGE)
        self.files = [self.machine.file(-(-pages // groups) * PAGE) for _ in range(groups)]

    def parts(self, trace: Any) -> list[tuple[str, int, Any]]:
        """A trace as each cgroup's own."""
        own = [trace[trace % self.groups == i] // self.groups for i in range(self.groups)]
        return list(zip(self.paths, self.files, own, strict=True))

    def timed(self, parts: list[tuple[str, int, Any]]) -> tuple[float, int]:
        """CPU seconds and misses of reading them in turns."""
        start = time.process_time()
        misses = sum(self.machine.traces(parts))
        return time.process_time() - start, misses


def simulated(kernel: str, trace: Any, pages: int, fit: int, groups: int) -> tuple[float, int]:
    """CPU seconds and misses of a trace on a new node; the first touch of its arrays is in the time."""
    readers = Readers(kernel, pages, fit, groups)
    return readers.timed(readers.parts(trace))


def read_file(made: Machine, file: int, passes: int) -> float:
    """Read a file through the clock, with read-ahead; how long it took to simulate."""
    spent = 0.0
    for _ in range(passes):
        task = made.task("a")
        row = {k.P_OP: k.OP_READ, k.P_OBJ: file, k.P_COUNT: made.pages_of(file), k.P_CHUNK: 8, k.P_NS: 5670}
        made.program(task, [row])
        start = time.process_time()
        made.run_until_exit(task)
        spent += time.process_time() - start
    return spent


def node(kernel: str, memory: int, limit: int) -> Machine:
    disk = Disk("data", 150 * MIB, 150 * MIB)
    made = Machine(PROFILES[kernel], NodeSpec(memory=memory, disks=(disk,)), Costs(quantum=10**7))
    made.mkdir("a")
    made.set_limit("a", k.MAX, limit)
    return made


def e1(kernel: str) -> float:
    """The field study's E1: a 4 GiB file twice below 1 GiB, and twice below 8 GiB."""
    spent = 0.0
    for limit in (GIB, 8 * GIB):
        made = node(kernel, 16 * GIB, limit)
        spent += read_file(made, made.file(4 * GIB), 2)
    return spent


def written(kernel: str) -> float:
    """ns a page: 4 GiB written below 1 GiB, dirty limits, flusher and throttling at work."""
    made = Machine(PROFILES[kernel], NodeSpec(memory=4 * GIB, disks=(Disk("data", GIB, GIB),)))
    made.mkdir("a")
    made.set_limit("a", k.MAX, GIB)
    file, task = made.file(4 * GIB), made.task("a")
    made.program(task, [{k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: made.pages_of(file), k.P_NS: 1000}])
    start = time.process_time()
    made.run_until_exit(task)
    return (time.process_time() - start) / made.pages_of(file) * 1e9


def counters(made: Machine, paths: list[str]) -> Any:
    """Every counter of these cgroups and of the node, and every page's state."""
    m: Any = made.m
    rows = m.cg[[0, *(made.cgroup(path) for path in paths)]].copy()
    rows[:, k.SUM0 : k.SUM0 + 4] = 0  # scratch: brought up to date before each use
    words = m.w[: made.pages].copy()
    words[words & k.RES != 0] &= ~k.POS
    return np.concatenate([rows.ravel(), words])
