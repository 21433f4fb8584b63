from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from memqos.linux.pressure import PODS, Pressed, is_pod
from memqos.linux.trigger import Trigger
from memqos.node import Wake

UID = "7604798c-ac12-4a4c-b3c5-f04dc11de5b2"


@pytest.mark.parametrize(
    ("path", "pod"),
    [
        (f"kubepods/burstable/pod{UID}", True),
        (f"kubepods/pod{UID}", True),
        (f"kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice", True),
        (
            f"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID.replace('-', '_')}.slice",
            True,
        ),
        (f"kubepods/pod{UID}/d2b19ef827f3", False),
        ("kubepods/podd41d8cd98f00b204e9800998ecf8427e", True),  # a static pod's uid is a plain hash
        ("kubepods/burstable", False),
        ("kubepods.slice", False),
        ("system.slice/podman.service", False),
        ("", False),
    ],
)
def test_a_pods_cgroup_is_known_by_either_drivers_naming(path: str, pod: bool) -> None:
    assert is_pod(path) is pod


def pressure(total: int) -> str:
    return f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n"


@pytest.fixture
def world(tmp_path: Path) -> SimpleNamespace:
    pod = f"kubepods/pod{UID}"
    (tmp_path / "cgroup" / pod).mkdir(parents=True)
    (tmp_path / "proc/pressure").mkdir(parents=True)
    files = [tmp_path / "cgroup" / pod / "memory.pressure", tmp_path / "proc/pressure/memory"]
    for file in files:
        file.write_text(pressure(0))
    pressed = Pressed(
        str(tmp_path / "cgroup"), str(tmp_path / "proc"), Trigger(100_000, 1_000_000), kernel=False
    )
    return SimpleNamespace(pod=pod, file=files[0], node=files[1], pressed=pressed)


def watch(world: SimpleNamespace, inode: int = 1) -> Pressed:
    pressed: Pressed = world.pressed
    pressed.watch({"": SimpleNamespace(inode=9), world.pod: SimpleNamespace(inode=inode)})
    return pressed


def test_a_stall_in_a_pod_ends_the_wait_and_names_the_pod(world: Any) -> None:
    pressed = watch(world)
    world.file.write_text(pressure(150_000))
    start = time.monotonic()
    wake = pressed.wait(30)
    assert (wake.reason, wake.cgroups) == ("pressure", (world.pod,))
    assert time.monotonic() - start < 5
    assert pressed.wait(0.05).reason == "timeout"
    pressed.close()


def test_a_stall_of_the_node_is_the_roots(world: Any) -> None:
    pressed = watch(world)
    world.node.write_text(pressure(150_000))
    assert pressed.wait(30).cgroups == ("",)
    pressed.close()


def test_a_small_stall_is_no_pressure(world: Any) -> None:
    pressed = watch(world)
    world.file.write_text(pressure(50_000))
    assert pressed.wait(0.3).reason == "timeout"
    pressed.close()


def test_a_broken_or_vanished_pressure_file_is_forgotten_and_armed_anew_at_rebirth(world: Any) -> None:
    pressed = watch(world)
    world.file.write_text("nonsense\n")
    assert pressed.wait(0.01).reason == "timeout"
    world.file.write_text(pressure(0))
    watch(world, inode=2)
    world.file.write_text(pressure(150_000))
    assert pressed.wait(30).cgroups == (world.pod,)
    pressed.close()


def test_stop_from_a_signal_handler_ends_the_wait_within_a_second(world: Any) -> None:
    pressed = watch(world)
    old = signal.signal(signal.SIGUSR1, lambda *_: pressed.stop())
    try:
        threading.Timer(0.05, signal.raise_signal, [signal.SIGUSR1]).start()
        start = time.monotonic()
        while pressed.wait(0.5).reason != "stop":
            assert time.monotonic() - start < 5
    finally:
        signal.signal(signal.SIGUSR1, old)
        pressed.close()


def test_a_readable_descriptor_of_somebody_elses_ends_the_wait_and_is_let_go(world: Any) -> None:
    pressed = watch(world)
    reader, writer = os.pipe()
    threading.Timer(0.05, os.write, [writer, b"x"]).start()
    assert pressed.wait(30, [reader]).reason == "ready"
    assert pressed.wait(0.01).reason == "timeout"
    assert pressed.wait(30, [reader]).reason == "ready"
    for fd in (reader, writer):
        os.close(fd)
    pressed.close()


def test_pressure_goes_before_a_readable_descriptor(world: Any) -> None:
    pressed = watch(world)
    reader, writer = os.pipe()
    os.write(writer, b"x")
    world.file.write_text(pressure(150_000))
    assert pressed.wait(30, [reader]).reason == "pressure"
    for fd in (reader, writer):
        os.close(fd)
    pressed.close()


def test_nothing_ends_the_quiet_beginning_of_a_wait_and_nothing_heard_in_it_is_lost(world: Any) -> None:
    pressed = watch(world)
    world.file.write_text(pressure(150_000))
    start = time.monotonic()
    assert pressed.wait(30, quiet=0.6) == Wake("pressure", (world.pod,))
    assert 0.6 <= time.monotonic() - start < 5
    pressed.close()


def test_what_was_heard_outlives_a_wait_that_somebody_else_ended(world: Any) -> None:
    pressed = watch(world)
    world.file.write_text(pressure(150_000))
    reader, writer = os.pipe()
    os.write(writer, b"x")
    assert pressed.wait(30, [reader], quiet=30).reason == "ready"
    assert pressed.wait(30) == Wake("pressure", (world.pod,))
    for fd in (reader, writer):
        os.close(fd)
    pressed.close()


def test_a_quiet_time_never_makes_a_wait_longer(world: Any) -> None:
    pressed = watch(world)
    start = time.monotonic()
    assert pressed.wait(0.1, quiet=30).reason == "timeout"
    assert time.monotonic() - start < 5
    pressed.close()


def test_only_the_pods_that_matter_are_watched(world: Any) -> None:
    pressed = world.pressed
    pressed.watch({world.pod: SimpleNamespace(inode=1)}, [])
    world.file.write_text(pressure(150_000))
    assert pressed.wait(0.3).reason == "timeout"
    pressed.watch({world.pod: SimpleNamespace(inode=1)}, ["gone", world.pod])
    world.file.write_text(pressure(400_000))
    assert pressed.wait(30).cgroups == (world.pod,)
    pressed.close()


def test_however_many_pods_there_are_the_descriptors_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "proc/pressure").mkdir(parents=True)
    pods = {f"kubepods/pod{number:08d}-{UID[9:]}": SimpleNamespace(inode=1) for number in range(PODS + 50)}
    for path in pods:
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "memory.pressure").write_text(pressure(0))
    before = len(list(Path("/proc/self/fd").iterdir()))
    pressed = Pressed(str(tmp_path), str(tmp_path / "proc"), Trigger(), kernel=False)
    pressed.watch(pods)
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= PODS + 2
    pressed.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
