"""Programs that the tests on a real kernel put into cgroups."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

IDLE = """
import time
held = bytearray({size})
for start in range(0, len(held), 4096):
    held[start:start + 8] = (start + 1).to_bytes(8, "little")
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def holding(cgroup: Path, size: int) -> Iterator[None]:
    """Run a program in a cgroup that holds so many bytes, no two pages alike, and touches them no more."""

    def enter() -> None:
        (cgroup / "cgroup.procs").write_text("0")

    argv = [sys.executable, "-S", "-c", IDLE.format(size=size)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, preexec_fn=enter) as program:
        try:
            assert program.stdout is not None
            program.stdout.readline()
            yield
        finally:
            program.kill()


@pytest.fixture
def idle_program() -> Callable[[Path, int], AbstractContextManager[None]]:
    return holding
