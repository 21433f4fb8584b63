"""Limits set below what a cgroup uses, while all that is above them has to go to a slow swap disk."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from memqos.linux.node import LinuxNode
from memqos.model.plan import Write
from memqos.units import MIB, UNLIMITED

ROOT = Path("/sys/fs/cgroup")
NAME = "lowering"
HELD = 72 * MIB
"""Nine seconds of the slow disk."""


@pytest.fixture
def _slow_swap() -> Iterator[None]:
    (serial,) = (each for each in Path("/sys/block").glob("*/serial") if each.read_text().strip() == "slow")
    device = f"/dev/{serial.parent.name}"
    subprocess.run(["mkswap", "-q", device], check=True)
    subprocess.run(["swapon", "-p", "10", device], check=True)
    yield
    subprocess.run(["swapoff", device], check=True)


@pytest.fixture
def pod(
    _slow_swap: None, idle_program: Callable[[Path, int], AbstractContextManager[None]]
) -> Iterator[Path]:
    """A cgroup full of anonymous memory that nobody touches."""
    directory = ROOT / NAME
    directory.mkdir()
    with idle_program(directory, HELD):
        yield directory
    for _ in range(100):
        try:
            directory.rmdir()
            break
        except OSError:  # a write that still reclaims
            time.sleep(0.1)


@pytest.mark.parametrize("knob", ["memory.high", "memory.max"])
def test_a_limit_far_below_the_usage_holds_at_once_and_the_caller_goes_on(pod: Path, knob: str) -> None:
    with LinuxNode() as node:
        node.apply(Write(NAME, knob, int((pod / "memory.current").read_text()) - MIB, ""))  # forks the worker
        start = time.monotonic()
        after = node.apply(Write(NAME, knob, 8 * MIB, ""))
        took = time.monotonic() - start
        used = int((pod / "memory.current").read_text())
        node.observe()
        begun = time.monotonic()
        back = node.apply(Write(NAME, knob, UNLIMITED, ""))
        raised = time.monotonic() - begun
        left = int((pod / "memory.current").read_text())
    with Path(os.environ["MEMQOS_OUT"], "lowering.txt").open("a") as told:
        told.write(f"{knob}: {took:.3f} s, {used >> 20} MiB used; back in {raised:.3f} s, {left >> 20} MiB\n")
    assert (after, back) == (8 * MIB, UNLIMITED)
    assert used > HELD // 2  # the caller did not wait for the disk
    assert left > HELD // 2


def test_memory_that_nobody_touches_goes_when_memory_high_is_set_below_it(pod: Path) -> None:
    """Also from 6.16 on, where a file opened with O_NONBLOCK would leave it to tasks that ask for more."""
    high = int((pod / "memory.current").read_text()) - 4 * MIB
    with LinuxNode() as node:
        node.apply(Write(NAME, "memory.high", high, ""))
        end = time.monotonic() + 30
        while int((pod / "memory.current").read_text()) > high and time.monotonic() < end:
            time.sleep(0.1)
        used = int((pod / "memory.current").read_text())
    assert used <= high
