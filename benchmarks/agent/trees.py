"""The cgroups of a node with pods: plain files that stand for them, or a real kernel's.

kubepods with a Burstable class, and in each pod's cgroup a sandbox and two containers.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable
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


def chosen(cgroups: Iterable[Path], busy: float, chance: random.Random) -> list[tuple[Path, bool]]:
    """Choose containers that do something; return them and the cgroups they are in, and who is at a limit."""
    known = set(cgroups)
    leaves = [directory for directory in cgroups if directory.parent.name.startswith("pod")]
    busy_ones = chance.sample(leaves, int(len(leaves) * busy))
    limited = busy_ones[: math.ceil(len(busy_ones) * AT_LIMIT)]
    moving, at_limit = (
        {above for directory in some for above in (directory, *directory.parents) if above in known}
        for some in (busy_ones, limited)
    )
    return [(directory, directory in at_limit) for directory in cgroups if directory in moving]


class Plain:
    """Plain files."""

    def __init__(self, where: Path, pods: int, chance: random.Random) -> None:
        self.cgroups = make_node(where, pods)
        self.roots = (str(self.cgroups[0]), str(where / "proc"), str(where / "sys"))
        self._chance = chance
        self._counters = link_counters(self.cgroups[1:], where / "counters")
        self._chosen: list[tuple[Path, bool]] = []

    def stir(self, busy: float, *, again: bool = False) -> None:
        """Let counters grow, of others than the last time or of the same ones.

        They move without a word to who watches the cgroup's directory, as a kernel's do, by their other name.
        """
        if not again:
            self._chosen = chosen(list(self._counters), busy, self._chance)
        for directory, limited in self._chosen:
            files = [self._counters[directory] / name for name in COUNTERS]
            for file in (*files, *([directory / "memory.events"] if limited else [])):
                if file.exists():
                    file.write_text(grown(file.read_text(), self._chance))

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

    def stir(self, busy: float, *, again: bool = False) -> None:
        """Go through the same containers every time, whether again or not."""
        self._tree.stir(int(len(self._tree.paths) * busy))

    def remove(self) -> None:
        self._tree.remove()
        (self.cgroups[0] / "cgroup.procs").write_text("0\n")
        for directory in reversed(self.cgroups[1:]):
            directory.rmdir()
