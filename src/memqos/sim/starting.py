"""How long a program takes from its start to its first phase: time of its own, on a processor.

An interpreter loads its libraries (a tenth of its memory, within a fiftieth of that time), then its
modules, and its memory grows with them, nearly as a straight line to the end: 731 looks at memory.stat of
starting pods. From its container's start, or its command's, to the first phase in its results `memqos
workload` took 1.2 to 1.5 s in guests that had a processor for it (359 starts: the fastest 1.19, a quarter
of them up to 1.37, half of them up to 1.50, on all kernels alike), 1.2 of it on a processor by its own
account; three that started at once on two processors 2.4 to 2.8 s (e9). The bare `memqos.lab.load` took
0.36 to 0.40 s (e5). Both are given here as on the machine where programs' own times were measured; a
guest's processor is 25 times as slow.

Within a recording, eight tenths of 180 starts took 0.92 to 1.10 times its median.

A program in C has no such time: a command that was killed as it began was gone after 18 to 44 ms, until the
player looked again, and had 0 to 5 ms of a processor (k20, k13).
"""

from __future__ import annotations

from zlib import crc32

LOAD_NS = 15_000_000
"""`python3 -m memqos.lab.load`."""

WORKLOAD_NS = 52_000_000
"""`memqos workload`."""

_LEAST, _MOST = 92, 110
"""What chance makes of it, per cent."""


def drawn(ns: int, seed: int, task: int) -> int:
    """What a task's start of so many nanoseconds takes: its share of chance, from the scenario's seed."""
    return ns * (_LEAST + crc32(b"start %d/%d" % (seed, task)) % (_MOST - _LEAST + 1)) // 100
