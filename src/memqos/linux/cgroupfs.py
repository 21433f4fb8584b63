"""Every `memory.*`, `io.*`, `*.pressure` and `cgroup.*` file of kernels 6.1 to 7.2: text and values.

`FILES` is the catalogue: what each file holds, its unit, whether it can be read and written,
whether the root cgroup has it, since which kernel, and where that is documented. Whether a kernel
at hand *has* a file is never concluded from its version: see `features`. No I/O here.

The documents: `v2` is Documentation/admin-guide/cgroup-v2.rst, `psi` Documentation/accounting/psi.rst,
`bfq` Documentation/block/bfq-iosched.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memqos.errors import InvalidValue, KnobMissing, Unreadable
from memqos.linux.codec import Codec, CpuMax, Ids, Number, Order, ReclaimOrder, Switch, Word, Words
from memqos.linux.flat import Flat
from memqos.linux.iocost import Costs, Weight
from memqos.linux.keyed import IoMaxes, IoStats, Nested, Pressures


@dataclass(frozen=True, slots=True)
class File:
    """One control file. `access` is "r", "w" or "rw"; `root` tells if the root cgroup has it.

    `root` is "yes", "no" or "only"; `since` the first kernel with it ("" for before 5.0).
    """

    name: str
    codec: Codec
    unit: str
    access: str
    root: str
    since: str
    doc: str


def _limit() -> Number:
    return Number(unlimited=True)


FILES: dict[str, File] = {
    file.name: file
    for file in (
        File("memory.current", Number(), "bytes", "r", "no", "", "v2"),
        File("memory.peak", Number(), "bytes", "r", "no", "5.19", "v2"),
        File("memory.min", _limit(), "bytes", "rw", "no", "", "v2"),
        File("memory.low", _limit(), "bytes", "rw", "no", "", "v2"),
        File("memory.high", _limit(), "bytes", "rw", "no", "", "v2"),
        File("memory.max", _limit(), "bytes", "rw", "no", "", "v2"),
        File("memory.reclaim", ReclaimOrder(), "bytes", "w", "yes", "5.19", "v2"),
        File("memory.oom.group", Switch(), "", "rw", "no", "", "v2"),
        File("memory.events", Flat(), "events", "r", "no", "", "v2"),
        File("memory.events.local", Flat(), "events", "r", "no", "5.2", "v2"),
        File("memory.stat", Flat(), "bytes, events", "r", "yes", "", "v2"),
        File("memory.numa_stat", Nested(), "bytes, events", "r", "yes", "5.10", "v2"),
        File("memory.swap.current", Number(), "bytes", "r", "no", "", "v2"),
        File("memory.swap.peak", Number(), "bytes", "r", "no", "6.5", "v2"),
        File("memory.swap.high", _limit(), "bytes", "rw", "no", "5.8", "v2"),
        File("memory.swap.max", _limit(), "bytes", "rw", "no", "", "v2"),
        File("memory.swap.events", Flat(), "events", "r", "no", "", "v2"),
        File("memory.zswap.current", Number(), "bytes", "r", "no", "5.19", "v2"),
        File("memory.zswap.max", _limit(), "bytes", "rw", "no", "5.19", "v2"),
        File("memory.zswap.writeback", Switch(), "", "rw", "yes", "6.8", "v2"),
        File("memory.pressure", Pressures(), "percent, µs", "r", "yes", "", "psi"),
        File("io.pressure", Pressures(), "percent, µs", "r", "yes", "", "psi"),
        File("cpu.weight", Number(), "weight", "rw", "no", "", "v2"),
        File("cpu.max", CpuMax(), "µs", "rw", "no", "", "v2"),
        File("cpu.pressure", Pressures(), "percent, µs", "r", "yes", "", "psi"),
        File("irq.pressure", Pressures(only_full=True), "percent, µs", "r", "yes", "6.1", "psi"),
        File("io.stat", IoStats(), "bytes, requests", "r", "yes", "", "v2"),
        File("io.max", IoMaxes(), "bytes/s, requests/s", "rw", "no", "", "v2"),
        File("io.low", Nested(), "bytes/s, requests/s, µs", "rw", "no", "4.12 to 6.8", "v2"),
        File("io.latency", Nested(), "µs", "rw", "no", "", "v2"),
        File("io.weight", Weight(), "weight", "rw", "no", "", "v2"),
        File("io.bfq.weight", Flat(), "weight", "rw", "no", "5.0", "bfq"),
        File("io.cost.qos", Costs(off="enable=0"), "percent, µs", "rw", "only", "5.4", "v2"),
        File("io.cost.model", Costs(off="ctrl=auto"), "bytes/s, requests/s", "rw", "only", "5.4", "v2"),
        File(
            "io.prio.class",
            Word("no-change", "promote-to-rt", "restrict-to-be", "idle", "none-to-rt"),
            "",
            "rw",
            "yes",
            "5.14",
            "v2",
        ),
        File(
            "cgroup.type",
            Word("domain", "domain threaded", "domain invalid", "threaded"),
            "",
            "rw",
            "no",
            "",
            "v2",
        ),
        File("cgroup.procs", Ids(), "pid", "rw", "yes", "", "v2"),
        File("cgroup.threads", Ids(), "tid", "rw", "yes", "", "v2"),
        File("cgroup.controllers", Words(), "", "r", "yes", "", "v2"),
        File("cgroup.subtree_control", Words(), "", "rw", "yes", "", "v2"),
        File("cgroup.events", Flat(), "", "r", "no", "", "v2"),
        File("cgroup.max.descendants", _limit(), "cgroups", "rw", "yes", "", "v2"),
        File("cgroup.max.depth", _limit(), "levels", "rw", "yes", "", "v2"),
        File("cgroup.stat", Flat(), "cgroups", "r", "yes", "", "v2"),
        File("cgroup.stat.local", Flat(), "µs", "r", "no", "6.18", "v2"),
        File("cgroup.freeze", Switch(), "", "rw", "no", "5.2", "v2"),
        File("cgroup.kill", Order(), "", "w", "no", "5.14", "v2"),
        File("cgroup.pressure", Switch(), "", "rw", "yes", "6.1", "v2"),
    )
}
"""The catalogue, by file name."""


def decode(name: str, raw: bytes, *, cgroup: str = "") -> Any:
    """Return the value that the bytes of file `name` state; raises `Unreadable`."""
    try:
        return FILES[name].codec.decode(raw)
    except (ValueError, OverflowError) as error:
        raise Unreadable(str(error), cgroup=cgroup, knob=name) from None


def encode(name: str, value: object, *, cgroup: str = "") -> tuple[bytes, ...]:
    """Return what to write into file `name`, one item per `write(2)`.

    Raises `KnobMissing` for a file that is not in the catalogue or takes nothing, `InvalidValue`
    for a value of another type.
    """
    file = FILES.get(name)
    if file is None or "w" not in file.access:
        raise KnobMissing("memqos knows no such knob to write", cgroup=cgroup, knob=name)
    try:
        return file.codec.encode(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidValue(str(error), cgroup=cgroup, knob=name) from None
