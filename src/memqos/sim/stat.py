"""What the simulated kernel's files say: its counters under the kernel's own names, in bytes.

mm/memcontrol.c (`memory_stats`), mm/vmstat.c. memory.stat is over the whole subtree, as the kernel's;
what is not modelled (slab other than xa_nodes, huge pages, NUMA) reads 0 or is left out.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

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
_MEMORY_EVENTS = ("low", "high", "max", "oom", "oom_kill", "oom_group_kill")
_SUMMED = np.r_[k.N_ANON : k.N_SHMEM + 1, k.PGFAULT : k.E_LOW, k.IO : k.IOMAX]


class Look:
    """The counters of every cgroup at one moment, each table made once, when it is first asked for."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.profile = machine.profile
        machine.order(control.LOOK, psi.AVGS)
        m: Any = machine.m
        self.count = int(m.g[k.NCG])
        self.local = m.cg[: self.count]
        self.disks = int(m.g[k.NDEV])

    def _summed(self, own: Any) -> Any:
        """Sum the rows of a table up the tree."""
        parents = self.local[:, k.PARENT].tolist()
        total = own.copy()
        for c in range(self.count - 1, 0, -1):  # a parent comes before its children
            total[parents[c]] += total[c]
        return total

    @cached_property
    def total(self) -> Any:
        """Each cgroup's row, with sizes, vm events and I/O over its subtree."""
        total = self.local.copy()
        total[:, _SUMMED] = self._summed(self.local[:, _SUMMED])
        return total

    @cached_property
    def lru(self) -> dict[str, Any]:
        """Sizes of the four lists of each subtree; with MGLRU the two youngest generations are active."""
        m: Any = self.machine.m
        lists = m.ls[: self.count * k.LISTS, k.SIZE].reshape(self.count, k.LISTS)
        sizes = lists[:, : k.OF_DMA] + lists[:, k.OF_DMA :]
        if self.profile.mglru:
            rows, newest = np.arange(self.count), self.local[:, k.MAX_SEQ]
            own = np.empty((self.count, 4), np.int64)
            for first in (0, 2):
                kind = sizes[:, 2 * first : 2 * first + 4]
                own[:, first + 1] = kind[rows, newest % 4] + kind[rows, (newest - 1) % 4]
                own[:, first] = kind.sum(1) - own[:, first + 1]
        else:
            own = sizes[:, :4]
        names = ("inactive_anon", "active_anon", "inactive_file", "active_file")
        return dict(zip(names, (self._summed(own) * PAGE).T, strict=True))

    @cached_property
    def _populated(self) -> list[int]:
        m: Any = self.machine.m
        task = m.task[: m.g[k.NTASK]]
        alive = task[(task[:, k.T_STATE] != k.T_DEAD) & (task[:, k.T_KIND] == 0), k.T_CG]
        return cast("list[int]", self._summed(np.bincount(alive, minlength=self.count)).tolist())

    def populated(self, c: int) -> bool:
        """Whether a task lives in a cgroup or below it."""
        return self._populated[c] > 0

    @cached_property
    def _memory_stat(self) -> list[Counters]:
        total = self.total.T
        nothing = np.zeros(self.count, np.int64)
        stat = {
            "anon": total[k.N_ANON] * PAGE,
            "file": total[k.N_FILE] * PAGE,
            "kernel": total[k.N_KERNEL_BYTES],
            "kernel_stack": nothing,
            "pagetables": total[k.N_PT] * PAGE,
            "shmem": nothing,
            "file_mapped": total[k.N_MAPPED] * PAGE,
            "file_dirty": total[k.N_DIRTY] * PAGE,
            "file_writeback": total[k.N_WB] * PAGE,
            "swapcached": total[k.N_SWAPCACHED] * PAGE,
            **self.lru,
            "unevictable": nothing,
            "slab_reclaimable": total[k.N_SLAB_BYTES],
            "slab_unreclaimable": nothing,
            "slab": total[k.N_SLAB_BYTES],
        }
        stat |= {name: total[column] for name, column in _EVENTS.items()}
        stat["pgscan"] = total[k.PGSCAN : k.PGSCAN + 3].sum(0)
        stat["pgsteal"] = total[k.PGSTEAL : k.PGSTEAL + 3].sum(0)
        if self.profile.proactive_stats:
            stat["pgscan_proactive"] = total[k.PGSCAN_PROACTIVE]
            stat["pgsteal_proactive"] = total[k.PGSTEAL_PROACTIVE]
            stat["pswpin"] = total[k.PSWPIN]
            stat["pswpout"] = total[k.PSWPOUT]
        else:
            stat["pgscan_direct"] = total[k.PGSCAN] + total[k.PGSCAN_PROACTIVE]
            stat["pgsteal_direct"] = total[k.PGSTEAL] + total[k.PGSTEAL_PROACTIVE]
        if self.profile.zeromap:
            stat["swpin_zero"] = total[k.SWPIN_ZERO]
            stat["swpout_zero"] = total[k.SWPOUT_ZERO]
        return _counters(tuple(stat), np.column_stack(list(stat.values())))

    def memory_stat(self, c: int) -> Counters:
        """`memory.stat` of one cgroup."""
        return self._memory_stat[c]

    @cached_property
    def _events(self) -> tuple[list[Counters], list[Counters]]:
        tree, local = (self.local[:, first : first + len(_MEMORY_EVENTS)] for first in (k.E_LOW, k.L_LOW))
        return _counters(_MEMORY_EVENTS, tree), _counters(_MEMORY_EVENTS, local)

    def memory_events(self, c: int, *, local: bool = False) -> Counters:
        """`memory.events`, or `memory.events.local`."""
        return self._events[local][c]

    @cached_property
    def _swap_events(self) -> list[Counters]:
        columns = [k.E_SWAP_HIGH, k.E_SWAP_MAX, k.E_SWAP_FAIL]
        return _counters(("high", "max", "fail"), self.local[:, columns])

    def swap_events(self, c: int) -> Counters:
        """`memory.swap.events`."""
        return self._swap_events[c]

    def device(self, d: int) -> str:
        """A disk's `major:minor`, as virtio-blk numbers them."""
        return f"254:{16 * d}"

    @cached_property
    def _io(self) -> tuple[Any, Any]:
        io, limits = (
            table[:, first : first + 4 * k.MAX_DEVICES].reshape(-1, k.MAX_DEVICES, 4).tolist()
            for table, first in ((self.total, k.IO), (self.local, k.IOMAX))
        )
        return io, limits

    def io_stat(self, c: int) -> dict[str, IoStat]:
        """`io.stat`: a line for every disk that was used."""
        lines = {}
        for d, (rbytes, wbytes, rios, wios) in enumerate(self._io[0][c][: self.disks]):
            if rios or wios:
                lines[self.device(d)] = IoStat(rbytes=rbytes, wbytes=wbytes, rios=rios, wios=wios)
        return lines

    def io_max(self, c: int) -> dict[str, IoMax]:
        """`io.max`: a line for every disk with a limit."""
        return {
            self.device(d): IoMax(*(n or UNLIMITED for n in limits))
            for d, limits in enumerate(self._io[1][c][: self.disks])
            if any(limits)
        }

    @cached_property
    def _pressure(self) -> list[list[PressureLine]]:
        loads = self.local[:, k.PSI_AVG : k.PSI_AVG + 18] * 100 // psi.FIXED / 100  # LOAD_INT, LOAD_FRAC
        totals = self.local[:, k.PSI : k.PSI + 6] // 1000
        return [
            [PressureLine(a, b, c, total) for (a, b, c), total in zip(averages, sums, strict=True)]
            for averages, sums in zip(loads.reshape(-1, 6, 3).tolist(), totals.tolist(), strict=True)
        ]

    def pressure(self, c: int, first: int) -> Pressure:
        """A `*.pressure` file: `first` is 0 for memory, 2 for io, 4 for cpu (whose full the root has not)."""
        some, full = self._pressure[c][first : first + 2]
        if first == 4 and c == 0:
            return Pressure(some, PressureLine(0.0, 0.0, 0.0, 0))
        return Pressure(some, full)


def _counters(names: tuple[str, ...], table: Any) -> list[Counters]:
    """A row of counters for each cgroup, their layout shared."""
    layout = {name: i for i, name in enumerate(names)}
    return [Counters(layout, tuple(row)) for row in table.tolist()]
