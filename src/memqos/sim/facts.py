"""What the simulated node as a whole shows: /proc/meminfo, /proc/vmstat, its disks, swap and zones.

fs/proc/meminfo.c, mm/vmstat.c, mm/show_mem.c (`si_mem_available`), block/genhd.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from memqos.model.snapshot import Counters, Disk, NodeFacts, Swap, Zone
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, Machine
from memqos.sim.stat import Look


def facts(machine: Machine, look: Look) -> NodeFacts:
    """Return the node's figures at a look."""
    g = machine.m.g
    held = int(g[k.DMA_HELD])
    least, low, high = (int(g[column]) - held for column in (k.WMARK_MIN, k.WMARK_LOW, k.WMARK_HIGH))
    return NodeFacts(
        meminfo=Counters.of(_meminfo(machine, look)),
        vmstat=Counters.of(_vmstat(machine, look)),
        memory_pressure=look.pressure(0, 0),
        io_pressure=look.pressure(0, 2),
        cpu_pressure=look.pressure(0, 4),
        swaps=_swaps(machine, look),
        disks={disk.device: disk for disk in _disks(machine, look)},
        zones=(Zone(0, "Normal", int(g[k.FREE] - g[k.LOOSE]), least, low, high, int(g[k.TOTAL])),),
    )


def _swap_sizes(machine: Machine) -> tuple[int, int]:
    g = machine.m.g
    return max(0, int(g[k.SW_TOTAL]) - 1) * PAGE, int(g[k.SW_FREE]) * PAGE


def _meminfo(machine: Machine, look: Look) -> dict[str, int]:
    g = machine.m.g
    root = look.total[0]
    lru = {name: int(sizes[0]) for name, sizes in look.lru.items()}
    free, total = int(g[k.FREE] - g[k.LOOSE]) * PAGE, int(g[k.TOTAL]) * PAGE
    file = int(root[k.N_FILE]) * PAGE
    swap_total, swap_free = _swap_sizes(machine)
    reclaimable = lru["inactive_file"] + lru["active_file"]
    low = int(g[k.WMARK_LOW] - g[k.DMA_HELD]) * PAGE
    reserve = int(g[k.TOTALRESERVE]) * PAGE
    available = max(0, free - reserve + reclaimable - min(reclaimable // 2, low))
    return {
        "MemTotal": total,
        "MemFree": free,
        "MemAvailable": available,
        "Buffers": 0,
        "Cached": file,
        "SwapCached": int(root[k.N_SWAPCACHED]) * PAGE,
        "Active": lru["active_anon"] + lru["active_file"],
        "Inactive": lru["inactive_anon"] + lru["inactive_file"],
        "Active(anon)": lru["active_anon"],
        "Inactive(anon)": lru["inactive_anon"],
        "Active(file)": lru["active_file"],
        "Inactive(file)": lru["inactive_file"],
        "SwapTotal": swap_total,
        "SwapFree": swap_free,
        "Dirty": int(g[k.NDIRTY]) * PAGE,
        "Writeback": int(g[k.NWB]) * PAGE,
        "AnonPages": int(root[k.N_ANON]) * PAGE,
        "Mapped": int(root[k.N_MAPPED]) * PAGE,
        "Slab": int(root[k.N_SLAB_BYTES]),
        "PageTables": int(root[k.N_PT]) * PAGE,
    }


def _vmstat(machine: Machine, look: Look) -> dict[str, int]:
    g, root = machine.m.g, look.total[0]
    stat = look.memory_stat(0)
    vmstat = {name: stat[name] for name in stat if name.startswith(("pg", "workingset_"))}
    vmstat |= {
        "nr_free_pages": int(g[k.FREE] - g[k.LOOSE]),
        "nr_dirty": int(g[k.NDIRTY]),
        "nr_writeback": int(g[k.NWB]),
        "nr_dirtied": int(g[k.G_DIRTIED]),
        "nr_written": int(g[k.G_WRITTEN]),
        "pswpin": int(root[k.PSWPIN]),
        "pswpout": int(root[k.PSWPOUT]),
        "oom_kill": int(g[k.G_OOM_KILL]),
        "allocstall_normal": int(g[k.G_ALLOCSTALL]),
        "pageoutrun": int(g[k.G_PAGEOUTRUN]),
        "pgrotated": int(g[k.G_PGROTATED]),
    }
    if not machine.profile.counts_memcg_reclaim_in_vmstat:
        for name, first in (("pgscan", k.G_PGSCAN), ("pgsteal", k.G_PGSTEAL)):
            vmstat[f"{name}_direct"] = int(g[first] + g[first + 2])
            vmstat[f"{name}_kswapd"] = int(g[first + 1])
    return vmstat


def _swaps(machine: Machine, look: Look) -> tuple[Swap, ...]:
    total, free = _swap_sizes(machine)
    if not total:
        return ()
    number = machine.disk_numbers[machine.spec.swap_disk or machine.spec.disks[0].name]
    return (Swap(f"/dev/{_name(number)}", "partition", total, total - free, -2, look.device(number)),)


def _name(number: int) -> str:
    """Return a virtual disk's name: settings call disks by what the kernel calls them."""
    return f"vd{chr(ord('a') + number)}"


def _disks(machine: Machine, look: Look) -> Iterator[Disk]:
    dev = machine.m.dev
    for d in range(len(machine.spec.disks)):
        busy = int(dev[d, k.D_BUSY]) // 1000
        yield Disk(
            device=look.device(d),
            name=_name(d),
            rios=int(dev[d, k.D_RIOS]),
            rbytes=int(dev[d, k.D_RBYTES]),
            wios=int(dev[d, k.D_WIOS]),
            wbytes=int(dev[d, k.D_WBYTES]),
            in_flight=int(sum(dev[d, k.D_TAIL + ring] - dev[d, k.D_HEAD + ring] for ring in range(3))),
            io_time_us=busy,
            weighted_time_us=busy,
        )
