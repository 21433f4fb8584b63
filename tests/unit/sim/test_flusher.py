"""When the flusher gets to work that reclaim or a writer calls it for, what it writes then, and for whom."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import inode
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import entry
from memqos.sim.kernels.mem import Mem
from memqos.sim.spec import Costs, Disk
from memqos.units import GIB, MIB

EMULATED = Costs(scan=1500, steal=3000, round=12_000, request=140_000, read_miss=8000, writeback=4000)
"""As slow as a guest: a limit's pages are not passed over within a tick of the clock."""
DISK = Disk("vda", 100 * MIB, 100 * MIB, write_latency_us=80, burst_us=100_000)
LIMIT = 24 * MIB


@entry
def judge(m: Mem, o: int, pages: int, foreign: int) -> None:
    """An entry of its own: compiled kernels can only be called through one."""
    inode.judge(m, o, pages, foreign)


def filled_by_dd(bench: Any, kernel: str) -> Any:
    """A limit of 24 MiB that was filled in blocks of a page before anything went to the disk, as in k20."""
    b = bench(kernel, memory=GIB, cpus=1, disks=(DISK,), costs=EMULATED)
    b.group("a", MAX=LIMIT)
    b.write("a", b.machine.file(26 * MIB), block=1)
    assert b.get("a", k.E_OOM_KILL) == 0
    b.check()
    return b


@pytest.mark.parametrize(("kernel", "met"), [("6.12", k.PGREFILL), ("7.2", k.PGACTIVATE)])
def test_on_one_cpu_reclaim_meets_dirty_pages_only_until_a_tick(bench: Any, kernel: str, met: int) -> None:
    """Guests of 7.2 met 786 and 3,896 in vain; two walks, priority by priority, are 23,000."""
    assert 0 < filled_by_dd(bench, kernel).get("a", met) < 15_000


def test_a_short_round_of_writeback_after_long_ones_does_not_count(bench: Any) -> None:
    b = bench("7.2")
    b.group("a")
    m, o = b.machine.m, b.machine.file(MIB)
    judge(m, o, 8192, 8192)
    assert m.obj[o, k.O_HISTORY] == 0b111
    judge(m, o, 32, 32)
    assert m.obj[o, k.O_HISTORY] == 0b111
    judge(m, o, 4096, 0)
    assert m.obj[o, k.O_HISTORY] == 0b11100


@pytest.mark.parametrize(("owner", "seconds"), [("a", 6), ("root", 36)])
def test_only_who_writes_has_the_pages_of_anothers_file_written(bench: Any, owner: str, seconds: int) -> None:
    """Who has stopped leaves them until they are old: 14 MiB, for half a minute, on 6.12 (k17, `mapped`)."""
    b = bench("6.12", memory=GIB, disks=(DISK,))
    b.group("a", MAX=LIMIT)
    file, task = b.machine.file(12 * MIB), b.machine.task("a")
    if owner == "root":
        b.machine.own_inode(file)
    write = {k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: 3072, k.P_CHUNK: 256, k.P_NS: 1}
    b.machine.program(task, [write, {k.P_OP: k.OP_HOLD}])
    b.settle(task)
    waited = 0
    while b.get("a", k.N_DIRTY):
        waited += 1
        b.machine.run(b.machine.now + 1_000_000_000)
    assert seconds - 6 <= waited <= seconds
