"""What one `LinuxNode.observe()` costs, against a C program that does the same reads.

    python benchmarks/observe/run.py                                    a tree of plain files
    python benchmarks/observe/run.py --vm 6.12                          a real kernel, in QEMU
    python benchmarks/observe/run.py --root /sys/fs/cgroup/bench --make  a real kernel, as root

C and Python take turns in one run, each after a change of its own: the first to read what changed also
has the kernel sum it up, and finds cold caches. The ratio of a round is of two neighbours in time, and
the median over the rounds is the figure. `busy` is the share of the cgroups whose counters changed
since the last look: what did not change is not decoded again. Both read the same files the
same number of times; Python also decodes, and returns a Snapshot.
"""

from __future__ import annotations

import argparse
import gc
import mmap
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memqos.errors import ToolMissing
from memqos.linux.node import LinuxNode
from memqos.linux.observed import OBSERVED

GOAL = 2.0
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from shared import parser, report_of_guest, row, show, unavailable  # noqa: E402

GOLDEN = HERE.parents[1] / "tests/golden/kernel-6.12"


def compiled(directory: Path) -> Path:
    """Build the C program with the machine's own compiler."""
    program = directory / "reads"
    if shutil.which("cc") is None:
        raise ToolMissing("there is no C compiler; apt install gcc libc6-dev")
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-o", program, HERE / "reads.c"], check=True)
    return program


def shape(cgroups: int) -> list[str]:
    """Name as many cgroups, parents first: pods of four containers."""
    names = [f"pod{i // 5}" if i % 5 == 0 else f"pod{i // 5}/c{i}" for i in range(cgroups)]
    return sorted(names)


class PlainTree:
    """Plain files with texts of a real 6.12; busy cgroups get new numbers."""

    def __init__(self, directory: Path, cgroups: int) -> None:
        self.root = directory / "cgroup"
        self.subtree = ""
        self.paths = [self.root / name for name in shape(cgroups) if "/" in name]
        for path in [self.root, *(self.root / name for name in shape(cgroups))]:
            path.mkdir()
            source = GOLDEN / ("root" if path == self.root else "busy")
            for name in [*OBSERVED.values(), "cgroup.subtree_control", "cgroup.controllers"]:
                if (source / name).exists():
                    (path / name).write_bytes((source / name).read_bytes())
        stat = (GOLDEN / "busy/memory.stat").read_bytes().split(b"\n")
        self._stats = [b"\n".join([b"anon %d" % (61267968 + 4096 * i), *stat[1:]]) for i in range(7)]
        self._round = 0
        (self.root / "cgroup.stat").write_text(f"nr_descendants {cgroups}\n")

    def stir(self, count: int) -> None:
        self._round += 1
        for path in self.paths[:count]:
            (path / "memory.stat").write_bytes(self._stats[self._round % 7])
            (path / "memory.current").write_bytes(b"%d\n" % (64757760 + 4096 * (self._round % 7)))

    def remove(self) -> None:
        """The temporary directory goes by itself."""


class KernelTree:
    """Real cgroups; a process visits the busy ones and touches 16 pages in each."""

    def __init__(self, root: Path, cgroups: int, *, make: bool) -> None:
        self.root = root.parent
        self.subtree = root.name
        self._made: list[Path] = []
        self._held: list[mmap.mmap] = []
        if make:
            for path in [root, *(root / name for name in shape(cgroups))]:
                path.mkdir()
                (path.parent / "cgroup.subtree_control").write_text("+memory +io\n")
                self._made.insert(0, path)
        self.paths = [path.parent for path in root.rglob("cgroup.type") if not any(path.parent.glob("*/"))]

    def stir(self, count: int) -> None:
        self._held.clear()
        for path in self.paths[:count]:
            (path / "cgroup.procs").write_text(f"{os.getpid()}\n")
            area = mmap.mmap(-1, 16 * mmap.PAGESIZE)
            for offset in range(0, len(area), mmap.PAGESIZE):
                area[offset] = 1
            self._held.append(area)
        if count:
            (self.root / "cgroup.procs").write_text(f"{os.getpid()}\n")

    def remove(self) -> None:
        self._held.clear()
        for path in self._made:
            path.rmdir()


def reads(node: LinuxNode) -> list[str]:
    """Every file that one `observe()` reads; `+` marks those that are read to their end."""
    return [*node.read_files(), *(f"+{name}" for name in node.read_proc_files())]


def passes(
    program: Path, node: LinuxNode, rounds: int, stir: Callable[[], None]
) -> list[tuple[int, int, int]]:
    """Return (C ns, Python ns, bytes) of every round."""
    with tempfile.NamedTemporaryFile("w") as listed:
        listed.write("".join(f"{name}\n" for name in reads(node)))
        listed.flush()
        with subprocess.Popen(
            [program, listed.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as c:
            assert c.stdin is not None
            assert c.stdout is not None
            found = []
            for number in range(rounds + 2):
                took = [0, 0]
                for turn in (0, 1) if number % 2 else (1, 0):
                    stir()
                    if turn:
                        c.stdin.write("\n")
                        c.stdin.flush()
                        took[0] = int(c.stdout.readline().split()[0])
                    else:
                        start = time.perf_counter_ns()
                        node.observe()
                        took[1] = time.perf_counter_ns() - start
                if number >= 2:  # the first two warm both up
                    found.append((took[0], took[1], resident()))
            c.stdin.close()
    return found


def resident() -> int:
    """Bytes of this process that are resident."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * mmap.PAGESIZE


def main() -> None:
    options = parser(
        __doc__,
        root={"type": Path, "help": "a cgroup of a real kernel (default: plain files)"},
        make={"action": "store_true", "help": "make the cgroups below --root, and remove them"},
        cgroups={"type": int, "default": 1000},
        rounds={"type": int, "default": 21},
        vm={"metavar": "KERNEL", "help": "run all this in a virtual machine with this kernel"},
    ).parse_args()
    if options.vm:
        argv = [HERE / "run.py", "--root", "/sys/fs/cgroup/bench", "--make", "--cgroups", options.cgroups]
        report = report_of_guest(
            "observe", [*argv, "--rounds", options.rounds], kernel=options.vm, memory_mib=1536
        )
    else:
        try:
            report = here(options)
        except ToolMissing as error:
            unavailable("observe", error)
    show(report, as_json=options.json)


def here(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="memqos-observe-") as temporary:
        directory = Path(temporary)
        program = compiled(directory)
        tree: PlainTree | KernelTree
        if arguments.root is None:
            tree = PlainTree(directory, arguments.cgroups)
        else:
            tree = KernelTree(arguments.root, arguments.cgroups, make=arguments.make)
        try:
            rows = measured(tree, program, arguments.rounds)
        finally:
            tree.remove()
    where = "plain files" if arguments.root is None else f"kernel {platform.release()}"
    return {"where": f"{where}, Python {platform.python_version()}, {arguments.rounds} rounds", "rows": rows}


def measured(tree: PlainTree | KernelTree, program: Path, rounds: int) -> list[dict[str, Any]]:
    """Return one row per share of busy cgroups, in the form of benchmarks/run.py."""
    rows = []
    with LinuxNode(str(tree.root), subtree=tree.subtree) as node:
        for busy in (0.0, 0.1, 1.0):
            seen = len(node.observe().cgroups)
            count = int(busy * len(tree.paths))
            tree.stir(count)
            node.observe()
            gc.collect()
            found = passes(program, node, rounds, lambda count=count: tree.stir(count))  # type: ignore[misc]
            grown = found[-1][2] - found[len(found) // 2][2]  # the second half: caches are full by then
            ratios = sorted(python / c for c, python, _ in found)
            note = (
                f"{len(reads(node))} files, C {statistics.median(c for c, _, _ in found) / 1e6:.1f} ms, "
                f"observe {statistics.median(python for _, python, _ in found) / 1e6:.1f} ms, "
                f"grew {grown // 1024} KiB"
            )
            rows.append(row(f"{seen} cgroups, {busy:.0%} changed", "times C", ratios, GOAL, note))
    return rows


if __name__ == "__main__":
    main()
