"""What one turn of the agent costs: time by step, against C, bytes of journal, resident memory.

    python benchmarks/agent/run.py [--pods 110] [--turns 30] [--busy 0.3] [--json]
    python benchmarks/agent/run.py --vm 6.12        the same on a real kernel, in QEMU

kubepods with a Burstable class, and in each pod's cgroup a sandbox and two containers. Without --vm
plain files stand for them, with every file a 6.12 kernel's busy cgroup had, and before each turn the
counters of `busy` of the cgroups move on by random amounts (seeded). On a real kernel a process goes
through as many and touches memory in each. The agent is the real one: `LinuxNode`, all policies, originals
and journal on disk; its memory is locked at the end, to see what that costs.

`turn` is the processor time of a whole turn, and of its steps; at one turn a second it is also the share of
one core, in tenths of a percent. `turn against c` is its ratio to a C program (benchmarks/observe) that only
reads the same files; the two take turns.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

UNAVAILABLE = 69
HERE = Path(__file__).resolve().parent
GOALS = {"rss_running_mib": 60.0, "rss_locked_mib": 60.0, "turn_ms": 20.0}
"""What a median should not exceed; 20 ms are 2 % of one core at a turn a second, not of an emulated one."""

BUSY = Path(__file__).parents[2] / "tests/golden/kernel-6.12/busy"
FILES = [
    path
    for path in sorted(BUSY.iterdir())
    if path.name.startswith(("memory.", "io.", "cpu.pressure", "cgroup.ev"))
]
COUNTERS = ("memory.stat", "memory.pressure", "io.pressure", "cpu.pressure", "memory.current")
AT_LIMIT = 0.1
"""Of the busy cgroups so many run into a limit, too: their memory.events move."""


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


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


def move_on(cgroups: dict[Path, Path], busy: float, chance: random.Random) -> None:
    """Let the counters of some cgroups grow, as a node at work does.

    They move without a word to who watches the cgroup's directory, as a kernel's do, by their other name.
    """
    chosen = chance.sample(list(cgroups), int(len(cgroups) * busy))
    for place, directory in enumerate(chosen):
        files = [cgroups[directory] / name for name in COUNTERS]
        files += [directory / "memory.events"] if place < len(chosen) * AT_LIMIT else []
        for file in files:
            if file.exists():
                grown = re.sub(
                    r"(?<=[ =])[1-9]\d+$|^\d+$",
                    lambda number: str(int(number[0]) + chance.randrange(1 << 20)),
                    file.read_text(),
                    flags=re.MULTILINE,
                )
                file.write_text(grown)


def observe_benchmark() -> Any:
    """Return benchmarks/observe/run.py: its C program, and its ways with a real kernel."""
    spec = importlib.util.spec_from_file_location("observe", HERE.parent / "observe/run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
        self._tree = observe_benchmark().KernelTree(root / "kubepods", 0, make=False)
        chance.shuffle(self._tree.paths)

    def stir(self, busy: float) -> None:
        self._tree.stir(int(len(self._tree.paths) * busy))

    def remove(self) -> None:
        self._tree.remove()
        (self.cgroups[0] / "cgroup.procs").write_text("0\n")
        for directory in reversed(self.cgroups[1:]):
            directory.rmdir()


def against_c(node: Any, directory: Path) -> Callable[[], int]:
    """Start the C program on what `node` reads; calling the result has it read once; returns its ns."""
    observe = observe_benchmark()
    program = observe.compiled(directory)
    (directory / "list").write_text("".join(f"{name}\n" for name in observe.reads(node)))
    c = subprocess.Popen([program, directory / "list"], stdin=-1, stdout=-1, text=True)

    def read() -> int:
        assert c.stdin is not None
        assert c.stdout is not None
        c.stdin.write("\n")
        c.stdin.flush()
        return int(c.stdout.readline().split()[2])

    return read


def measure(pods: int, turns: int, busy: float, *, real: bool) -> dict[str, Any]:
    """Run the agent; return medians over the turns but the first."""
    figures: dict[str, Any] = {
        "pods": pods,
        "turns": turns,
        "busy": busy,
        "real": real,
        "rss_bare_mib": resident(),
    }
    from memqos.agent.config import load_policy
    from memqos.agent.journal import Journal, segments
    from memqos.agent.loop import Agent
    from memqos.agent.originals import Originals
    from memqos.agent.thrift import thrifty
    from memqos.linux.node import LinuxNode
    from memqos.linux.shelter import Shelter
    from memqos.model.plan import Tick
    from memqos.model.pods import Container, PlacedPod, Pod
    from memqos.policy.ladder import ladder

    figures["rss_imported_mib"] = resident()
    settings = load_policy(Path(__file__).parents[2] / "examples/policy.yaml")
    figures["rss_policy_read_mib"] = resident()
    names = ("observe", "decide", "enforce", "journal", "turn")
    times: dict[str, list[float]] = {name: [] for name in names}
    ratios: list[float] = []

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            begun = time.process_time_ns()
            try:
                return call(*args, **kwargs)
            finally:
                times[name].append((time.process_time_ns() - begun) / 1e6)

        return run

    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        where = Path(directory)
        tree = Real(where, pods, chance) if real else Plain(where, pods, chance)
        cgroups = tree.cgroups
        placed = []
        for number, path in enumerate(path for path in cgroups if path.name.startswith("pod")):
            names = {
                name: f"{path.relative_to(cgroups[0])}/{part}{number:063x}"
                for name, part in (("app", "b"), ("log", "c"))
            }
            pod = Pod("default", f"p{number}", f"u{number}", (Container("app"), Container("log")),
                      annotations={"memqos.dev/swap-limit": "64Mi"})  # fmt: skip
            placed.append(PlacedPod(pod, str(path.relative_to(cgroups[0])), names))
        sizes: list[int] = []
        with LinuxNode(*tree.roots) as node:
            originals = Originals(where / "state", node.observe().boot_id)
            journal = Journal(where / "journal")
            agent = Agent(node, ladder(settings), lambda _: tuple(placed), originals, journal=journal)
            for step, owner, method in (
                ("observe", node, "observe"),
                ("decide", agent, "_decide"),
                ("journal", journal, "append"),
            ):
                setattr(owner, method, timed(step, getattr(owner, method)))
            enforce = agent.enforcer.enforce
            agent.enforcer = type(
                "Timed", (), {"enforce": staticmethod(timed("enforce", enforce)), "notes": []}
            )()  # type: ignore[assignment]
            with thrifty():
                agent.tick()
                read_in_c = against_c(node, where)
                for _ in range(turns):
                    tree.stir(busy)
                    c_ns = read_in_c()
                    tree.stir(busy)
                    before = sum(path.stat().st_size for path in segments(where / "journal"))
                    begun = time.process_time_ns()
                    tick: Tick = agent.tick()
                    took = time.process_time_ns() - begun
                    times["turn"].append(took / 1e6)
                    ratios.append(took / c_ns)
                    sizes.append(sum(path.stat().st_size for path in segments(where / "journal")) - before)
            figures["cgroups"] = len(tick.snapshot.cgroups)
            figures["writes_planned"] = len(tick.plan.writes)
            journal.close()
        figures["rss_running_mib"] = resident()
        shelter = Shelter(str(where / "nowhere"))
        shelter.enter()
        figures["rss_locked_mib"] = resident()
        shelter.leave()
        tree.remove()
    figures["journal_bytes_first_turn"] = sizes[0]
    figures["rss_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures |= {f"{step}_ms": values[1:] for step, values in times.items()}
    figures["turn_against_c"] = ratios[1:]
    figures["journal_bytes_per_turn"] = sizes[1:]
    return figures


def rows(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures as benchmarks/run.py takes them."""
    units = {"_ms": "ms", "_mib": "MiB", "_bytes": "bytes", "_turn": "bytes", "_c": "times C"}
    found = []
    for name, value in figures.items():
        unit = next((unit for ending, unit in units.items() if name.endswith(ending)), "")
        low, median, high = statistics.quantiles(value, n=4) if isinstance(value, list) else (value,) * 3
        if unit:
            plain = name.removesuffix("_ms").removesuffix("_mib").replace("_", " ")
            found.append(
                {"name": plain, "unit": unit, "median": median, "low": low, "high": high}
                | {"goal": None if figures["real"] and unit == "ms" else GOALS.get(name)}
                | {"note": ""}
            )
    return found


def in_guest(options: argparse.Namespace) -> dict[str, Any]:
    """Run all this in a virtual machine; ends with `UNAVAILABLE` where there is none."""
    from memqos.errors import LabError
    from memqos.lab.run import Machine, run_in_guest

    argv = [sys.executable, str(HERE / "run.py"), "--real", "--json"]
    argv += ["--pods", str(options.pods), "--turns", str(options.turns), "--busy", str(options.busy)]
    with tempfile.TemporaryDirectory(prefix="memqos-agent-") as out:
        try:
            guest = run_in_guest(
                argv,
                kernel=options.vm,
                out_dir=Path(out),
                machine=Machine(memory_mib=1024),
                timeout=900,
                environment={"PYTHONPATH": str(HERE.parents[1] / "src")},
            )
        except LabError as error:
            print(f"agent: {error}", file=sys.stderr)
            sys.exit(UNAVAILABLE)
    if guest.status != 0:
        raise SystemExit(f"agent: in the guest it ended with status {guest.status}: {guest.stdout[-2000:]}")
    report: dict[str, Any] = json.loads(guest.stdout[guest.stdout.index("{") :])
    return report | {"where": f"QEMU/{guest.accel}, {report['where']}"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pods", type=int, default=110)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--busy", type=float, default=0.3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--vm", metavar="KERNEL", help="run all this in a virtual machine with this kernel")
    parser.add_argument("--real", action="store_true", help="this machine's own cgroups (in a guest)")
    options = parser.parse_args()
    if options.vm:
        report = in_guest(options)
    else:
        figures = measure(options.pods, options.turns, options.busy, real=options.real)
        kind = f"kernel {platform.release()}" if options.real else "plain files"
        where = (
            f"{kind}, {figures['cgroups']} cgroups, {figures['busy']:.0%} busy, {figures['turns']} turns, "
            f"Python {platform.python_version()}"
        )
        report = {"where": where, "rows": rows(figures)}
    if options.json:
        json.dump(report, sys.stdout, indent=2)
        return
    print(report["where"])
    for row in report["rows"]:
        print(f"{row['name']:24} {row['median']:10.2f} {row['unit']:6} {row['low']:.2f} to {row['high']:.2f}")


if __name__ == "__main__":
    main()
