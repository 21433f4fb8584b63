"""`memqos`, with what each step of a turn took written down: python phases.py FILE memqos-arguments...

Each step's begin (monotonic seconds), wall and processor milliseconds, milliseconds it was ready and waited for
a processor (/proc/self/schedstat), minor and major faults and voluntary switches. What is neither processor nor
its queue was waited for in the kernel. FILE is written at the end, so that writing it costs no turn anything.
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


def now() -> tuple[float, ...]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    fd = os.open("/proc/self/schedstat", os.O_RDONLY)
    delay = int(os.read(fd, 100).split()[1])
    os.close(fd)
    stalled = 0
    if os.path.exists("/sys/fs/cgroup/memqos.slice/memory.pressure"):
        fd = os.open("/sys/fs/cgroup/memqos.slice/memory.pressure", os.O_RDONLY)
        stalled = int(os.read(fd, 200).split()[4].split(b"=")[1])
        os.close(fd)
    return (
        time.monotonic() * 1e3,
        time.process_time() * 1e3,
        delay / 1e6,
        used.ru_minflt,
        used.ru_majflt,
        used.ru_nvcsw,
        stalled / 1e3,
    )


def children() -> str:
    told = []
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cgroup = Path(f"/proc/{pid}/cgroup").read_text().strip()
        if "memqos.slice" in cgroup:
            sched = Path(f"/proc/{pid}/schedstat").read_text().split()
            told.append(f"w{pid}:{stat[0]} min{stat[7]} maj{stat[9]} cpu{int(sched[0])//10**6} rq{int(sched[1])//10**6}")
    own = Path("/sys/fs/cgroup/memqos.slice")
    lines = dict(line.split() for line in (own / "memory.stat").read_text().splitlines())
    told.append(f"cur{int((own/'memory.current').read_text())>>20} min{int((own/'memory.min').read_text())>>20} majf{lines['pgmajfault']} steal{lines['pgsteal']} file{int(lines['file'])>>20} kern{int(lines['kernel'])>>20}")
    return " ".join(told)


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

    for owner, names in (
        (LinuxNode, ("observe", "_refresh", "_read", "ended", "begin")),
        (NodeFiles, ("read",)),
        (Agent, ("tick", "_decide", "_watch")),
        (RunnerNode, ("observe", "wait")),
        (Originals, ("remember",)),
        (Journal, ("append",)),
        (Enforcer, ("enforce",)),
    ):
        for name in names:
            timed(owner, name)
    timed(LinuxNode, "apply", lambda self, write: f"{write.policy} {write.cgroup[-6:]} {write.knob} {write.value} {children()}")
    timed(LinuxNode, "wait", lambda self, seconds, quiet=0.0, *a: f"{seconds:.2f} {quiet:.2f}")
    try:
        memqos()
    finally:
        file.write_text(json.dumps(STEPS))


if __name__ == "__main__":
    main()
