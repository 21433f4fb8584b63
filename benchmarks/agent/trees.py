"""The cgroups of a node with pods: plain files that stand for them, or a real kernel's.

kubepods with a Burstable class, and in each pod's cgroup a sandbox and two containers.
"""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

from observe.run import KernelTree

BUSY = Path(__file__).parents[2] / "tests/golden/kernel-6.12/busy"
FILES = [
    path
    for path in sorted(BUSY.iterdir())
    if path.name.startswith(("memory.", "io.", "cpu.pressure", "cgroup.ev"))
]
COUNTERS = ("memory.stat", "memory.pressure", "io.pressure", "cpu.pressure", "memory.current")
AT_LIMIT = 0.1
"""Of the busy cgroups so many run into a limit, too: their memory.events move."""


def make_node(where: Path, pods: int) -> list[Path]:
    """Build the tree; return the cgroups' directories."""
    made = [where / "cgroup", where / "cgroup/kubepods", where / "cgroup/kubepods/burstable"]
    for number in range(pods):
        pod = made[2] / f"pod{number:08d}-1111-2222-3333-444444444444"
        made += [pod, *(pod / f"{part}{number:063x}" for part in "abc")]
    for directory in made:
        directory.mkdir(parents=True)
        for file in FILES:
            (directory / file.name).write_text(file.read_text())
        (directory / "cgroup.controllers").write_text("cpu io memory pids\n")
    (where / "proc/sys/kernel/random").mkdir(parents=True)
    (where / "proc/sys/kernel/random/boot_id").write_text("benchmark\n")
    for file in ("meminfo", "vmstat", "zoneinfo", "diskstats", "swaps"):
        captured = BUSY.parent / "proc" / file
        if captured.exists():
            (where / "proc" / file).write_text(captured.read_text())
    (made[0] / "cgroup.stat").write_text(f"nr_descendants {len(made) - 1}\n")
    return made


def link_counters(cgroups: list[Path], where: Path) -> dict[Path, Path]:
    """Give the counters a second name each, in a directory that nobody watches; return it by cgroup."""
    names = {}
    for number, directory in enumerate(cgroups):
        names[directory] = where / str(number)
        names[directory].mkdir(parents=True)
        for name in COUNTERS:
            (names[directory] / name).hardlink_to(directory / name)
    return names


def grown(text: str, chance: random.Random) -> str:
    """Return a file of counters later on: whatever is not 0 has grown by a random amount."""
    return re.sub(
        r"(?<=[ =])[1-9]\d+$|^\d+$",
        lambda number: str(int(number[0]) + chance.randrange(1 << 20)),
        text,
        flags=re.MULTILINE,
    )


def move_on(cgroups: dict[Path, Path], busy: float, chance: random.Random) -> None:
    """Let the counters of some containers grow, and of the cgroups they are in, as a node at work does.

    They move without a word to who watches the cgroup's directory, as a kernel's do, by their other name.
    """
    leaves = [directory for directory in cgroups if directory.parent.name.startswith("pod")]
    chosen = chance.sample(leaves, int(len(leaves) * busy))
    limited = set(chosen[: math.ceil(len(chosen) * AT_LIMIT)])
    above = {parent for directory in chosen for parent in directory.parents if parent in cgroups}
    limited |= {parent for directory in limited for parent in directory.parents if parent in cgroups}
    for directory in (*chosen, *sorted(above)):
        files = [cgroups[directory] / name for name in COUNTERS]
        files += [directory / "memory.events"] if directory in limited else []
        for file in files:
            if file.exists():
                file.write_text(grown(file.read_text(), chance))


class Plain:
    """Plain files."""

    def __init__(self, where: Path, pods: int, chance: random.Random) -> None:
        self.cgroups = make_node(where, pods)
        self.roots = (str(self.cgroups[0]), str(where / "proc"), str(where / "sys"))
        self._chance = chance
        self._counters = link_counters(self.cgroups[1:], where / "counters")

    def stir(self, busy: float) -> None:
        move_on(self._counters, busy, self._chance)

    def remove(self) -> None:
        """The temporary directory goes by itself."""


class Real:
    """The cgroups of a real kernel, below /sys/fs/cgroup/kubepods."""

    def __init__(self, where: Path, pods: int, chance: random.Random) -> None:
        root = Path("/sys/fs/cgroup")
        made = [root / "kubepods", root / "kubepods/burstable"]
        for number in range(pods):
            pod = made[1] / f"pod{number:08d}-1111-2222-3333-444444444444"
            made += [pod, *(pod / f"{part}{number:063x}" for part in "abc")]
        for directory in made:
            directory.mkdir()
            (directory.parent / "cgroup.subtree_control").write_text("+memory +io\n")
        self.cgroups = [root, *made]
        self.roots = (str(root), "/proc", "/sys")
        self._tree = KernelTree(root / "kubepods", 0, make=False)
        chance.shuffle(self._tree.paths)

    def stir(self, busy: float) -> None:
        self._tree.stir(int(len(self._tree.paths) * busy))

    def remove(self) -> None:
        self._tree.remove()
        (self.cgroups[0] / "cgroup.procs").write_text("0\n")
        for directory in reversed(self.cgroups[1:]):
            directory.rmdir()
