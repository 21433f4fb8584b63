"""What a disk does with requests: merging, two queues served in turns, two budgets."""

from __future__ import annotations

from typing import Any

import pytest

from memqos.sim.kernels import disk, io
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import entry
from memqos.sim.kernels.mem import Mem
from memqos.sim.node import SimNode
from memqos.sim.spec import Disk
from memqos.units import MIB

KERNELS = ("6.1", "6.12", "7.2")
DISK = Disk("vda", 200 * MIB, 200 * MIB, 2000, 2000)


MS, SECOND = 1_000_000, 1_000_000_000


@entry
def send(m: Mem, c: int, page: int, pages: int, kind: int, now: int) -> None:
    disk.send(m, 0, c, page, pages, kind, now)


@entry
def complete(m: Mem, until: int) -> None:
    io.complete(m, until)


@entry
def done_at(m: Mem, page: int) -> int:
    io.complete(m, m.g[k.NOW])
    return io.done_at(m, 0, page)


def disk_of(b: Any) -> Any:
    (found,) = SimNode(b.machine).observe().node.disks.values()
    return found


@pytest.mark.parametrize("kernel", KERNELS)
def test_swap_goes_in_few_requests_and_each_page_counts_in_io_stat(bench: Any, kernel: str) -> None:
    """e3 on real kernels: 20 to 110 pages swapped out in a request, 6.6 to 7.6 read in one; a bio each."""
    b = bench(kernel, swap=64 * MIB, slower=60)
    b.group("a", MAX=8 * MIB)
    b.settle(b.hog("a", 16 * MIB, "ww"))
    out, into = b.get("a", k.PSWPOUT), b.get("a", k.PSWPIN)
    disk = disk_of(b)
    assert (disk.rbytes, disk.wbytes) == (into * 4096, out * 4096)
    assert 6.5 <= into / disk.rios <= 8
    assert 15 <= out / disk.wios <= 120
    (stat,) = (SimNode(b.machine).observe().cgroups["a"].io_stat or {}).values()
    assert (stat.rios, stat.wios) == (into, out)
    b.check()


def test_a_reader_waits_for_one_write_at_a_time_however_many_there_are(bench: Any) -> None:
    b = bench("6.12", memory=256 * MIB, disks=(DISK,))
    b.group("writer")
    b.group("reader")
    b.write("writer", b.machine.file(64 * MIB))
    task, file = b.machine.task("writer"), b.machine.file(64 * MIB)
    write = {k.P_OP: k.OP_WRITE, k.P_OBJ: file, k.P_COUNT: 16384, k.P_NS: 100}
    b.machine.program(task, [write, {k.P_OP: k.OP_SYNC, k.P_OBJ: file}])
    while b.machine.m.dev[0, k.D_WQ] < 32:
        b.machine.run(b.machine.now + 1_000_000)
    begun = b.machine.now
    b.read("reader", b.machine.file(4096))
    # 1 MiB of another's write, 5 ms, and its own page
    assert b.machine.now - begun <= 12_000_000
    assert b.machine.m.dev[0, k.D_WQ] > 16


def test_a_read_is_served_where_it_would_have_been_when_the_disks_time_has_run_ahead(bench: Any) -> None:
    """Reclaim that sleeps until its writes end does so in one turn, in which the disk serves all of them."""
    b = bench("6.1", disks=(Disk("vda", 40 * MIB, 40 * MIB, 400, 400),))
    c, base = b.group("a"), int(b.machine.m.obj[b.machine.file(8 * MIB), k.O_BASE])
    for i in range(40):
        send(b.machine.m, c, base + 32 * i, 32, k.Q_WRITE, SECOND)
    complete(b.machine.m, 2 * SECOND)  # all are written: 3.1 ms each, 128 KiB at 40 MiB a second
    ends = []
    for when, page in ((20, 1500), (20, 1600), (21, 1700), (110, 1800), (500, 1900)):
        b.machine.m.g[k.NOW] = SECOND + when * MS
        send(b.machine.m, c, base + page, 1, k.Q_READ, int(b.machine.m.g[k.NOW]))
        ends.append((done_at(b.machine.m, base + page) - SECOND) / MS)
    # after the write that was being served, at 21.9 and 112.5 ms, and the read before it, 2.5 ms
    assert ends == pytest.approx([24.4, 26.9, 29.4, 115, 502.5], abs=0.2)


def test_nobody_waits_for_what_a_task_whose_time_has_run_ahead_reads_later(bench: Any) -> None:
    """A brake makes a task sleep for two seconds within one turn, and what it then reads is known at once."""
    b = bench("6.12", disks=(Disk("vda", 40 * MIB, 40 * MIB, 400, 400),))
    c, base = b.group("a"), int(b.machine.m.obj[b.machine.file(8 * MIB), k.O_BASE])
    send(b.machine.m, c, base, 1, k.Q_READ, SECOND)
    complete(b.machine.m, SECOND + 10 * MS)
    send(b.machine.m, c, base + 1, 1, k.Q_READ, 3 * SECOND)
    waits = []
    for i in range(200):
        now = SECOND + 10 * MS * i
        b.machine.m.g[k.NOW] = now
        if i == 50:
            complete(b.machine.m, 3 * SECOND + 1)  # the other one's read has begun
        send(b.machine.m, c, base + 100 + 8 * i, 1, k.Q_READ, now)
        waits.append((done_at(b.machine.m, base + 100 + 8 * i) - now) / MS)
    assert waits[1:] == pytest.approx([2.6] * 199, abs=0.1)
    last = 3 * SECOND + 10 * MS
    b.machine.m.g[k.NOW] = last
    send(b.machine.m, c, base + 2000, 1, k.Q_READ, last)
    # nor for the two hundred that it was idle for before
    assert done_at(b.machine.m, base + 2000) - last == pytest.approx(2.6 * MS, abs=0.1 * MS)


@pytest.mark.parametrize(
    ("burst_us", "ends"), [(100_000, [0, 0, 0, 20, 60, 100]), (0, [40, 80, 120, 160, 200, 240])]
)
def test_a_request_passes_a_bucket_when_those_before_it_have(
    bench: Any, burst_us: int, ends: list[int]
) -> None:
    """QEMU's throttle (util/throttle.c) lets a tenth of a second pass at once, 10 MiB of these 4 MiB each."""
    b = bench("7.2", disks=(Disk("vda", 100 * MIB, 100 * MIB, burst_us=burst_us),))
    c, base = b.group("a"), int(b.machine.m.obj[b.machine.file(24 * MIB), k.O_BASE])
    b.machine.m.g[k.NOW] = SECOND
    for i in range(6):
        send(b.machine.m, c, base + 1024 * i, 1024, k.Q_READ, SECOND)
    foretold = [(done_at(b.machine.m, base + 1024 * i) - SECOND) / MS for i in range(6)]
    assert foretold == pytest.approx([each + 0.1 for each in ends], abs=0.01)
    for i, end in enumerate(ends):
        complete(b.machine.m, SECOND + end * MS)
        assert done_at(b.machine.m, base + 1024 * i) == pytest.approx(
            SECOND + (end + 0.1) * MS, abs=0.01 * MS
        )


def test_bytes_and_requests_are_two_budgets(bench: Any) -> None:
    seconds = []
    for bps, iops in ((200 * MIB, 2000), (20 * MIB, 2000), (200 * MIB, 20)):
        b = bench("6.12", disks=(Disk("vda", bps, bps, iops, iops),))
        b.group("a")
        b.read("a", b.machine.file(16 * MIB))
        seconds.append(b.machine.now / 1e9)
        assert disk_of(b).rios == 129
    assert seconds == pytest.approx([16 / 200, 16 / 20, 129 / 20], rel=0.3)


def test_two_bursts_of_the_same_seed_end_alike(bench: Any) -> None:
    ends = []
    for _ in range(2):
        b = bench("6.12", swap=64 * MIB, disks=(DISK,))
        b.group("a", MAX=2 * MIB)
        b.settle(b.hog("a", 4 * MIB, "wr"))
        ends.append((b.machine.now, [int(n) for n in b.machine.m.dev[0]]))
    assert ends[0] == ends[1]
