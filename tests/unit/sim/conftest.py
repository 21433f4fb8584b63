"""Small simulated nodes, and what must hold in every one at every moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from memqos.sim.kernels import control, psi, zones
from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES, Profile
from memqos.sim.spec import Costs, Disk, NodeSpec
from memqos.units import MIB

PAGE = 4096


def check_invariants(machine: Machine) -> None:
    """Every page on exactly one list; charges sum up the tree; no slot or shadow leaks."""
    m: Any = machine.m
    groups = int(m.g[k.NCG])
    listed: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    for lid in range(groups * k.LISTS):
        chunk, newer = m.ls[lid, k.TAIL], -1
        while chunk >= 0:
            for i in range(m.ch[chunk, k.LO], m.ch[chunk, k.HI]):
                page = m.pool[chunk * k.CHUNK + i]
                if page >= 0:
                    listed[int(page)] += 1
                    word = int(m.w[page])
                    assert word & k.PLACE == chunk * k.CHUNK + i
                    owner, number = (word & k.CG_MASK) >> k.CG_SHIFT, (word & k.LIST_MASK) >> k.LIST_SHIFT
                    number += k.OF_DMA if word & k.IN_DMA else 0
                    pages = int(m.aux[page]) if word < 0 else 1
                    listed.update(range(page + 1, page + pages))
                    assert [int(m.aux[page + i]) for i in range(1, pages)] == [-i for i in range(1, pages)]
                    assert all((m.w[page + i] & k.CG_MASK) >> k.CG_SHIFT == owner for i in range(pages))
                    sizes[owner * k.LISTS + number] += pages
            newer, chunk = chunk, m.ch[chunk, k.NEWER]
        assert m.ls[lid, k.HEAD] == newer
    for row in range(0, len(m.lb), k.LB_ROW):
        waiting = [int(entry) & (1 << 40) - 1 for entry in m.lb[row + 1 : row + 1 + m.lb[row]] if entry >= 0]
        assert all(m.w[page] & k.PLACE == k.PLACE for page in waiting)
        listed.update(waiting)
    resident = [page for page in range(len(m.w)) if m.w[page] & k.RES] if len(m.w) < 1 << 12 else _resident(m)
    assert sorted(listed) == sorted(resident)
    assert set(listed.values()) <= {1}
    assert all(int(m.ls[lid, k.SIZE]) == sizes[lid] for lid in range(groups * k.LISTS))
    owned = Counter(int((m.w[page] & k.CG_MASK) >> k.CG_SHIFT) for page in resident)
    usage = [owned[c] + int(m.cg[c, k.KERNEL_PAGES]) for c in range(groups)]
    ahead = [(int(m.g[k.STOCK_CG]), int(m.g[k.STOCK_N]))] if m.g[k.STOCK_N] else []
    for row in range(k.LB_STOCK, len(m.lb), k.LB_ROW):
        held = [(int(m.lb[at]) - 1, int(m.lb[at + 1])) for at in range(row, row + 14, 2)]
        ahead += [(c, pages) for c, pages in held if pages]
    for c, pages in ahead:
        assert 0 < pages <= 64
        usage[c] += pages
    slots = [int(entry) for entry in m.sw[1 : m.g[k.SW_TOTAL]] if entry & k.SW_USED]
    swap = Counter((entry >> k.SW_CG_SHIFT) & 0xFFF for entry in slots)
    swapped = [swap[c] for c in range(groups)]
    for c in range(groups - 1, 0, -1):
        usage[int(m.cg[c, k.PARENT])] += usage[c]
        swapped[int(m.cg[c, k.PARENT])] += swapped[c]
    assert [int(n) for n in m.cg[:groups, k.USAGE]] == usage
    assert [int(n) for n in m.cg[:groups, k.SWAP]] == swapped
    assert len(slots) == max(0, int(m.g[k.SW_TOTAL]) - 1) - int(m.g[k.SW_FREE])
    assert all(m.aux[entry & k.POS] for entry in slots)
    system = machine.spec.system // PAGE
    stock = sum(pages for _, pages in ahead)
    assert int(m.g[k.FREE]) == int(m.g[k.TOTAL]) - system - (usage[0] - stock)
    assert int(m.g[k.LOOSE]) == sum(map(int, m.lb[k.LB_LOOSE :: k.LB_ROW])) <= int(m.g[k.FREE])
    assert not any(entry < 0 for entry in m.lb[k.LB_LOOSE :: k.LB_ROW])
    _check_zone_dma(m, resident)
    _check_nodes(m)


def _check_zone_dma(m: Any, resident: list[int]) -> None:
    if not m.g[k.DMA_HELD] or not m.g[k.MGLRU]:
        assert m.g[k.DMA_FREE] == 0
        return
    taken = sum(int(m.aux[page]) if m.w[page] < 0 else 1 for page in resident if m.w[page] & k.IN_DMA)
    assert m.g[k.DMA_FREE] + taken == zones.MANAGED - zones.KERNEL - m.g[k.DMA_HELD]


def _resident(m: Any) -> list[int]:
    import numpy as np

    return [int(page) for page in np.flatnonzero(m.w & k.RES)]


def _check_nodes(m: Any) -> None:
    import numpy as np

    for o in range(int(m.g[k.NOBJ])):
        if m.obj[o, k.O_KIND] != k.FILE_OBJ or m.obj[o, k.O_PAGES] <= 1:
            continue
        base, pages_of_file = int(m.obj[o, k.O_BASE]), int(m.obj[o, k.O_PAGES])
        words = m.w[base : base + pages_of_file]
        places: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        for node in range(base >> 6, (base + pages_of_file + 63) >> 6):
            part = words[(node << 6) - base : ((node + 1) << 6) - base]
            pages, shadows = np.count_nonzero(part & k.RES), np.count_nonzero(part & k.SHADOW)
            if m.xn[node] == 0 and len(part) == 64 and 64 in (pages, shadows):
                places[int(m.g[k.XA2]) + (node >> 6)][int(pages == 0)] += 1  # of a large folio
                continue
            assert m.xn[node] & k.NODE_PAGES == pages
            assert m.xn[node] >> 8 == shadows
            if m.xn[node]:
                places[int(m.g[k.XA2]) + (node >> 6)][0] += 1
        if pages_of_file > 64:
            for above in range(
                int(m.g[k.XA2]) + (base >> 12), int(m.g[k.XA2]) + (base + pages_of_file + 4095 >> 12)
            ):
                assert [m.xn[above] & k.NODE_PAGES, m.xn[above] >> 8] == places[above]


def touch_row(region: int, pages: int, *, write: bool) -> dict[int, int]:
    row = {k.P_OP: k.OP_TOUCH, k.P_OBJ: region, k.P_COUNT: pages, k.P_CHUNK: pages}
    return row | {k.P_NS: 1000, k.P_WRITE: int(write)}


class Bench:
    """One cgroup tree on one node, and the few programs the tests run."""

    def __init__(
        self,
        kernel: str | Profile,
        memory: int = 64 * MIB,
        swap: int = 0,
        slower: int = 1,
        costs: Costs | None = None,
        **spec: Any,
    ) -> None:
        disk = Disk("vda", 200 * MIB, 200 * MIB)
        spec.setdefault("disks", (disk,))
        costs = costs or Costs().times(slower)
        profile = PROFILES[kernel] if isinstance(kernel, str) else kernel
        self.machine = Machine(profile, NodeSpec(memory=memory, swap=swap, **spec), costs)

    def group(self, path: str, **limits: int) -> int:
        row = self.machine.mkdir(path)
        for name, size in limits.items():
            self.machine.set_limit(path, getattr(k, name), size)
        return row

    def get(self, path: str, field: int) -> int:
        return int(self.machine.m.cg[self.machine.cgroup(path), field])

    def stalled(self, path: str, which: int = 0) -> float:
        """Seconds of pressure: memory some, memory full, io some, io full, cpu some, cpu full."""
        self.machine.order(control.LOOK, psi.AVGS)
        return self.get(path, k.PSI + which) / 1e9

    def read(self, path: str, file: int, passes: int = 1, first: int = 0, count: int | None = None) -> None:
        """Read a file (or `count` of its pages) `passes` times, to the end."""
        pages = int(self.machine.m.obj[file, k.O_PAGES]) - first if count is None else count
        for _ in range(passes):
            task = self.machine.task(path)
            row = {k.P_OP: k.OP_READ, k.P_OBJ: file, k.P_FIRST: first, k.P_COUNT: pages, k.P_CHUNK: 8}
            row[k.P_NS] = 2000
            self.machine.program(task, [row])
            self.machine.run_until_exit(task)

    def write(self, path: str, file: int, block: int = 256) -> None:
        """Write a whole file, so many pages at a time."""
        task = self.machine.task(path)
        pages = int(self.machine.m.obj[file, k.O_PAGES])
        row = {k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: pages, k.P_CHUNK: block, k.P_NS: 1000}
        self.machine.program(task, [row])
        self.machine.run_until_exit(task)

    def hog(self, path: str, size: int, passes: str = "w", adj: int = 0) -> int:
        """A process that touches its memory pass after pass ("w" writing, "r" reading), then holds it."""
        task = self.machine.task(path, adj)
        region = self.machine.region(task, size)
        pages = size // PAGE
        rows = [touch_row(region, pages, write=letter == "w") for letter in passes]
        self.machine.program(task, [*rows, {k.P_OP: k.OP_HOLD}])
        return task

    def settle(self, task: int, limit: float = 1000) -> None:
        """Run until a process holds or has died."""
        end = self.machine.now + int(limit * 1e9)
        while self.machine.m.task[task, k.T_STATE] not in (k.T_HOLD, k.T_DEAD):
            assert self.machine.now < end
            self.machine.advance(min(end, self.machine.now + 100_000_000))

    def check(self) -> None:
        check_invariants(self.machine)


@pytest.fixture(scope="session")
def check() -> Callable[[Machine], None]:
    return check_invariants


@pytest.fixture
def bench() -> Callable[..., Bench]:
    return Bench
