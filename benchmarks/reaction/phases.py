"""`memqos`, with what each step of a turn took written down: python phases.py FILE memqos-arguments...

A step is its name, when it began (monotonic seconds), and what passed meanwhile: milliseconds of the clock,
of a processor, and ready without one (/proc/self/schedstat); minor and major faults; voluntary switches;
milliseconds that tasks of memqos.slice waited for memory (PSI); and a note. What is neither processor nor
its queue was waited for in the kernel. FILE is written at the end, so that writing it costs no turn
anything.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS: list[tuple[Any, ...]] = []


OWN = Path("/sys/fs/cgroup/memqos.slice")


def read(path: str | Path) -> str:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(fd, 16384).decode()
    finally:
        os.close(fd)


def now() -> tuple[float, ...]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    stalled = read(OWN / "memory.pressure").partition("total=")[2].partition("\n")[0]
    return (
        time.monotonic() * 1e3,
        time.process_time() * 1e3,
        int(read("/proc/self/schedstat").split()[1]) / 1e6,
        used.ru_minflt,
        used.ru_majflt,
        used.ru_nvcsw,
        int(stalled or 0) / 1e3,
    )


def workers() -> str:
    """Each worker's state, faults, and milliseconds with and ready without a processor."""
    told = []
    for pid in read(f"/proc/self/task/{os.getpid()}/children").split():
        if OWN.name in read(f"/proc/{pid}/cgroup"):
            stat = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            cpu, ready, *_ = (int(part) // 10**6 for part in read(f"/proc/{pid}/schedstat").split())
            told.append(f"{pid} {stat[0]} min {stat[7]} maj {stat[9]} cpu {cpu} ready {ready}")
    return ", ".join(told)


def timed(owner: Any, name: str, say: Callable[..., str] = lambda *a, **k: "") -> None:
    """Note every call of one method."""
    method = getattr(owner, name)

    def run(*args: Any, **kwargs: Any) -> Any:
        begun = now()
        try:
            return method(*args, **kwargs)
        finally:
            ended = now()
            took = [round(b - a, 2) for a, b in zip(begun, ended, strict=True)]
            STEPS.append((name, round(begun[0] / 1e3, 4), *took, say(*args, **kwargs)))

    setattr(owner, name, run)


def main() -> None:
    file = Path(sys.argv[1])
    sys.argv = ["memqos", *sys.argv[2:]]
    from memqos.agent.enforce import Enforcer
    from memqos.agent.journal import Journal
    from memqos.agent.loop import Agent
    from memqos.agent.originals import Originals
    from memqos.agent.runner_node import RunnerNode
    from memqos.cli.main import main as memqos
    from memqos.linux.facts import NodeFiles
    from memqos.linux.node import LinuxNode
    from memqos.linux.treefiles import TreeFiles

    for owner, names in (
        (LinuxNode, ("observe", "ended", "begin")),
        (TreeFiles, ("_refresh", "_pass")),
        (NodeFiles, ("read",)),
        (Agent, ("tick", "_decide", "_watch")),
        (RunnerNode, ("observe", "wait")),
        (Originals, ("remember",)),
        (Journal, ("append",)),
        (Enforcer, ("enforce",)),
    ):
        for name in names:
            timed(owner, name)
    timed(
        LinuxNode,
        "apply",
        lambda self, write: f"{write.policy} {write.cgroup[-6:]} {write.knob} {write.value}; {workers()}",
    )
    timed(LinuxNode, "wait", lambda self, seconds, quiet=0.0, *rest: f"{seconds:.2f} {quiet:.2f}")
    try:
        memqos()
    finally:
        file.write_text(json.dumps(STEPS))


if __name__ == "__main__":
    main()
