"""Set the simulated kernel beside the real one: the same experiment, counter by counter.

What is compared is what happened between two marks of the timeline (the begin and the end count as
marks), for each pod that was there at the later one, and for the node. Real is the median of all
recordings given. Only counts and bytes: no seconds.

A counter's bar is the share that simulated may differ by; `exact` ones may not differ. The kernel
charges and counts in batches of 64 pages a CPU (include/linux/memcontrol.h, MEMCG_CHARGE_BATCH), so a
difference within one batch is no miss; that is two rounds of reclaim of 32 pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from statistics import median
from typing import Final

from memqos.lab.experiment import Experiment
from memqos.lab.recording import Look, Recording
from memqos.lab.row import Row, within
from memqos.model.snapshot import Cgroup

BATCH: Final = 64
PAGE: Final = 4096

BEGIN: Final = "begin"
END: Final = "end"


@dataclass(frozen=True, slots=True)
class Counter:
    """What is compared: its name, its unit, the bar (`None`: shown, not judged), how it is read.

    `floor` is the difference that is none. With `level` it is a value at a mark, not a growth. With
    `file_load` it is judged only between marks where nothing was swapped out: how often a charge meets
    the limit then depends on how fast the disk writes against how fast the processor reclaims.
    """

    name: str
    unit: str
    bar: float | None
    floor: int
    read: Callable[[Recording, Look, str], int | None]
    level: bool = False
    file_load: bool = False


def _cgroup(recording: Recording, look: Look, pod: str) -> Cgroup | None:
    path = recording.cgroups.get(pod)
    return None if path is None else look.snapshot.cgroups.get(path)


def _stat(*keys: str) -> Callable[[Recording, Look, str], int | None]:
    def read(recording: Recording, look: Look, pod: str) -> int | None:
        cgroup = _cgroup(recording, look, pod)
        if cgroup is None or cgroup.memory_stat is None:
            return None
        return sum(cgroup.memory_stat.get(key, 0) for key in keys)

    return read


def _events(key: str) -> Callable[[Recording, Look, str], int | None]:
    def read(recording: Recording, look: Look, pod: str) -> int | None:
        cgroup = _cgroup(recording, look, pod)
        return None if cgroup is None or cgroup.memory_events is None else cgroup.memory_events.get(key)

    return read


def _io(key: str, *, swap: bool) -> Callable[[Recording, Look, str], int | None]:
    def read(recording: Recording, look: Look, pod: str) -> int | None:
        cgroup = _cgroup(recording, look, pod)
        if cgroup is None or cgroup.io_stat is None:
            return None
        device = recording.devices.get("swap")
        lines = [line for name, line in cgroup.io_stat.items() if (name == device) == swap]
        return sum(int(getattr(line, key)) for line in lines)

    return read


def _swap_current(recording: Recording, look: Look, pod: str) -> int | None:
    cgroup = _cgroup(recording, look, pod)
    return None if cgroup is None else cgroup.memory_swap_current


def _kills(recording: Recording, look: Look, pod: str) -> int | None:
    seen = look.pods.get(pod)
    return None if seen is None else seen.oom_kills


def _exit(recording: Recording, look: Look, pod: str) -> int | None:
    seen = look.pods.get(pod)
    return None if seen is None else (-1 if seen.exit_code is None else seen.exit_code)


def _vmstat(key: str) -> Callable[[Recording, Look, str], int | None]:
    return lambda recording, look, pod: look.snapshot.node.vmstat.get(key)


PODS: Final = (
    Counter("file bytes read", "bytes", 0.01, BATCH * PAGE, _io("rbytes", swap=False)),
    Counter("file bytes written", "bytes", 0.01, BATCH * PAGE, _io("wbytes", swap=False)),
    Counter("refaults, file", "pages", 0.01, BATCH, _stat("workingset_refault_file")),
    Counter("refaults, anon", "pages", 0.01, BATCH, _stat("workingset_refault_anon")),
    Counter("pgscan", "pages", None, BATCH, _stat("pgscan")),
    Counter("pgsteal", "pages", 0.01, BATCH, _stat("pgsteal")),
    Counter("memory.events max", "events", 0.02, BATCH // 32, _events("max"), file_load=True),
    Counter("memory.events high", "events", None, 0, _events("high")),
    Counter("bytes swapped in", "bytes", 0.02, BATCH * PAGE, _io("rbytes", swap=True)),
    Counter("bytes swapped out", "bytes", 0.10, BATCH * PAGE, _io("wbytes", swap=True)),
    Counter("memory.swap.current", "bytes", None, BATCH * PAGE, _swap_current, level=True),
    Counter("OOM kills", "kills", 0.0, 0, _kills),
    Counter("exit code", "code", 0.0, 0, _exit, level=True),
)

NODE: Final = (
    Counter("pswpin", "pages", 0.02, BATCH, _vmstat("pswpin")),
    Counter("pswpout", "pages", 0.10, BATCH, _vmstat("pswpout")),
    Counter("oom_kill", "kills", 0.0, 0, _vmstat("oom_kill")),
)

_SWAPPED: Final = NODE[1]


def compare(
    experiment: Experiment, kernel: str, real: Sequence[Recording], simulated: Recording
) -> list[Row]:
    """Compare recordings of one variant, all of them of a real kernel, with that of the simulated one."""
    rows = []
    for before, after in _spans(simulated, real):
        span = f"{before} → {after}"
        pods = [name for name in simulated.cgroups if "/" not in name]
        swapped = [_growth(each, _SWAPPED, "node", before, after) for each in (*real, simulated)]
        for subject, counters in [*((pod, PODS) for pod in pods), ("node", NODE)]:
            for counter in counters:
                wanted = [_growth(each, counter, subject, before, after) for each in real]
                known = [value for value in wanted if value is not None]
                ours = _growth(simulated, counter, subject, before, after)
                if not known or ours is None:
                    continue
                theirs = median(known)
                if theirs == ours == 0:
                    continue
                bar = None if counter.file_load and any(swapped) else counter.bar
                rows.append(
                    Row(
                        experiment=experiment.name,
                        kernel=kernel,
                        variant=simulated.variant,
                        span=span,
                        subject=subject,
                        counter=counter.name,
                        unit=counter.unit,
                        real=theirs,
                        simulated=ours,
                        bar=bar,
                        met=None if bar is None else within(bar, counter.floor, theirs, ours),
                        runs=tuple(known),
                        floor=counter.floor,
                    )
                )
    return rows


def _spans(simulated: Recording, real: Sequence[Recording]) -> Iterator[tuple[str, str]]:
    """Marks one after another, as far as all recordings have them; the begin, and the end if it was seen."""
    marks = [name for name in simulated.marks if all(name in each.marks for each in real)]
    names = [BEGIN, *marks]
    last = simulated.marks[marks[-1]].seconds if marks else -1.0
    if not marks or any(look.seconds > last + 1 for look in simulated.samples):
        names.append(END)
    yield from pairwise(names)


def _growth(recording: Recording, counter: Counter, subject: str, before: str, after: str) -> int | None:
    later = _at(recording, after)
    end = None if later is None else counter.read(recording, later, subject)
    if end is None or counter.level:
        return end
    first = _at(recording, before)
    if first is None and subject == "node":
        # the node has counted since it was started, and a guest plays its variants one after another
        first = min(recording.samples, key=attrgetter("seconds"), default=None)
        if first is None or later is None or first.seconds >= later.seconds:
            return None
    begin = None if first is None else counter.read(recording, first, subject)
    return end - (begin or 0)


def _at(recording: Recording, mark: str) -> Look | None:
    if mark == END:
        return recording.samples[-1] if recording.samples else None
    return recording.marks.get(mark)
