"""stress-ng's virtual memory stressor: what its arguments ask for (stress-vm.c of stress-ng)."""

from __future__ import annotations

from dataclasses import replace

from memqos.sim.job import Job
from memqos.sim.words import is_number, seconds_of, size_of
from memqos.workload.spec import PAGE, Allocate, Free, Hold, Phase, Repeat, Sleep, Touch, Workload

_MOST_WORKERS = 4096
"""STRESS_PROCS_MAX of stress-ng."""

_TALK = {"-v", "--verbose", "-q", "--quiet", "--metrics", "--metrics-brief", "--times", "--no-rand-seed"}
"""Options that touch no page. `--oomable`, which leaves a killed worker dead, is not among them."""


def stress(args: list[str]) -> Job | None:
    """Understand the arguments; `None` when they ask for something else."""
    options: dict[str, str] = {}
    rest = [part for arg in args for part in (arg.split("=", 1) if arg.startswith("--") else [arg])]
    while rest:
        name = rest.pop(0)
        if name in _TALK:
            continue
        name = {"-m": "--vm", "-t": "--timeout"}.get(name, name)
        options[name] = "" if name in ("--vm-keep", "--vm-populate") else (rest.pop(0) if rest else "?")
    known = {"--vm", "--vm-bytes", "--vm-keep", "--vm-hang", "--vm-populate", "--timeout", "--vm-method"}
    if set(options) - known:
        return None
    number = options.get("--vm", "")
    size = size_of(options.get("--vm-bytes", "256m"))
    hang = seconds_of(options["--vm-hang"]) if "--vm-hang" in options else -1.0
    timeout = seconds_of(options.get("--timeout", "0"))  # without one it is a day
    if not is_number(number) or not 0 < int(number) <= _MOST_WORKERS or not size:
        return None
    if hang is None or timeout is None:
        return None
    # each has its share, of whole pages and one at least (stress-vm.c, MIN_VM_BYTES)
    size = max(PAGE, size // int(number) // PAGE * PAGE)
    pause: tuple[Phase, ...] = () if hang < 0 else (Hold(),) if hang == 0 else (Sleep(hang),)
    once: tuple[Phase, ...] = (Touch("vm", write=True), *pause, Touch("vm"))
    if "--vm-keep" in options:
        phases: tuple[Phase, ...] = (Allocate("vm", size), Repeat(once))
    else:
        phases = (Repeat((Allocate("vm", size), *once, Free("vm"))),)
    job = Job(Workload(phases), 400, processes=int(number), respawn=True)
    return replace(job, timeout=timeout or None)
