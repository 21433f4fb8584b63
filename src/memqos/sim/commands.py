"""Command lines the simulator understands, and what each does to memory and files.

=====================  ==================================================================================
md5sum FILE...         reads by 32 KiB at 5.67 µs of CPU a page (measured: 5.949 s of user time for 4 GiB)
sha256sum FILE...      the same at 10 µs a page
cat FILE...            reads by 128 KiB
dd if= of= bs= count=  reads `if` to its end at most, or writes zeroes to `of`; sizes as dd has them;
                       conv=fsync and fdatasync, noerror, sync
sleep SECONDS          sleeps; `infinity` for ever; suffixes s, m, h, d
stress-ng --vm N --vm-bytes SIZE [--vm-keep] [--vm-hang S] [--timeout S]
                       N processes that write their memory page by page, then read it; with --vm-keep the
                       same memory again and again, else mapped anew; hang 0 is for ever. A killed one is
                       started again, as stress-ng does; after the timeout all of them end with 0. What
                       only says more or less is understood: -v, -q, --metrics-brief, --times, ...
memqos workload FILE   the phases of the file (`memqos.workload.spec`)
python3 -m memqos.lab.load mib= step= every= passes= pause= delay=
                       the laboratory's own program that holds memory
=====================  ==================================================================================

`sh -c "exec …"` of one of these, with its output thrown away (`> /dev/null`), and a path before the program's
name are understood, too. md5sum, sha256sum and cat are those of coreutils, which announce sequential reading
(POSIX_FADV_SEQUENTIAL). Any other command is an error: what it does would have to be invented.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from memqos.errors import ExperimentError
from memqos.sim import own
from memqos.sim.job import Job
from memqos.sim.stress import stress
from memqos.sim.words import inner_of, seconds_of, size_of
from memqos.units import MIB
from memqos.workload.spec import (
    Allocate,
    Hold,
    MapFile,
    Phase,
    ReadFile,
    Repeat,
    Requests,
    Sleep,
    Touch,
    Workload,
    WriteFile,
)

KNOWN = "md5sum, sha256sum, cat, dd, sleep, stress-ng --vm, memqos workload"

_USAGE = {
    "md5sum": "md5sum FILE...",
    "sha256sum": "sha256sum FILE...",
    "cat": "cat FILE...",
    "dd": "dd if=FILE of=/dev/null bs=SIZE, or dd if=/dev/zero of=FILE bs=SIZE count=N, with conv=fsync "
    "or fdatasync",
    "sleep": "sleep SECONDS",
    "stress-ng": "stress-ng --vm N --vm-bytes SIZE with --vm-keep, --vm-hang S, --vm-method, --vm-populate, "
    "--timeout S; no percentages",
}
"""What of a program is understood, for who wrote more than that."""

TMPFS = ("/dev/shm/", "/run/", "/tmp/")  # noqa: S108 - where nodes and container images mount one


def understand(argv: Sequence[str], workloads: Mapping[str, Workload] | None = None) -> Job:
    """Read a command line; raises `ExperimentError` naming one not simulated, or a file on a tmpfs."""
    job = _read(argv, workloads)
    phases = job.workload.phases
    for path in (*files_read(phases), *(path for path, _ in written(phases))):
        if path.startswith(TMPFS):
            raise ExperimentError(
                f"{path} lies in memory (tmpfs), which is not simulated", remedy="use a file on a disk, /data"
            )
    return job


def files_read(phases: Sequence[Phase]) -> Iterator[str]:
    """The paths of the files that phases read or map."""
    for phase in _flat(phases):
        if isinstance(phase, ReadFile | MapFile):
            yield phase.path
        elif isinstance(phase, Requests) and phase.file is not None:
            yield phase.file.path


def written(phases: Sequence[Phase]) -> Iterator[tuple[str, int]]:
    """The paths and sizes in bytes of the files that phases write."""
    return ((phase.path, phase.size) for phase in _flat(phases) if isinstance(phase, WriteFile))


def _flat(phases: Sequence[Phase]) -> Iterator[Phase]:
    for phase in phases:
        yield from _flat(phase.phases) if isinstance(phase, Repeat) else (phase,)


def _read(argv: Sequence[str], workloads: Mapping[str, Workload] | None) -> Job:
    if not argv:
        raise ExperimentError("there is no command", remedy=f"write one of {KNOWN}")
    name = argv[0].rpartition("/")[2]
    if name in ("sh", "bash") and len(argv) >= 3 and argv[1] == "-c":
        return _read(inner_of(argv), workloads)
    if name == "memqos" and len(argv) == 3 and argv[1] == "workload":
        found = (workloads or {}).get(argv[2])
        if found is None:
            raise ExperimentError(f"the workload file {argv[2]} is not given", remedy="add it to workloads")
        return Job(found, 300, write_ns=0, results=True, own=own.of_workload(found.phases), refused=2)
    if name.startswith("python") and list(argv[1:3]) == ["-m", "memqos.lab.load"]:
        name, argv = "memqos.lab.load", argv[2:]
    parser = _PARSERS.get(name)
    job = parser(list(argv[1:])) if parser else None
    if job is None:
        problem = f"the command {shlex.join(argv)!r} is not simulated"
        raise ExperimentError(problem, remedy=f"write {_USAGE.get(name, f'one of {KNOWN}')}")
    return job


_HOW = ("-b", "--binary", "-t", "--text", "-z", "--zero", "--tag")
"""Options that change what is printed."""


def _hash(name: str, page_ns: int) -> Callable[[list[str]], Job | None]:
    def parse(args: list[str]) -> Job | None:
        paths = [arg for arg in args if arg not in _HOW]
        if not paths or any(path.startswith("-") for path in paths):
            return None
        workload = Workload(tuple(ReadFile(path, block=32 << 10) for path in paths))
        return Job(workload, page_ns, fadvise=True, own=own.plain(name, 32 << 10))

    return parse


def _cat(args: list[str]) -> Job | None:
    if not args or any(arg.startswith("-") for arg in args):
        return None
    return Job(
        Workload(tuple(ReadFile(arg) for arg in args)), 100, fadvise=True, own=own.plain("cat", 128 << 10)
    )


_SYNC = {"fsync", "fdatasync"}
_CONV = {"noerror", "sync"}
"""Conversions that leave the pages as they are; `notrunc` writes over what is cached, `sparse` nothing."""


def _dd(args: list[str]) -> Job | None:
    options = dict(arg.partition("=")[::2] for arg in args)
    made = set(options["conv"].split(",")) if "conv" in options else set()
    if set(options) - {"if", "of", "bs", "count", "conv", "status"} or made - _CONV - _SYNC:
        return None
    block = size_of(options.get("bs", "512"), dd=True)
    count = size_of(options["count"], dd=True) if "count" in options else None
    if not block or block % 512 or ("count" in options and count is None):
        return None
    source, target = options.get("if", "/dev/zero"), options.get("of", "/dev/null")
    size = None if count is None else block * count
    zero = source == "/dev/zero"
    phases: list[Phase] = []
    if not zero:
        phases.append(ReadFile(source, bytes=size, block=block))
    if target != "/dev/null":
        if size is None or not zero:
            return None
        phases.append(WriteFile(target, size, block=block, sync=bool(made & _SYNC)))
    return Job(Workload(tuple(phases)), 200, own=own.plain("dd", block), to_end=True) if phases else None


def _sleep(args: list[str]) -> Job | None:
    if args in (["infinity"], ["inf"]):
        return Job(Workload((Hold(),)), own=own.SLEEP)
    times = [seconds_of(arg) for arg in args]
    if not times or None in times:
        return None
    return Job(Workload((Sleep(sum(time for time in times if time)),)), own=own.SLEEP)


def _load(args: list[str]) -> Job | None:
    settings = {"mib": 64.0, "step": 0.0, "every": 0.0, "passes": -1.0, "pause": 0.0, "delay": 0.0}
    for word in args:
        name, _, value = word.partition("=")
        number = -1.0 if (name, value) == ("passes", "-1") else seconds_of(value)
        if name not in settings or number is None:
            return None
        settings[name] = number
    size = int(settings["mib"])
    step = int(settings["step"]) or size
    if size < 1:
        return None
    ends = [min(size, start + step) for start in range(0, size, step)]
    phases: list[Phase] = [Sleep(settings["delay"])] if settings["delay"] else []
    phases.append(Allocate("held", size * MIB))
    for start, end in zip([0, *ends], ends, strict=False):
        phases.append(Touch("held", write=True, offset=start * MIB, size=(end - start) * MIB))
        if settings["every"]:
            phases.append(Sleep(settings["every"]))
    pause: tuple[Phase, ...] = (Sleep(settings["pause"]),) if settings["pause"] else ()
    if settings["passes"] >= 0:
        times = int(settings["passes"]) or None
        phases.append(Repeat((Touch("held", write=True), *pause), times))
    phases.append(Hold())

    def says(turn: int) -> str:
        if turn < len(ends):
            return f"held {ends[turn]} MiB\n"
        return f"pass {turn - len(ends) + 1}\n"

    return Job(Workload(tuple(phases)), 400, says=says, own=own.PYTHON)


_PARSERS: dict[str, Callable[[list[str]], Job | None]] = {
    "md5sum": _hash("md5sum", 5670),
    "sha256sum": _hash("sha256sum", 10_000),
    "cat": _cat,
    "dd": _dd,
    "sleep": _sleep,
    "stress-ng": stress,
    "memqos.lab.load": _load,
}
