"""What only a real kernel can show of `LinuxNode`: triggers, probing, controllers, its very own files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from memqos.errors import Busy, InvalidValue
from memqos.linux.cgroupfs import FILES, decode
from memqos.linux.node import LinuxNode
from memqos.model.plan import Outcome, Reclaim, Write
from memqos.model.queue import queue_of
from memqos.model.snapshot import IoMax, IoStat
from memqos.policy.io_settings import DiskSettings
from memqos.policy.shape_queue import shaped
from memqos.policy.weigh_io import model, qos
from memqos.units import MIB

ROOT = Path("/sys/fs/cgroup")
POD = "kubepods/pod7604798c-ac12-4a4c-b3c5-f04dc11de5b2"
HOG = """
import sys
size = {size}
held = bytearray(size)
while True:
    for start in range(0, size, 4096):
        held[start] = (held[start] + 1) % 256
"""


@pytest.fixture
def pod() -> Iterator[Path]:
    directory = ROOT / POD
    directory.mkdir(parents=True)
    for parent in (ROOT, directory.parent):
        (parent / "cgroup.subtree_control").write_text("+memory +io\n")
    yield directory
    for cgroup in (directory, directory.parent):
        for _ in range(50):
            try:
                cgroup.rmdir()
                break
            except OSError:  # its processes are still going
                time.sleep(0.1)


@pytest.fixture
def node(pod: Path) -> Iterator[LinuxNode]:
    with LinuxNode() as node:
        yield node


def test_every_file_of_this_kernel_is_in_the_catalogue_and_reads(pod: Path) -> None:
    for directory in (ROOT, pod):
        for path in directory.iterdir():
            if not re.match(r"(memory|io|cgroup)\.|.*\.pressure$", path.name):
                continue
            assert path.name in FILES, path
            if path.stat().st_mode & 0o400:
                decode(path.name, path.read_bytes())


def test_features_say_what_the_kernel_does(node: LinuxNode) -> None:
    features = node.observe().features
    assert {"memory.reclaim", "memory.swap", "psi", "psi trigger", "memory_recursiveprot", "swap"} <= features
    for option, swappiness in (("swappiness", 60), ("swappiness=max", 201)):
        write = Write(POD, "memory.reclaim", Reclaim(0, swappiness), "")
        if f"memory.reclaim {option}" in features:
            assert node.apply(write) is None
        else:
            with pytest.raises(InvalidValue):
                node.apply(write)


def test_probing_takes_nothing_back(node: LinuxNode, pod: Path) -> None:
    def reclaimed() -> int:
        lines = (line.split() for line in (ROOT / "memory.stat").read_text().splitlines())
        return sum(int(value) for key, value in lines if key.startswith(("pgsteal", "pgscan")))

    before = reclaimed()
    node.observe()
    assert reclaimed() == before


def test_more_than_there_is_cannot_be_reclaimed_now(node: LinuxNode) -> None:
    with pytest.raises(Busy):
        node.apply(Write(POD, "memory.reclaim", Reclaim(64 * MIB), ""))


def ended(node: LinuxNode, seconds: float = 60) -> Outcome:
    deadline = time.monotonic() + seconds
    while not (found := node.ended()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found[0]


def test_an_order_for_more_than_there_is_ends_as_partial(node: LinuxNode) -> None:
    node.begin(Write(POD, "memory.reclaim", Reclaim(64 * MIB), ""))
    outcome = ended(node)
    assert (outcome.status, outcome.after) == ("partial", Reclaim(0))


def swap_device(node: LinuxNode) -> str:
    facts = node.observe().node
    (swap,) = facts.swaps
    return next(device for device, disk in facts.disks.items() if swap.filename.endswith(disk.name))


def test_an_order_on_a_slow_swap_device_neither_blocks_the_caller_nor_outlives_its_cancelling(
    node: LinuxNode, pod: Path, idle_program: Callable[[Path, int], AbstractContextManager[None]]
) -> None:
    device = swap_device(node)
    node.apply(Write(POD, "io.max", {device: IoMax(wbps=2 * MIB, rbps=2 * MIB)}, ""))
    with idle_program(pod, 96 * MIB):
        try:
            start = time.monotonic()
            node.begin(Write(POD, "memory.reclaim", Reclaim(64 * MIB), ""))
            begun, none_yet = time.monotonic() - start, node.ended()
            node.observe()
            node.cancel(POD)
            outcome = ended(node)
            took = time.monotonic() - start
        finally:  # a program whose pages wait for the disk does not end
            node.apply(Write(POD, "io.max", {}, ""))
    taken = outcome.after
    Path(os.environ["MEMQOS_OUT"], "cancelled.txt").write_text(
        f"begun in {begun:.3f} s, {outcome.status} after {took:.3f} s with {taken} taken\n"
    )
    assert none_yet == ()  # it is under way, at this disk's pace
    assert isinstance(taken, Reclaim)
    # 6.1 holds the writes themselves back, and the kernel gives up on pages that wait to be written
    assert outcome.status in ("stopped", "partial") or taken.size == 64 * MIB


def test_swap_writes_pass_a_limit_where_that_is_said(
    node: LinuxNode, pod: Path, idle_program: Callable[[Path, int], AbstractContextManager[None]]
) -> None:
    device = swap_device(node)

    def written() -> int:
        return (node.observe().cgroups[POD].io_stat or {}).get(device, IoStat()).wbytes

    node.apply(Write(POD, "io.max", {device: IoMax(wbps=MIB // 4)}, ""))
    with idle_program(pod, 96 * MIB):
        try:
            node.begin(Write(POD, "memory.reclaim", Reclaim(16 * MIB), ""))
            deadline = time.monotonic() + 8  # two MiB at that limit
            while written() < 8 * MIB and time.monotonic() < deadline:
                time.sleep(0.1)
            passed = written()
            node.cancel(POD)
        finally:
            node.apply(Write(POD, "io.max", {}, ""))
        ended(node)
    assert (passed >= 8 * MIB) == ("io.max spares swap" in node.observe().features), passed


def test_an_io_limit_for_a_disk_that_is_not_there_is_an_invalid_value(node: LinuxNode) -> None:
    with pytest.raises(InvalidValue, match="device that is not there"):
        node.apply(Write(POD, "io.max", {"250:77": IoMax(rbps=MIB)}, ""))


def test_io_max_is_set_and_taken_away_as_a_whole(node: LinuxNode) -> None:
    device = next(device for device, disk in node.observe().node.disks.items() if disk.name.startswith("vd"))
    limit = {device: IoMax(rbps=2 * MIB, wiops=120)}
    assert node.apply(Write(POD, "io.max", limit, "")) == limit
    assert node.observe().cgroups[POD].io_max == limit
    assert node.apply(Write(POD, "io.max", {}, "")) == {}


def test_a_disk_is_shared_by_weight_and_no_more_afterwards(node: LinuxNode) -> None:
    seen = node.observe()
    device = next(device for device, disk in seen.node.disks.items() if disk.name.startswith("vd"))
    assert {"io.weight", "io.cost"} <= seen.features
    assert seen.cgroups[""].io_cost_qos == seen.cgroups[""].io_cost_model == {}
    disk = DiskSettings("vd*", 40 * MIB, 400)
    for knob, text in (("io.cost.model", model(disk)), ("io.cost.qos", qos(disk))):
        assert node.apply(Write("", knob, {device: text}, "")) == {device: text}
    assert node.apply(Write(POD, "io.weight", 1000, "")) == 1000
    seen = node.observe()
    assert seen.cgroups[""].io_cost_qos == {device: qos(disk)}
    assert (seen.cgroups[POD].io_weight, seen.cgroups[POD].io_cost_qos) == (1000, None)
    assert device in (seen.cgroups[""].io_stat or {})  # its lines now have what io.cost counts, too
    for knob in ("io.cost.qos", "io.cost.model"):
        assert node.apply(Write("", knob, {}, "")) == {}


def test_a_disks_queue_is_shaped_and_brought_back(node: LinuxNode) -> None:
    seen = node.observe()
    device = next(device for device, disk in seen.node.disks.items() if disk.name.startswith("vd"))
    before = dict(seen.cgroups[""].io_queue or {})
    text = shaped(DiskSettings("vd*", 40 * MIB, 400), queue_of(before[device]))
    assert text == "scheduler=mq-deadline nr_requests=64 async_depth=1 max_sectors_kb=128"
    assert node.apply(Write("", "io.queue", {device: text}, "")) == {**before, device: text}
    assert (node.observe().cgroups[""].io_queue or {})[device] == text
    assert node.apply(Write("", "io.queue", before, "")) == before


def test_limits_are_read_back_rounded_down_to_pages(node: LinuxNode) -> None:
    assert node.apply(Write(POD, "memory.max", 64 * MIB + 4095, "")) == 64 * MIB


def test_a_controller_switched_off_and_on_takes_and_brings_its_files(node: LinuxNode, pod: Path) -> None:
    control = pod.parent / "cgroup.subtree_control"
    assert node.observe().cgroups[POD].io_max is not None
    control.write_text("-io\n")
    without = node.observe().cgroups[POD]
    assert without.io_max is None
    assert without.memory_max is not None
    control.write_text("+io\n")
    assert node.observe().cgroups[POD].io_max is not None


def test_what_somebody_else_writes_shows_at_the_next_look(node: LinuxNode, pod: Path) -> None:
    for high in (64 * MIB, 32 * MIB, 48 * MIB):
        (pod / "memory.high").write_text(f"{high}\n")
        assert node.observe().cgroups[POD].memory_high == high
        assert node.observe().cgroups[POD].memory_high == high


def test_what_the_kernel_announces_shows_at_the_next_look(node: LinuxNode, pod: Path) -> None:
    (pod / "memory.max").write_text(str(8 * MIB))
    (pod / "memory.swap.max").write_text("0\n")
    for kills in (1, 2):
        quiet = node.observe().cgroups[POD]
        assert quiet.cgroup_events is not None
        assert quiet.cgroup_events["populated"] == 0
        grow = "import sys; sys.stdin.read(1); held = bytearray(b'1' * (32 << 20))"
        with subprocess.Popen([sys.executable, "-S", "-c", grow], stdin=subprocess.PIPE) as hog:
            (pod / "cgroup.procs").write_text(str(hog.pid))
            time.sleep(0.1)  # cgroup_file_notify: at most every 10 ms
            alive = node.observe().cgroups[POD]
            assert alive.cgroup_events is not None
            assert alive.cgroup_events["populated"] == 1
            hog.communicate(b"x")
        time.sleep(0.1)
        killed = node.observe().cgroups[POD]
        assert killed.memory_events is not None
        assert killed.memory_events_local is not None
        assert killed.memory_events["oom_kill"] == killed.memory_events_local["oom_kill"] == kills
        assert killed.cgroup_events is not None
        assert killed.cgroup_events["populated"] == 0


def test_a_stalled_pod_wakes_the_wait(node: LinuxNode, pod: Path) -> None:
    (pod / "memory.max").write_text(str(24 * MIB))
    node.observe()
    assert node.wait(1.5).reason == "timeout"
    hog = subprocess.Popen([sys.executable, "-c", HOG.format(size=48 * MIB)])
    try:
        (pod / "cgroup.procs").write_text(str(hog.pid))
        woken: set[str] = set()
        end = time.monotonic() + 60
        while POD not in woken and time.monotonic() < end:
            wake = node.wait(20)
            woken.update(wake.cgroups)
        assert POD in woken
    finally:
        hog.kill()
        hog.wait()


def test_a_pod_at_its_limit_wakes_the_wait_by_its_events(node: LinuxNode, pod: Path) -> None:
    (pod / "memory.max").write_text(str(8 * MIB))
    node.observe()
    node.wait(0)
    assert ("", "memory.pressure") in node._pressed._armed
    assert {source for source in node._pressed._armed if source[0] == POD} == {
        (POD, name) for name in ("memory.pressure", "io.pressure", "memory.events")
    }
    grow = (
        "import sys; sys.stdin.read(1); held = bytearray(32 << 20); held[::4096] = b'1' * len(held[::4096])"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", grow], stdin=subprocess.PIPE) as hog:
        (pod / "cgroup.procs").write_text(str(hog.pid))
        while node.wait(2).cgroups:  # it has settled
            pass
        before = _hits(node)
        assert hog.stdin is not None
        hog.stdin.write(b"x")
        hog.stdin.flush()
        while _hits(node) == before:  # pressure of another kind may wake first
            wake = node.wait(30)
            assert wake.reason == "pressure"
            assert POD in wake.cgroups
        hog.kill()


def _hits(node: LinuxNode) -> int:
    events = node.observe().cgroups[POD].memory_events
    assert events is not None
    return events["max"]


def test_a_quiet_time_holds_back_a_storm_of_pressure(node: LinuxNode, pod: Path) -> None:
    (pod / "memory.max").write_text(str(24 * MIB))
    node.observe()
    with subprocess.Popen([sys.executable, "-c", HOG.format(size=48 * MIB)]) as hog:
        (pod / "cgroup.procs").write_text(str(hog.pid))
        while POD not in node.wait(20).cgroups:
            pass
        turns, end = 0, time.monotonic() + 6
        while time.monotonic() < end:
            start = time.monotonic()
            wake = node.wait(1, 0.4)
            assert wake.reason == "timeout" or time.monotonic() - start >= 0.39
            turns += 1
        assert turns <= 15
        hog.kill()


def test_a_pod_that_died_does_not_wake_the_wait(node: LinuxNode, pod: Path) -> None:
    node.observe()
    node.wait(0)
    pod.rmdir()
    start = time.monotonic()
    assert POD not in node.wait(0.5).cgroups
    assert time.monotonic() - start >= 0.4
    assert POD not in node.observe().cgroups
    pod.mkdir()
    assert POD in node.observe().cgroups
