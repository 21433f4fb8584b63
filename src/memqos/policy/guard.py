"""Settings that wreck nodes: refused where memqos was about to write them, reported where others did.

* `memory.min` as high as `memory.max`: page cache inside it cannot be reclaimed, so a pod that reads
  or writes files is OOM-killed at its limit beside its own clean cache (k/k #137880).
* `memory.high` below what cannot be reclaimed: no reclaim gets the pod below it, every allocation is
  throttled for ever, and nobody is told.
* A `memory.max` that is nearly filled by memory the pod cannot give up, without swap: the next peak kills it.
* Large watermarks without swap: the kernel reclaims programs' code early and over and over; such
  nodes stood still for good where the defaults had a few OOM kills.
* Swap on a slow disk and nothing that limits its traffic: one pod that swaps makes all others wait.

`dangers` is a pure look at a node; `refuse` takes the dangerous writes out of a plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from memqos.model.plan import Advice, Plan, Value, Write
from memqos.model.snapshot import Cgroup, Disk, IoMax, NodeFacts, Snapshot, Swap
from memqos.policy.stat import unreclaimable
from memqos.units import UNLIMITED, format_bytes, page_floor

NAME: Final = "guard"
_CLOSE: Final = 0.95
_MIN_SHARE: Final = 0.9
_WATERMARKS: Final = 0.10
"""Part of the node's memory between empty and the high watermarks; a kernel's own is 1 to 3 %."""
_SLOW_US: Final = 20_000
"""Mean time of a disk request from which on a disk is slow: a spinning disk's under load."""
_REQUESTS: Final = 100
_LENDS: Final = "relax"
"""The rung that only ever raises limits."""


@dataclass(frozen=True, slots=True)
class Danger:
    """One setting. `safe` is what may be written instead; `None`: nothing of the kind."""

    subject: str
    problem: str
    remedy: str
    knob: str = ""
    safe: Value | None = None


def dangers(now: Snapshot, *, io_limited: bool = True) -> Iterator[Danger]:
    """Yield what is dangerous on a node. `io_limited`: memqos limits the I/O of whoever disturbs."""
    yield from _watermarks(now.node)
    if not (io_limited and "io.max" in now.features):
        yield from _slow_swap(now)
    meminfo = now.node.meminfo
    swap_free, no_swap = meminfo.get("SwapFree", 0), not meminfo.get("SwapTotal", 0)
    for path, cgroup in now.cgroups.items():
        if not path:
            continue
        most, high = cgroup.memory_max, cgroup.memory_high
        if cgroup.memory_min:
            yield from _protection(cgroup, now)
        charged = cgroup.memory_current or 0
        throttled = high is not None and high < UNLIMITED and charged > high
        full = most is not None and most < UNLIMITED and charged >= most * _CLOSE
        if throttled or full:  # what cannot be reclaimed is no more than what is charged
            kept = unreclaimable(cgroup, swap_free)
            if throttled and high is not None and kept > high:
                yield _throttle(cgroup, high, no_swap=no_swap)
            if full and most is not None and kept and kept >= most * _CLOSE:
                yield _limit(cgroup, most, no_swap=no_swap)


def refuse(plan: Plan, now: Snapshot, foreseen: Snapshot, *, io_limited: bool = True) -> Plan:
    """Return the plan without its dangerous writes, each replaced by what is safe, or left out, and told.

    `foreseen` is the node as the plan will leave it; what others set is told and left as it is. A limit is
    never left out: a knob that nobody asks for goes back to what it was, and that is no limit at all. It
    stays as it is `now`, as with a kubelet, which waits with a limit that is below the usage.
    """
    writes: dict[tuple[str, str], Write] = {write.target: write for write in plan.writes}
    advice: list[Advice] = []
    for danger in dangers(foreseen, io_limited=io_limited):
        write, safe = writes.get((danger.subject, danger.knob)), danger.safe
        if danger.knob == "memory.max":
            safe = now.cgroups[danger.subject].memory_max
        if write is None or write.value == safe or _helps(write, now):
            advice.append(Advice(danger.subject or "node", danger.problem, danger.remedy, NAME))
            continue
        if safe is None:
            del writes[write.target]
            said = f"{write.policy} wanted it; memqos does not write it"
        else:
            does = "leaves what is there" if danger.knob == "memory.max" else "writes less"
            why = f"{write.why} (not what was asked for: {danger.problem})"
            writes[write.target] = structs.replace(write, value=safe, why=why)
            said = f"{write.policy} wanted it; memqos {does}"
        advice.append(Advice(danger.subject, f"{danger.problem} ({said})", danger.remedy, NAME))
    return replace(plan, writes=tuple(writes.values()), advice=(*plan.advice, *advice)) if advice else plan


def _helps(write: Write, now: Snapshot) -> bool:
    """Whether a dangerous memory.high is more than there is, or would be: leaving it out would be worse."""
    there = now.cgroups[write.cgroup].memory_high
    raises = isinstance(write.value, int) and there is not None and write.value > there
    return write.knob == "memory.high" and (raises or write.policy == _LENDS)


def safe_min(wanted: int, path: str, now: Snapshot) -> int:
    """Return the bytes of `memory.min` that may be written: `wanted`, or less where that is dangerous."""
    most, _ = _least_limit(path, now)
    if most >= UNLIMITED or wanted < most * _CLOSE:
        return wanted
    return page_floor(int(most * _MIN_SHARE), now.node.page_size)


def _least_limit(path: str, now: Snapshot) -> tuple[int, str]:
    """Return the least `memory.max` on the way up, and whose it is: all reclaim for it passes here."""
    most, whose = UNLIMITED, path
    while path:
        above = now.cgroups.get(path)
        if above is not None and above.memory_max is not None and above.memory_max < most:
            most, whose = above.memory_max, path
        path = path.rpartition("/")[0]
    return most, whose


def _protection(cgroup: Cgroup, now: Snapshot) -> Iterator[Danger]:
    """Compare with the least limit on the way up: reclaim for any of them has to pass this memory.min by."""
    low = cgroup.memory_min or 0
    safe = safe_min(low, cgroup.path, now)
    if safe == low:
        return
    most, whose = _least_limit(cgroup.path, now)
    limit = "memory.max" if whose == cgroup.path else f"the memory.max of {whose}"
    problem = f"memory.min is as high as {limit}, {format_bytes(most)}: its page cache can cause an OOM kill"
    remedy = "leave a tenth of memory.max unprotected, or use memory.low (memoryReservationPolicy None)"
    yield Danger(cgroup.path, problem, remedy, "memory.min", safe)


def _throttle(cgroup: Cgroup, high: int, *, no_swap: bool) -> Danger:
    problem = (
        f"memory.high of {format_bytes(high)} is below what cannot be reclaimed: it is throttled for ever"
    )
    swap = "give the node swap and let the pod swap" if no_swap else "let the pod swap"
    remedy = f"raise memory.high, or {swap}: annotation memqos.dev/swap-limit"
    return Danger(cgroup.path, problem, remedy, "memory.high")


def _limit(cgroup: Cgroup, most: int, *, no_swap: bool) -> Danger:
    problem = f"what it cannot give up nearly fills memory.max, {format_bytes(most)}: the next peak kills it"
    swap = "give the node swap and let the pod swap" if no_swap else "let the pod swap"
    remedy = f"raise the pod's memory limit, or {swap}: annotation memqos.dev/swap-limit"
    return Danger(cgroup.path, problem, remedy, "memory.max")


def _watermarks(node: NodeFacts) -> Iterator[Danger]:
    managed, high = sum(zone.managed for zone in node.zones), sum(zone.high for zone in node.zones)
    if node.meminfo.get("SwapTotal", 0) or not managed or high < managed * _WATERMARKS:
        return
    problem = (
        f"{high * 100 // managed} % of memory lie below the watermarks and there is no swap: it may livelock"
    )
    remedy = "lower vm.watermark_scale_factor and vm.min_free_kbytes, or add swap"
    yield Danger("", problem, remedy)


def _slow_swap(now: Snapshot) -> Iterator[Danger]:
    """Look at every swap file and device whose disk is known, each disk once."""
    told = set()
    for swap in now.node.swaps:
        disk = _disk_of(swap, now.node)
        mean = 0 if disk is None else _mean_us(disk)
        if disk is None or mean <= _SLOW_US or disk.device in told or _is_limited(disk.device, now):
            continue
        told.add(disk.device)
        where = swap.filename if swap.filename == f"/dev/{disk.name}" else f"{swap.filename} on {disk.name}"
        problem = f"{where} takes {_about_ms(mean)} ms a request and nothing limits who swaps"
        yield Danger("", problem, "let memqos limit it (spec.io.enabled: true), or swap to a faster disk")


def _disk_of(swap: Swap, node: NodeFacts) -> Disk | None:
    """Return the disk that is swapped to: of a swap file its filesystem's, of a partition the whole one."""
    if swap.device is not None:
        return node.disks.get(swap.device)
    return next((one for one in node.disks.values() if swap.filename == f"/dev/{one.name}"), None)


def _is_limited(device: str, now: Snapshot) -> bool:
    """Whether anybody has an io.max there, or the kernel shares the disk by weight (io.cost)."""
    root = now.cgroups.get("")
    qos = (root.io_cost_qos if root is not None else None) or {}
    if "enable=1" in qos.get(device, "").split():
        return True
    none = IoMax()
    return any((cgroup.io_max or {}).get(device, none) != none for cgroup in now.cgroups.values())


def _mean_us(disk: Disk) -> int:
    requests = disk.rios + disk.wios
    return disk.weighted_time_us // requests if requests >= _REQUESTS else 0


def _about_ms(mean_us: int) -> int:
    """Return milliseconds in one digit: what is told once is not told anew with every request."""
    milliseconds = mean_us // 1000
    digit: int = 10 ** (len(str(milliseconds)) - 1)
    return milliseconds // digit * digit
