"""The arrays the compiled kernels work on: made for a node of a given size, grown when needed.

`kernels.mem` names the arrays, `kernels.layout` says which number lies where; `spec` and `profiles` say what
the settings of a node mean.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from memqos.sim.kernels import layout as k
from memqos.sim.kernels import psi, zones
from memqos.sim.kernels.disk import MOST
from memqos.sim.kernels.mem import Mem
from memqos.sim.kernels.slots import CELLS, CLUSTER
from memqos.sim.marks import marks_of
from memqos.sim.profiles import Profile
from memqos.sim.spec import Costs, NodeSpec
from memqos.sim.zeros import zeros

PAGE = 4096
SECOND = 1_000_000_000
LARGEST_FOLIO = 512  # pages: ext4's mapping_max_folio_order with blocks of 4 KiB
PAGEVEC = 31  # PAGEVEC_SIZE
_SALT = 7919  # makes what a disk's requests take by chance another for each seed
_TIMER = 764_321_000  # ns: how much sooner statistics are flushed first with each further seed


def _first_flush(seed: int) -> int:
    """When statistics are flushed first: a kernel has been up for some time when the first pod starts."""
    return psi.PERIOD - (seed - 1) * _TIMER % psi.PERIOD


def _zeros(rows: int, columns: int = 0, dtype: Any = np.int64) -> Any:
    return zeros((rows, columns) if columns else rows, dtype)


class Arrays:
    """All state of one simulated node, in `m`, and the CPUs' clocks."""

    def __init__(self, profile: Profile, spec: NodeSpec, costs: Costs) -> None:
        spec.check()
        self.profile, self.spec, self.costs = profile, spec, costs
        self.disk_numbers = {disk.name: i for i, disk in enumerate(spec.disks)}
        self._allocate()
        self.clock = np.zeros(spec.cpus, np.int64)

    def _allocate(self) -> None:
        spec, profile, costs = self.spec, self.profile, self.costs
        total = spec.memory // PAGE
        slots = spec.swap // PAGE
        groups = 16
        chunks = total * 5 // 4 // k.CHUNK + groups * k.LISTS * 2 + 64
        m = Mem(
            g=_zeros(k.G_SIZE), cg=_zeros(groups, k.CG_COLS), w=_zeros(1), aux=_zeros(1, dtype=np.int32),
            pool=_zeros((chunks + 1) * k.CHUNK, dtype=np.int32), ch=_zeros(chunks, k.CH_COLS, np.int32),
            ls=_zeros(groups * k.LISTS, k.LS_COLS), xa=_zeros(1, k.XA_COLS, np.int32),
            xn=_zeros(1, dtype=np.int16),
            sw=_zeros(max(1, slots) + CELLS * (slots // CLUSTER + 1)),
            blk=_zeros(1, k.BLK_COLS, np.int32), obj=_zeros(16, k.OBJ_COLS), task=_zeros(16, k.TASK_COLS),
            prog=_zeros(16, k.PROG_COLS), dev=_zeros(len(spec.disks), k.DEV_COLS),
            q=_zeros(3 * len(spec.disks) * k.Q_CAP, k.Q_COLS), held=_zeros(k.H_CAP, k.H_COLS),
            ps=_zeros(spec.cpus, k.PS_COLS),
            tr=_zeros(k.TR_CAP, k.TR_COLS), ev=_zeros(k.EV_CAP, k.EV_COLS),
            tab=_zeros(1, dtype=np.int32), lat=_zeros(1), pad=_zeros(k.PAD_SIZE),
            lb=_zeros(spec.cpus * k.LB_ROW),
        )  # fmt: skip
        self.m = m
        ls: Any = m.ls
        dev: Any = m.dev
        ls[:, :2] = -1
        self._string_chunks(0, chunks, -1)
        for i, disk in enumerate(spec.disks):
            row = (disk.read_bps, disk.write_bps, disk.read_iops, disk.write_iops)
            dev[i, : k.D_RLAT] = row
            m.dev[i, k.D_RLAT] = disk.read_latency_us * 1000
            m.dev[i, k.D_WLAT] = disk.write_latency_us * 1000
            m.dev[i, k.D_SPREAD] = disk.spread_us * 1000
            m.dev[i, k.D_BURST] = disk.burst_us * 1000
            m.dev[i, k.D_UNDER_WAY] = disk.under_way
            m.dev[i, k.D_MOST] = MOST
            m.dev[i, k.D_SALT] = (spec.seed - 1) * _SALT
        marks = marks_of(spec)
        held = marks.held
        settings = {
            k.NCPU: spec.cpus, k.TOTAL: total, k.FREE: total - spec.system // PAGE,
            k.WMARK_MIN: held + marks.least, k.WMARK_LOW: held + marks.low,
            k.WMARK_HIGH: held + marks.high, k.TOTALRESERVE: held + marks.high,
            k.PCP_BATCH: marks.batch, k.PCP_HIGH: marks.most, k.PCP_SCALES: int(profile.pcp_scales),
            k.NEAR: held + marks.high + spec.cpus * marks.most,
            k.DMA_HELD: held, k.SWAPPINESS: spec.swappiness,
            k.RECURSIVEPROT: int(spec.recursiveprot), k.RA_PAGES: spec.read_ahead // PAGE,
            k.PAGE_CLUSTER: spec.page_cluster, k.SW_TOTAL: slots, k.SW_FREE: max(0, slots - 1),
            k.SWAP_DEV: self.disk_numbers.get(spec.swap_disk, 0), k.NDEV: len(spec.disks),
            k.RSTAT_LAG: 64 * spec.cpus, k.STOCK_CG: -1, k.SWRA_HITS: 4, k.CUR: -1,
            k.SWAP_ROTATES: int(spec.swap_rotates),
            k.RNG: spec.seed * 2654435761 % 0xFFFFFFFF or 1,
            k.DIRTY_RATIO: spec.dirty_ratio, k.BG_RATIO: spec.dirty_background_ratio,
            k.NEXT_PSI: psi.PERIOD, k.NEXT_FLUSH: _first_flush(spec.seed),
            k.MGLRU: int(profile.mglru), k.PARTIAL_WALK: int(profile.partial_walk),
            k.COST_612: int(profile.cost_counts_scanned), k.ZEROMAP: int(profile.zeromap),
            k.SHADOW_SLAB_ONLY: int(profile.shadow_cap_from_slab and profile.mglru),
            k.MGLRU_72: int(profile.mglru_reworked and profile.mglru), k.RA_61: int(profile.readahead_merged),
            k.READ_AROUND_HITS: ("mapped", "new", "faulted").index(profile.read_around_hits),
            k.FOLIO: LARGEST_FOLIO if profile.large_folios else 1,
            k.LRU_BATCH: PAGEVEC if profile.lru_batch_counts and profile.mglru else 0,
            k.STOCK_SLOTS: profile.stock_slots,
            k.RECLAIM_QUARTER: int(profile.reclaim_by_quarters),
            k.NS_FAULT: costs.fault, k.NS_SCAN: costs.scan, k.NS_STEAL: costs.steal,
            k.NS_SWAP_OUT: costs.swap_out, k.NS_ROUND: costs.round, k.NS_REQUEST: costs.request,
            k.NS_READ_MISS: costs.read_miss, k.NS_EXIT: costs.exit,
            k.NS_WRITEBACK: costs.writeback,
            k.PASSES_DYING: int(profile.oom_passes_dying),
            k.NS_COPY: costs.copy, k.NS_SYSCALL: costs.syscall, k.STALE_STATS: int(profile.stale_stats),
            k.STALE_LISTS: int(profile.stale_lists and not profile.mglru),
            k.PLUG_FIFO: int(profile.plug_is_a_queue), k.SW_HOLES_FIRST: int(profile.swap_fills_holes),
            k.SW_KEPT: int(profile.swap_keeps_written),
            k.THROTTLE_SWAP: int(profile.throttles_swap_writes), k.QUANTUM: costs.quantum,
        }  # fmt: skip
        for index, value in settings.items():
            m.g[index] = value
        if held and profile.mglru:
            m.g[k.DMA_FREE] = zones.MANAGED - zones.KERNEL - held
        if slots:
            m.sw[0] = k.SW_USED  # the header page of a swap area
            m.g[k.SW_NEXT] = m.g[k.SW_FRESH] = 1

    def _string_chunks(self, first: int, end: int, last: int) -> None:
        """Put chunks on the free list, lowest first."""
        newer = np.arange(first + 1, end + 1, dtype=np.int32)
        newer[-1] = last
        ch: Any = self.m.ch
        ch[first:end, k.NEWER] = newer
        self.m.g[k.CHUNK_FREE] = first

    def _replace(self, **arrays: Any) -> None:
        self.m = self.m._replace(**arrays)

    def _more_rows(self, name: str, rows: int) -> None:
        """Make a table at least so long."""
        old: Any = getattr(self.m, name)
        if len(old) < rows:
            new = zeros((max(rows, 2 * len(old)), *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            self._replace(**{name: new})

    def _room_for_cgroup(self, c: int) -> None:
        """Have rows, lists and list chunks for cgroup number `c`."""
        if c >= len(self.m.cg):
            self._more_rows("cg", c + 1)
            first = len(self.m.ls)
            self._more_rows("ls", len(self.m.cg) * k.LISTS)
            ls: Any = self.m.ls
            ls[first:, :2] = -1
            chunks = len(self.m.ch)
            more = (len(self.m.ls) - first) * 2
            free_list = self.m.g[k.CHUNK_FREE]
            self._more_rows("ch", chunks + more)
            more = len(self.m.ch) - chunks
            self._more_rows("pool", (chunks + more + 1) * k.CHUNK)
            self._string_chunks(chunks, chunks + more, free_list)
        self._more_rows("ps", (c + 1) * self.spec.cpus)

    def _room(self, pages: int) -> None:
        """Have words for so many pages (twice as many at a time; untouched ones take no real memory)."""
        if len(self.m.w) >= pages:
            return
        size = max(1 << 18, 2 * pages)
        size = -(-size // (1 << 18)) * (1 << 18)
        old = self.m
        self._more_rows("w", size)
        self._more_rows("aux", len(self.m.w))
        self._more_rows("blk", (len(self.m.w) >> 9) + 1)
        size = len(self.m.w)
        leaves, middle = (size >> 6) + 1, (size >> 12) + 1
        nodes = leaves + middle + (size >> 18) + 2
        xa, xn = _zeros(nodes, k.XA_COLS, np.int32), _zeros(nodes, dtype=np.int16)
        if old.g[k.XA2]:
            a, b = old.g[k.XA2], old.g[k.XA3]
            for new, before in ((xa, cast(Any, old.xa)), (xn, cast(Any, old.xn))):
                new[:a] = before[:a]
                new[leaves : leaves + b - a] = before[a:b]
                new[leaves + middle : leaves + middle + len(before) - b] = before[b:]
            self._move_links(xa, a, leaves - a)
        self._replace(xa=xa, xn=xn)
        self.m.g[k.XA2] = leaves
        self.m.g[k.XA3] = leaves + middle
        self.m.g[k.XA_END] = nodes

    def _move_links(self, xa: Any, first: int, distance: int) -> None:
        """Upper nodes of trees lie elsewhere now: what names one, plus one, among those that may be freed."""
        cg: Any = self.m.cg
        for column in (xa[:, k.X_NEXT], xa[:, k.X_PREV]):
            column[column > first] += distance
        for column in (cg[:, k.NODES_HEAD], cg[:, k.NODES_TAIL]):
            column[column >= first] += distance
