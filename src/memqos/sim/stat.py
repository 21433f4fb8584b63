"""What the simulated kernel's files say: its counters under the kernel's own names, in bytes.

mm/memcontrol.c (`memory_stats`), mm/vmstat.c. memory.stat is over the whole subtree, as the kernel's;
what is not modelled (slab other than xa_nodes, huge pages, NUMA) reads 0 or is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from memqos.model.snapshot import Counters, IoMax, IoStat, Pressure, PressureLine
from memqos.sim.kernels import control, psi
from memqos.sim.kernels import layout as k
from memqos.sim.machine import PAGE, Machine
from memqos.units import UNLIMITED

_EVENTS = {
    "workingset_refault_anon": k.REFAULT_ANON,
    "workingset_refault_file": k.REFAULT_FILE,
    "workingset_activate_anon": k.ACTIVATE_ANON,
    "workingset_activate_file": k.ACTIVATE_FILE,
    "workingset_restore_anon": k.RESTORE_ANON,
    "workingset_restore_file": k.RESTORE_FILE,
    "workingset_nodereclaim": k.NODERECLAIM,
    "pgscan_kswapd": k.PGSCAN_KSWAPD,
    "pgscan_direct": k.PGSCAN,
    "pgsteal_kswapd": k.PGSTEAL_KSWAPD,
    "pgsteal_direct": k.PGSTEAL,
    "pgfault": k.PGFAULT,
    "pgmajfault": k.PGMAJFAULT,
    "pgrefill": k.PGREFILL,
    "pgactivate": k.PGACTIVATE,
    "pgdeactivate": k.PGDEACTIVATE,
}


class Look:
    """The counters of every cgroup at one moment, summed up the tree once."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.profile = machine.profile
        machine.order(control.LOOK, psi.AVGS)
        m: Any = machine.m
        count = int(m.g[k.NCG])
        self.local = m.cg[:count]
        sizes = m.ls[: count * k.LISTS, k.SIZE].reshape(count, k.LISTS)
        self.sizes = sizes[:, : k.OF_DMA] + sizes[:, k.OF_DMA :]
        total = self.local.copy()
        # a parent comes before its children
        for c in range(count - 1, 0, -1):
            parent = total[c, k.PARENT]
            total[parent, k.N_ANON : k.N_SHMEM + 1] += total[c, k.N_ANON : k.N_SHMEM + 1]
            total[parent, k.PGFAULT : k.E_LOW] += total[c, k.PGFAULT : k.E_LOW]
            total[parent, k.IO : k.IOMAX] += total[c, k.IO : k.IOMAX]
        self.total = total

    def lru(self, c: int) -> dict[str, int]:
        """Sizes of the four lists of a subtree; with MGLRU the two youngest generations are active."""
        sizes = dict.fromkeys(("inactive_anon", "active_anon", "inactive_file", "active_file"), 0)
        below = self._below(c)
        for d in np.flatnonzero(below):
            if not self.profile.mglru:
                for i, name in enumerate(sizes):
                    sizes[name] += int(self.sizes[d, i]) * PAGE
                continue
            newest = int(self.local[d, k.MAX_SEQ])
            for i, kind in enumerate(("anon", "file")):
                row = self.sizes[d, 4 * i : 4 * i + 4]
                active = int(row[newest % 4] + row[(newest - 1) % 4])
                sizes[f"active_{kind}"] += active * PAGE
                sizes[f"inactive_{kind}"] += (int(row.sum()) - active) * PAGE
        return sizes

    def _below(self, c: int) -> Any:
        """Which rows are `c` or below it."""
        below = np.zeros(len(self.local), bool)
        below[c] = True
        for d in range(c + 1, len(self.local)):
            below[d] = below[self.local[d, k.PARENT]]
        return below

    def memory_stat(self, c: int) -> Counters:
        """`memory.stat` of one cgroup."""
        row = self.total[c]
        stat = {
            "anon": int(row[k.N_ANON]) * PAGE,
            "file": int(row[k.N_FILE]) * PAGE,
            "kernel": int(row[k.N_KERNEL_BYTES]),
            "kernel_stack": 0,
            "pagetables": int(row[k.N_PT]) * PAGE,
            "shmem": 0,
            "file_mapped": int(row[k.N_MAPPED]) * PAGE,
            "file_dirty": int(row[k.N_DIRTY]) * PAGE,
            "file_writeback": int(row[k.N_WB]) * PAGE,
            "swapcached": int(row[k.N_SWAPCACHED]) * PAGE,
            **self.lru(c),
            "unevictable": 0,
            "slab_reclaimable": int(row[k.N_SLAB_BYTES]),
            "slab_unreclaimable": 0,
            "slab": int(row[k.N_SLAB_BYTES]),
        }
        stat |= {name: int(row[column]) for name, column in _EVENTS.items()}
        stat["pgscan"] = sum(int(row[k.PGSCAN + i]) for i in range(3))
        stat["pgsteal"] = sum(int(row[k.PGSTEAL + i]) for i in range(3))
        if self.profile.proactive_stats:
            stat["pgscan_proactive"] = int(row[k.PGSCAN_PROACTIVE])
            stat["pgsteal_proactive"] = int(row[k.PGSTEAL_PROACTIVE])
            stat["pswpin"] = int(row[k.PSWPIN])
            stat["pswpout"] = int(row[k.PSWPOUT])
        else:
            stat["pgscan_direct"] += int(row[k.PGSCAN_PROACTIVE])
            stat["pgsteal_direct"] += int(row[k.PGSTEAL_PROACTIVE])
        if self.profile.zeromap:
            stat["swpin_zero"] = int(row[k.SWPIN_ZERO])
            stat["swpout_zero"] = int(row[k.SWPOUT_ZERO])
        return Counters.of(stat)

    def memory_events(self, c: int, *, local: bool = False) -> Counters:
        """`memory.events`, or `memory.events.local`."""
        first = k.L_LOW if local else k.E_LOW
        names = ("low", "high", "max", "oom", "oom_kill", "oom_group_kill")
        return Counters.of({name: int(self.local[c, first + i]) for i, name in enumerate(names)})

    def swap_events(self, c: int) -> Counters:
        """`memory.swap.events`."""
        row = self.local[c]
        return Counters.of(
            {"high": int(row[k.E_SWAP_HIGH]), "max": int(row[k.E_SWAP_MAX]), "fail": int(row[k.E_SWAP_FAIL])}
        )

    def device(self, d: int) -> str:
        """A disk's `major:minor`, as virtio-blk numbers them."""
        return f"254:{16 * d}"

    def io_stat(self, c: int) -> dict[str, IoStat]:
        """`io.stat`: a line for every disk that was used."""
        lines = {}
        for d in range(int(self.machine.m.g[k.NDEV])):
            rbytes, wbytes, rios, wios = (int(n) for n in self.total[c, k.IO + 4 * d : k.IO + 4 * d + 4])
            if rios or wios:
                lines[self.device(d)] = IoStat(rbytes=rbytes, wbytes=wbytes, rios=rios, wios=wios)
        return lines

    def io_max(self, c: int) -> dict[str, IoMax]:
        """`io.max`: a line for every disk with a limit."""
        lines = {}
        for d in range(int(self.machine.m.g[k.NDEV])):
            limits = [int(n) for n in self.local[c, k.IOMAX + 4 * d : k.IOMAX + 4 * d + 4]]
            if any(limits):
                lines[self.device(d)] = IoMax(*(n or UNLIMITED for n in limits))
        return lines

    def pressure(self, c: int, first: int) -> Pressure:
        """A `*.pressure` file: `first` is 0 for memory, 2 for io, 4 for cpu (whose full the root has not)."""
        some = self._line(c, first)
        if first == 4 and c == 0:
            return Pressure(some, PressureLine(0.0, 0.0, 0.0, 0))
        return Pressure(some, self._line(c, first + 1))

    def _line(self, c: int, i: int) -> PressureLine:
        loads = self.local[c, k.PSI_AVG + 3 * i : k.PSI_AVG + 3 * i + 3]
        averages = [int(n) * 100 // psi.FIXED / 100 for n in loads]  # LOAD_INT, LOAD_FRAC
        return PressureLine(averages[0], averages[1], averages[2], int(self.local[c, k.PSI + i]) // 1000)
