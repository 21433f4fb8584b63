"""The simulated node from outside: build it, make cgroups, files and tasks, let time pass, look.

Sizes here are bytes and times seconds or nanoseconds where named so; the arrays hold pages and nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memqos.errors import CgroupGone, ExperimentError
from memqos.model.plan import Bandwidth
from memqos.sim import traces
from memqos.sim.arrays import PAGE, SECOND
from memqos.sim.kernels import control
from memqos.sim.kernels import layout as k
from memqos.sim.objects import Objects
from memqos.sim.profiles import Profile
from memqos.sim.spec import Costs, NodeSpec
from memqos.units import UNLIMITED

__all__ = ["PAGE", "SECOND", "Machine"]


class Machine(Objects):
    """One simulated node under one kernel profile."""

    def __init__(self, profile: Profile, spec: NodeSpec | None = None, costs: Costs | None = None) -> None:
        super().__init__(profile, spec or NodeSpec(), costs or Costs())
        self.paths: dict[str, int] = {}
        self.inodes: dict[str, int] = {}
        self._next_inode = 1
        self._programs: dict[int, tuple[int, int]] = {}
        self._add_row("", -1)
        self.kswapd = self._kernel_task(k.KSWAPD_TASK, k.T_HOLD)
        self.flusher = self._kernel_task(k.FLUSHER_TASK, k.T_SLEEP)

    # -- cgroups

    def _add_row(self, path: str, parent: int) -> int:
        c = self.m.g[k.NCG]
        if c >= k.MAX_CGROUPS:
            raise ExperimentError(f"more than {k.MAX_CGROUPS} cgroups in one simulation")
        self._room_for_cgroup(c)
        row = self.m.cg
        m = self.m
        for field in (k.FIRST_CHILD, k.LAST_CHILD, k.NEXT, k.ITER, k.NODES_HEAD, k.NODES_TAIL):
            row[c, field] = -1
        for field in (k.HIGH, k.MAX, k.SWAP_HIGH, k.SWAP_MAX):
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
        self.order(control.MADE, c)
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

    def rmdir(self, path: str) -> None:
        """Remove a cgroup without tasks; what it holds goes to its parent, or (before 7.2) stays its own."""
        c = self.cgroup(path)
        self.m.cg[c, k.ONLINE] = 0
        for field in (k.MIN, k.LOW):
            self.m.cg[c, field] = 0
        self.order(control.PROPAGATE, c)
        self.order(control.REMOVED, c)
        if self.profile.reparents:
            self.order(control.REPARENT, c)
        del self.paths[path], self.inodes[path]

    def set_limit(self, path: str, field: int, size: int) -> None:
        """Set min, low, high, max or swap.max (a `layout` column), in bytes, as the kernel does.

        The writer reclaims what is above a new high or max.
        """
        c = self.cgroup(path)
        m = self.m
        pages = k.UNLIMITED_PAGES if size >= UNLIMITED else size // PAGE
        m.cg[c, field] = pages
        if field in (k.MIN, k.LOW):
            m.cg[c, k.PROTECTED] = 1
            self.order(control.PROPAGATE, c)
        if field in (k.HIGH, k.MAX):
            self.order(control.SHRINK_TO, c, field)

    def set_bandwidth(self, path: str, limit: Bandwidth) -> None:
        """Set cpu.max."""
        row, m = self.cgroup(path), self.m
        quota = 0 if limit.quota >= UNLIMITED else limit.quota * 1000
        m.cg[row, k.CPU_QUOTA], m.cg[row, k.CPU_PERIOD] = quota, limit.period * 1000
        m.cg[row, k.CPU_SINCE], m.cg[row, k.CPU_USED] = m.g[k.NOW], 0
        m.g[k.CPU_LIMITED] |= quota

    def reclaim(self, path: str, size: int, swappiness: int = -1) -> bool:
        """memory.reclaim; False is the kernel's EAGAIN."""
        pages = size // PAGE
        return self.order(control.RECLAIM, self.cgroup(path), pages, swappiness) >= pages

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

        As `traces` of one.
        """
        return self.traces([(path, file, pages)])[0]

    def traces(self, readers: Sequence[tuple[str, int, Any]], turn: int = 1024) -> list[int]:
        """Several cgroups (path, file, page numbers) read single pages, `turn` at a time; return the misses.

        No time passes and no disk is asked (`kernels.trace`). Raises `CgroupGone`, `ExperimentError` for a
        page the file does not have or that the cgroup's limits leave no room for.
        """
        return traces.read(self, readers, turn)

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
