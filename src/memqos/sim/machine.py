"""The simulated node from outside: build it, make cgroups, files and tasks, let time pass, look.

`Machine` owns the arrays the compiled kernels work on and grows them when needed. Sizes here are
bytes and times seconds or nanoseconds where named so; the arrays hold pages and nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from memqos.errors import CgroupGone, ExperimentError
from memqos.sim.kernels import control, psi
from memqos.sim.kernels import layout as k
from memqos.sim.profiles import Profile
from memqos.sim.spec import Costs, NodeSpec
from memqos.units import UNLIMITED

PAGE = 4096
SECOND = 1_000_000_000


def _zeros(rows: int, columns: int = 0, dtype: Any = np.int64) -> Any:
    return np.zeros((rows, columns) if columns else rows, dtype)


class Machine:
    """One simulated node under one kernel profile."""

    def __init__(self, profile: Profile, spec: NodeSpec | None = None, costs: Costs | None = None) -> None:
        self.profile = profile
        self.spec = spec or NodeSpec()
        self.spec.check()
        self.costs = costs or Costs()
        self.pages = 0
        self.paths: dict[str, int] = {}
        self.inodes: dict[str, int] = {}
        self.disk_numbers = {disk.name: i for i, disk in enumerate(self.spec.disks)}
        self._next_inode = 1
        self._programs: dict[int, tuple[int, int]] = {}
        self._table_end = 0
        self._allocate()
        self.clock = np.zeros(self.spec.cpus, np.int64)
        self._add_row("", -1)
        self.kswapd = self._kernel_task(k.KSWAPD_TASK, k.T_HOLD)
        self.flusher = self._kernel_task(k.FLUSHER_TASK, k.T_SLEEP)

    def _allocate(self) -> None:
        spec, profile, costs = self.spec, self.profile, self.costs
        total = spec.memory // PAGE
        slots = spec.swap // PAGE
        groups = 16
        chunks = total * 5 // 4 // k.CHUNK + groups * k.LISTS * 2 + 64
        m = k.Mem(
            g=_zeros(k.G_SIZE), cg=_zeros(groups, k.CG_COLS), w=_zeros(1), aux=_zeros(1, dtype=np.int32),
            pool=_zeros((chunks + 1) * k.CHUNK, dtype=np.int32), ch=_zeros(chunks, k.CH_COLS, np.int32),
            ls=_zeros(groups * k.LISTS, k.LS_COLS), xa=_zeros(1, k.XA_COLS, np.int32),
            xn=_zeros(1, dtype=np.int16),
            sw=_zeros(max(1, slots)),
            blk=_zeros(1, k.BLK_COLS, np.int32), obj=_zeros(16, k.OBJ_COLS), task=_zeros(16, k.TASK_COLS),
            prog=_zeros(16, k.PROG_COLS), dev=_zeros(len(spec.disks), k.DEV_COLS),
            q=_zeros(len(spec.disks) * k.Q_CAP, k.Q_COLS), held=_zeros(k.H_CAP, k.H_COLS),
            ps=_zeros(spec.cpus, k.PS_COLS),
            tr=_zeros(k.TR_CAP, k.TR_COLS), ev=_zeros(k.EV_CAP, k.EV_COLS),
            tab=_zeros(1, dtype=np.int32), lat=_zeros(1),
        )  # fmt: skip
        self.m = m
        ls: Any = m.ls
        dev: Any = m.dev
        ls[:, :2] = -1
        self._string_chunks(0, chunks, -1)
        if len(spec.disks) > k.MAX_DEVICES:
            raise ExperimentError(
                f"{len(spec.disks)} disks", field="disks", remedy=f"at most {k.MAX_DEVICES}"
            )
        for i, disk in enumerate(spec.disks):
            row = (disk.read_bps, disk.write_bps, disk.read_iops, disk.write_iops)
            dev[i, : k.D_RLAT] = row
            m.dev[i, k.D_RLAT] = disk.read_latency_us * 1000
            m.dev[i, k.D_WLAT] = disk.write_latency_us * 1000
        low = math.isqrt(16 * (spec.memory >> 10))
        kib = min(max(low, 128), 262144)
        if spec.thp:
            kib = min(max(kib, 4 * (512 * 2 + 512 * 9)), (spec.memory >> 10) // 20)
        wmark = kib // 4
        distance = max(wmark // 4, total * 10 // 10000)
        settings = {
            k.NCPU: spec.cpus, k.TOTAL: total, k.FREE: total - spec.system // PAGE,
            k.WMARK_MIN: wmark, k.WMARK_LOW: wmark + distance, k.WMARK_HIGH: wmark + 2 * distance,
            k.TOTALRESERVE: wmark + 2 * distance, k.SWAPPINESS: spec.swappiness,
            k.RECURSIVEPROT: int(spec.recursiveprot), k.RA_PAGES: spec.read_ahead // PAGE,
            k.PAGE_CLUSTER: spec.page_cluster, k.SW_TOTAL: slots, k.SW_FREE: max(0, slots - 1),
            k.SWAP_DEV: self.disk_numbers.get(spec.swap_disk, 0), k.NDEV: len(spec.disks),
            k.RSTAT_LAG: 64 * spec.cpus, k.STOCK_CG: -1, k.SWRA_HITS: 4, k.CUR: -1,
            k.RNG: spec.seed * 2654435761 % 0xFFFFFFFF or 1,
            k.DIRTY_RATIO: spec.dirty_ratio, k.BG_RATIO: spec.dirty_background_ratio,
            k.NEXT_PSI: psi.PERIOD, k.MGLRU: int(profile.mglru), k.PARTIAL_WALK: int(profile.partial_walk),
            k.COST_612: int(profile.cost_counts_scanned), k.ZEROMAP: int(profile.zeromap),
            k.SHADOW_SLAB_ONLY: int(profile.shadow_cap_from_slab and profile.mglru),
            k.MGLRU_72: int(profile.mglru_reworked and profile.mglru), k.RA_61: int(profile.readahead_merged),
            k.FOLIO: min(512, spec.read_ahead // PAGE or 1) if profile.large_folios else 1,
            k.RECLAIM_QUARTER: int(profile.reclaim_by_quarters),
            k.NS_FAULT: costs.fault, k.NS_SCAN: costs.scan, k.NS_STEAL: costs.steal,
            k.NS_READ_MISS: costs.read_miss, k.NS_COPY: costs.copy, k.NS_SYSCALL: costs.syscall,
            k.THROTTLE_SWAP: int(profile.throttles_swap_writes), k.QUANTUM: costs.quantum,
        }  # fmt: skip
        for index, value in settings.items():
            m.g[index] = value
        if slots:
            m.sw[0] = k.SW_USED  # the header page of a swap area
            m.g[k.SW_NEXT] = 1

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
            new = np.zeros((max(rows, 2 * len(old)), *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            self._replace(**{name: new})

    # -- cgroups

    def _add_row(self, path: str, parent: int) -> int:
        c = self.m.g[k.NCG]
        if c >= k.MAX_CGROUPS:
            raise ExperimentError(f"more than {k.MAX_CGROUPS} cgroups in one simulation")
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
        row = self.m.cg
        m = self.m
        for field in (k.FIRST_CHILD, k.LAST_CHILD, k.NEXT, k.ITER, k.NODES_HEAD, k.NODES_TAIL):
            row[c, field] = -1
        for field in (k.HIGH, k.MAX, k.SWAP_MAX):
            row[c, field] = k.UNLIMITED_PAGES
        row[c, k.PARENT] = parent
        row[c, k.ONLINE] = 1
        row[c, k.MAX_SEQ] = 3
        if parent >= 0:
            if row[parent, k.LAST_CHILD] >= 0:
                row[row[parent, k.LAST_CHILD], k.NEXT] = c
            else:
                row[parent, k.FIRST_CHILD] = c
            row[parent, k.LAST_CHILD] = c
        for cpu in range(self.spec.cpus):
            m.ps[c * self.spec.cpus + cpu, k.S_LAST] = m.g[k.NOW]
        m.g[k.NCG] = c + 1
        self.paths[path] = c
        self.inodes[path] = self._next_inode
        self._next_inode += 1
        return c

    def mkdir(self, path: str) -> int:
        """Create a cgroup and the ancestors it lacks; return its row (also of an existing one)."""
        if path in self.paths:
            return self.paths[path]
        above = path.rpartition("/")[0]
        return self._add_row(path, self.mkdir(above) if above else 0)

    def cgroup(self, path: str) -> int:
        """The row of a cgroup; raises `CgroupGone`."""
        if path not in self.paths:
            raise CgroupGone("no such cgroup", cgroup=path)
        return self.paths[path]

    def subtree(self, path: str) -> list[int]:
        """The rows of a cgroup and all below it."""
        return [
            c for name, c in self.paths.items() if name == path or name.startswith(f"{path}/") or not path
        ]

    def populated(self, c: int) -> bool:
        """Whether a task lives in this very cgroup."""
        task: Any = self.m.task
        rows = task[: self.m.g[k.NTASK]]
        return bool(
            ((rows[:, k.T_CG] == c) & (rows[:, k.T_STATE] != k.T_DEAD) & (rows[:, k.T_KIND] == 0)).any()
        )

    def rmdir(self, path: str) -> None:
        """Remove a cgroup without tasks; what it still holds stays charged to it inside its parent."""
        c = self.cgroup(path)
        self.m.cg[c, k.ONLINE] = 0
        for field in (k.MIN, k.LOW):
            self.m.cg[c, field] = 0
        self.order(control.PROPAGATE, c)
        del self.paths[path], self.inodes[path]

    def set_limit(self, path: str, field: int, size: int) -> None:
        """Set min, low, high, max or swap.max (a `layout` column), in bytes, as the kernel does."""
        c = self.cgroup(path)
        m = self.m
        pages = k.UNLIMITED_PAGES if size >= UNLIMITED else size // PAGE
        m.cg[c, field] = pages
        if field in (k.MIN, k.LOW):
            m.cg[c, k.PROTECTED] = 1
            self.order(control.PROPAGATE, c)
        if field in (k.HIGH, k.MAX):
            self.order(control.SHRINK_TO, c, field)

    def order(self, what: int, a: int = 0, b: int = 0, c: int = 0) -> int:
        """Have the compiled kernels do something (`kernels.control`)."""
        return int(control.order(self.m, self.clock, what, int(a), int(b), int(c), 0))

    def reclaim(self, path: str, size: int, swappiness: int = -1) -> bool:
        """memory.reclaim; False is the kernel's EAGAIN."""
        pages = size // PAGE
        return self.order(control.RECLAIM, self.cgroup(path), pages, swappiness) >= pages

    # -- files and memory

    def _add_object(self, kind: int, size: int, align: int) -> int:
        pages = -(-size // PAGE)
        base = -(-self.pages // align) * align
        self.pages = base + -(-pages // 512) * 512
        if self.pages >= 1 << 31:
            raise ExperimentError("more than 8 TiB of files and memory", remedy="make the scenario smaller")
        self._room(self.pages)
        o = self.m.g[k.NOBJ]
        self._more_rows("obj", o + 1)
        m = self.m
        m.obj[o, k.O_KIND] = kind
        m.obj[o, k.O_BASE] = base
        m.obj[o, k.O_PAGES] = pages
        m.obj[o, k.O_TASK] = -1
        m.obj[o, k.O_MAPCG] = -1
        blk: Any = m.blk
        blk[base >> 9 : self.pages >> 9, k.B_OBJ] = o
        m.g[k.NOBJ] = o + 1
        return o

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
        self._replace(xa=xa, xn=xn)
        self.m.g[k.XA2] = leaves
        self.m.g[k.XA3] = leaves + middle

    def file(self, size: int, disk: str = "") -> int:
        """Create a file of so many bytes on a disk (the first by default); return its object number."""
        o = self._add_object(k.FILE_OBJ, size, 512 if size <= 64 * PAGE else 4096)
        self.m.obj[o, k.O_DEV] = self.disk_numbers[disk] if disk else 0
        return o

    def pages_of(self, o: int) -> int:
        """How many pages a file or region has."""
        return int(self.m.obj[o, k.O_PAGES])

    def free_object(self, o: int) -> None:
        """Drop all pages of a file or region, shadows and dirty ones too."""
        self.order(control.FREE_OBJECT, o)

    def region(self, task: int, size: int, *, zero: bool = False) -> int:
        """Map anonymous memory into a task; nothing is charged until it is touched."""
        o = self._add_object(k.ANON_OBJ, size, 512)
        self.m.obj[o, k.O_TASK] = task
        self.m.obj[o, k.O_MAPCG] = self.m.task[task, k.T_CG]
        self.m.obj[o, k.O_ZERO] = int(zero)
        return o

    def table(self, size: int) -> int:
        """Set aside `size` places of `tab` (pages to touch) and of `lat`; return the first."""
        first = self._table_end
        self._table_end += size
        self._more_rows("tab", self._table_end)
        self._more_rows("lat", self._table_end)
        return first

    def drop_caches(self) -> None:
        """`echo 1 > /proc/sys/vm/drop_caches`: clean, unmapped page cache goes."""
        for o in range(self.m.g[k.NOBJ]):
            if self.m.obj[o, k.O_KIND] == k.FILE_OBJ:
                self.order(control.FREE_OBJECT, o, 1)

    # -- tasks and time

    def _new_task(self, c: int, kind: int, state: int) -> int:
        t = self.m.g[k.NTASK]
        self._more_rows("task", t + 1)
        m = self.m
        row = {
            k.T_KIND: kind, k.T_CG: c, k.T_READY: m.g[k.NOW], k.T_STARTED: m.g[k.NOW], k.T_K: -1,
            k.T_PREV: -10, k.T_CPU: t % self.spec.cpus, k.T_POSTED: m.g[k.NOW],
            k.T_STATE: k.T_SLEEP, k.T_WAKE: m.g[k.NOW],
        }  # fmt: skip
        for field, value in row.items():
            m.task[t, field] = value
        m.g[k.NTASK] = t + 1
        if kind:
            m.task[t, k.T_STATE] = state
        return t

    def _kernel_task(self, kind: int, state: int) -> int:
        t = self._new_task(0, kind, state)
        self.m.task[t, k.T_WAKE] = 5 * SECOND
        return t

    def task(self, path: str, oom_score_adj: int = 0) -> int:
        """Create a process in a cgroup; it does nothing until it is given a program."""
        t = self._new_task(self.cgroup(path), k.PROCESS, k.T_SLEEP)
        self.m.task[t, k.T_ADJ] = oom_score_adj
        self.m.task[t, k.T_STATE] = k.T_HOLD
        return t

    def program(self, task: int, rows: Sequence[Mapping[int, int]]) -> None:
        """Give a task what to do, from now: the `layout` P_ columns of each operation; then it exits 0."""
        first, room = self._programs.get(task, (0, 0))
        if room <= len(rows):
            first, room = int(self.m.g[k.NPROG]), len(rows) + 8
            self._programs[task] = (first, room)
            self._more_rows("prog", first + room)
            self.m.g[k.NPROG] = first + room
        prog: Any = self.m.prog
        prog[first : first + room] = 0
        for i, row in enumerate(rows):
            for column, value in row.items():
                prog[first + i, column] = value
            if row[k.P_OP] == k.OP_LOOP:
                prog[first + i, k.P_OBJ] += first
            if row[k.P_OP] == k.OP_READ and not row.get(k.P_WRAP):
                prog[first + i, k.P_WRAP] = self.m.obj[row[k.P_OBJ], k.O_PAGES]
        prog[first + len(rows), k.P_OP] = k.OP_EXIT
        self.order(control.START, task, first - 1)

    def kill(self, task: int, code: int = 137) -> None:
        """SIGKILL from outside."""
        if self.m.task[task, k.T_STATE] != k.T_DEAD:
            self.m.task[task, k.T_EXIT] = code
            self.order(control.FINISH, task)

    def trace(self, path: str, file: int, pages: Any) -> int:
        """Read single pages of a file, in the order an array of page numbers names them; return the misses.

        No time passes and no disk is asked (`kernels.trace`). Raises `CgroupGone`, `ExperimentError` for a
        page the file does not have or that the cgroup's limits leave no room for.
        """
        c = self.cgroup(path)
        wanted = np.ascontiguousarray(pages, np.int32)
        if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.pages_of(file):
            raise ExperimentError(
                f"a trace beyond the {self.pages_of(file)} pages of its file", field="pages"
            )
        own = self.m.tab
        self._replace(tab=wanted)
        try:
            misses = self.order(control.TRACE, c, file, len(wanted))
        finally:
            self._replace(tab=own)
        if misses < 0:
            raise ExperimentError(f"access {-1 - misses} of the trace: no room for a page in {path!r}")
        return misses

    @property
    def now(self) -> int:
        """Nanoseconds since the node started."""
        return int(self.m.g[k.NOW])

    def advance(self, until: int) -> list[tuple[int, int, int, int]]:
        """Let time pass until `until` (ns) or an event; return events (time, kind, task, cgroup)."""
        self.order(control.ADVANCE, until)
        return self.events()

    def run(self, until: int) -> list[tuple[int, int, int, int]]:
        """Let time pass until `until`, collecting events."""
        happened: list[tuple[int, int, int, int]] = []
        while self.now < until:
            happened += self.advance(until)
        return happened

    def run_until_exit(self, *tasks: int, limit: float = 1e5) -> list[tuple[int, int, int, int]]:
        """Let time pass until all these tasks have ended; raises `ExperimentError` after `limit` seconds."""
        happened: list[tuple[int, int, int, int]] = []
        end = self.now + int(limit * SECOND)
        while any(self.m.task[t, k.T_STATE] != k.T_DEAD for t in tasks):
            if self.now >= end:
                raise ExperimentError(f"tasks still run after {limit:g} simulated seconds")
            happened += self.advance(end)
        return happened

    def events(self) -> list[tuple[int, int, int, int]]:
        """Take what happened since the last call."""
        m = self.m
        taken = []
        while m.g[k.EV_TAIL] != m.g[k.EV_HEAD]:
            row = m.g[k.EV_TAIL] % k.EV_CAP
            taken.append((int(m.ev[row, 0]), int(m.ev[row, 1]), int(m.ev[row, 2]), int(m.ev[row, 3])))
            m.g[k.EV_TAIL] += 1
        return taken

    def compact(self) -> None:
        """Close the gaps in all LRU lists (only of use to tests)."""
        self.order(control.COMPACT)
