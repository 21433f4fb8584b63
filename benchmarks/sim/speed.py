"""Page accesses a second, beside libcachesim, a FIFO in C and bare memory accesses, taking turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import contenders
import exact
import machines
import numpy as np
from rows import ratio, row
from traces import PAGES, traces, uniform, zipf

from memqos.units import GIB

GROUPS = 8
LRU_GOALS = {"scan": 25, "zipf": 10, "uniform": 8}
EXACT_GOALS = {"scan": 100, "zipf": 10, "uniform": 15}
ANY_GOALS = {"zipf": 8, "uniform": 6}
FIFO_GOALS = {"zipf": 0.5, "uniform": 0.3}
BOUND_GOALS = {"zipf": 0.6, "uniform": 0.3}


def rate(spent: list[float], count: int) -> str:
    return f"{count / sorted(spent)[len(spent) // 2] / 1e6:.0f} M/s"


def beside_others(folder: Path, lib: Any, rounds: int) -> list[dict[str, Any]]:
    """The full kernel (three of them, eight cgroups) beside what others offer, trace by trace."""
    fifo = contenders.fifo(folder)
    rows = []
    for name, (trace, fit) in traces().items():
        replayed = contenders.Replayed(lib, trace, fit, folder) if lib else None
        other = replayed.fastest_other() if replayed else ""
        spent: dict[str, list[float]] = {}
        misses: dict[str, int] = {}

        def note(who: str, seconds: float, missed: int = 0, into: Any = (spent, misses)) -> None:
            into[0].setdefault(who, []).append(seconds)
            into[1][who] = missed

        for _ in range(rounds):
            for kernel in ("6.1", "6.12", "7.2"):
                note(kernel, *machines.simulated(kernel, trace, PAGES, fit, GROUPS))
            note("one cgroup", *machines.simulated("6.1", trace, PAGES, fit, 1))
            note("exact", *exact.lru(trace, PAGES, fit))
            if replayed:
                seconds, share = replayed.lru()
                note("LRU", seconds, round(share * len(trace)))
                note("other", replayed.run(other, contenders.HASHPOWERS[-1])[0])
            if fifo:
                note("C", fifo(trace, PAGES, fit))
        speeds = {who: rate(seconds, len(trace)) for who, seconds in spent.items()}
        if replayed:
            for kernel in ("6.1", "6.12", "7.2"):
                text = (
                    f"{speeds[kernel]} and {speeds['LRU']}; misses {misses[kernel]:,} and {misses['LRU']:,}"
                )
                what = f"{name}: {kernel}, {GROUPS} cgroups / libcachesim LRU"
                rows.append(ratio(what, spent[kernel], spent["LRU"], LRU_GOALS[name], text))
            same = "the same misses" if misses["exact"] == misses["LRU"] else "NOT the same misses"
            what, text = f"{name}: plain exact LRU / libcachesim LRU", f"{speeds['exact']}, {same}"
            rows.append(ratio(what, spent["exact"], spent["LRU"], EXACT_GOALS[name], text))
            if name in ANY_GOALS:
                fastest = "other" if min(spent["other"]) < min(spent["LRU"]) else "LRU"
                what = f"{name}: 6.1 / its fastest policy"
                text = f"{other if fastest == 'other' else 'LRU'}, {speeds[fastest]}"
                rows.append(ratio(what, spent["6.1"], spent[fastest], ANY_GOALS[name], text))
            else:
                same = "equal to page by page" if bit_equal() else "NOT EQUAL to page by page"
                text = f"{speeds['one cgroup']}, {same}"
                rows.append(
                    ratio("sequential runs / libcachesim LRU", spent["one cgroup"], spent["LRU"], 100, text)
                )
        if fifo and name in FIFO_GOALS:
            text = f"one cgroup {speeds['one cgroup']}, FIFO in C {speeds['C']}"
            rows.append(
                ratio(
                    f"{name}: 6.1 / smallest policy in C",
                    spent["one cgroup"],
                    spent["C"],
                    FIFO_GOALS[name],
                    text,
                )
            )
    return rows


def bit_equal() -> bool:
    """Whether runs read at once leave every counter and word as the same pages read by calls of one."""
    pages = np.tile(np.arange(3000, dtype=np.int32), 3)
    states = []
    for step in (len(pages), 1):
        readers = machines.Readers("6.1", 3000, 1000)
        for i in range(0, len(pages), step):
            readers.machine.trace(readers.paths[0], readers.files[0], pages[i : i + step])
        states.append(machines.counters(readers.machine, readers.paths))
    return bool((states[0] == states[1]).all())


def large(rounds: int) -> list[dict[str, Any]]:
    """A 64 GiB node, 16 GiB of it the limit, beside as many bare accesses to its page words."""
    pages, fit, count = 64 * GIB // machines.PAGE, 16 * GIB // machines.PAGE, 8 << 20
    rows = []
    for name, draw in (("zipf", zipf), ("uniform", uniform)):
        readers = machines.Readers("6.1", pages, fit, memory=64 * GIB)
        fill = readers.parts(np.arange(fit + (fit >> 3), dtype=np.int32))
        readers.timed(fill)
        ours, bare = [], []
        for turn in range(rounds):
            trace = draw(pages, count, turn + 1)
            seconds, misses = readers.timed(readers.parts(trace))
            ours.append(seconds)
            bare.append(contenders.bound(readers.machine.m.w, trace))
        text = f"{rate(ours, count)} and {rate(bare, count)}; {misses / count:.0%} misses"
        rows.append(ratio(f"64 GiB node, {name} / random accesses", ours, bare, BOUND_GOALS[name], text))
    return rows


def growth(rounds: int) -> list[dict[str, Any]]:
    """What an access costs on a larger node, and with more cgroups."""
    count = 4 << 20
    small, big, one, many = [], [], [], []
    for turn in range(rounds):
        for memory, into in ((GIB, small), (64 * GIB, big)):
            made = machines.node("6.1", memory, memory // 4)
            file = made.file(memory // 2 if memory == GIB else 4 * GIB)
            pages = made.pages_of(file)
            passes = max(1, (4 * GIB // machines.PAGE) // pages)
            into.append(machines.read_file(made, file, passes) / (passes * pages) * 1e9)
        trace = zipf(PAGES, count, turn + 1)
        for groups, into in ((1, one), (500, many)):
            readers = machines.Readers("6.1", PAGES, 100_000, groups)
            parts = readers.parts(trace)
            readers.timed(parts)
            into.append(readers.timed(parts)[0] / count * 1e9)
    rows = []
    for name, less, more in (("1 to 64 GiB, a file read", small, big), ("1 to 500 cgroups, zipf", one, many)):
        values = [b / a for a, b in zip(less, more, strict=True)]
        text = f"{sorted(less)[rounds // 2]:.1f} and {sorted(more)[rounds // 2]:.1f} ns a page"
        rows.append(row(f"an access, {name}", "x", values, 1.5, text))
    return rows


def programs(rounds: int) -> list[dict[str, Any]]:
    """Whole programs through the clock, with read-ahead, disks and dirty limits."""
    rows = [
        row(f"E1 on {kernel}", "s", [machines.e1(kernel) for _ in range(rounds)], 1.0, "4 Mi reads")
        for kernel in ("6.1", "6.12", "7.2")
    ]
    values = [machines.written("6.1") for _ in range(rounds)]
    rows.append(
        row("a page written, 4 GiB below 1 GiB", "ns", values, None, "dirty limits, flusher, throttling")
    )
    return rows


def warm_up() -> None:
    """Compile, or load what was compiled."""
    machines.simulated("6.1", np.arange(8, dtype=np.int32), 8, 8, 1)
    contenders.bound(np.zeros(8, np.int64), np.arange(8, dtype=np.int32))
    exact.lru(np.arange(8, dtype=np.int32), 8, 8)
