"""The arrays that all state of one simulated node lies in; `layout` says which number lies where."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from memqos.sim.kernels import layout as k


class Row(Protocol):
    """A one-dimensional array of integers."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...
    def __len__(self) -> int: ...


class Table(Protocol):
    """A two-dimensional array of integers."""

    def __getitem__(self, index: tuple[int, int], /) -> int: ...
    def __setitem__(self, index: tuple[int, int], value: int, /) -> None: ...
    def __len__(self) -> int: ...


class Mem(NamedTuple):
    """All state of one simulated node."""

    g: Row  # int64: scalars of the node, the profile and the running reclaim
    cg: Table  # int64: one row per memory cgroup, 0 is the root
    w: Row  # int64: page words
    aux: Row  # int32: swap slot + 1 of an anonymous page; place in a large folio; who has mapped it
    pool: Row  # int32: entries of the LRU lists
    ch: Table  # int32: chunks of the pool
    ls: Table  # int64: LRU lists, 16 per cgroup: 8 of all zones but DMA, 8 of that
    xa: Table  # int32: page-cache tree nodes (struct xa_node), 64 pages each
    xn: Row  # int16: and how many pages and shadows each holds
    sw: Row  # int64: swap slots
    blk: Table  # int32: 512-page blocks (one page table each)
    obj: Table  # int64: files and anonymous regions
    task: Table  # int64: processes
    prog: Table  # int64: what they do
    dev: Table  # int64: disks
    q: Table  # int64: requests to disks, three rings each
    held: Table  # int64: requests that io.max holds back, a heap
    ps: Table  # int64: pressure of one cgroup on one CPU, row `cgroup * NCPU + cpu`
    tr: Table  # int64: changes of tasks' states that pressure has not seen yet, by time
    ev: Table  # int64: what happened, for the host to read
    tab: Row  # int32: which pages a program touches, drawn by the host
    lat: Row  # int64: latencies of requests, nanoseconds
    pad: Row  # int64: scratch of a loop over `tab` (`reading`)
    lb: Row  # int64: what each CPU has at hand (`lru_batch`, `stock`)


COLUMNS = {
    "cg": k.CG_COLS, "ch": k.CH_COLS, "ls": k.LS_COLS, "xa": k.XA_COLS, "blk": k.BLK_COLS,
    "obj": k.OBJ_COLS, "task": k.TASK_COLS, "prog": k.PROG_COLS, "dev": k.DEV_COLS, "q": k.Q_COLS,
    "held": k.H_COLS, "ps": k.PS_COLS, "tr": k.TR_COLS, "ev": k.EV_COLS,
}  # fmt: skip
"""Of the tables of `Mem`; its other fields are rows."""
