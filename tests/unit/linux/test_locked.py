"""Memory that is there when it is needed: each in a process of its own, since a heap cannot be given back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memqos.linux.locked import is_locked
from memqos.linux.shelter import may_lock

needs_lock = pytest.mark.skipif(not may_lock(), reason="needs CAP_IPC_LOCK, or ulimit -l unlimited")

START = """
import os, resource
from memqos.linux.locked import *
from memqos.linux.shelter import resident
"""


def told(code: str, *arguments: str) -> list[int]:
    """The numbers that a program prints."""
    argv = [sys.executable, "-c", START + code, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@needs_lock
def test_a_heap_that_was_large_once_grows_to_that_size_again_without_new_pages() -> None:
    faults = told("""
lock_memory()
def grow():
    return [bytes(100_000) for _ in range(200)]
grow()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    grow()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
""")
    assert faults[0] < 100  # of some 5,000 pages each time


@needs_lock
def test_the_lock_costs_a_few_mib_beside_what_is_mapped() -> None:
    before, after = told("""
libc = __import__("ctypes").CDLL(None)
libc.mlockall(3)
print(resident())
lock_memory()
print(resident())
""")
    assert after - before < 8 << 20


@needs_lock
def test_the_worker_of_a_locked_agent_is_locked_too(tmp_path: Path) -> None:
    code = """
import sys, time
from memqos.linux.worker import Worker
from memqos.model.plan import Write
def child_is_locked():
    worker = Worker(sys.argv[1], kernel=False)
    worker.ask(Write("nowhere", "memory.high", 4096, ""))
    worker.answer(10)  # it is at work, and has done all that comes before
    (pid,) = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    locked = is_locked(int(pid))
    worker.close()
    return int(locked)
print(child_is_locked())
lock_memory()
print(child_is_locked())
"""
    assert told(code, str(tmp_path)) == [0, 1]


def test_a_process_that_is_gone_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(1, proc=tmp_path)
