"""What one turn of the agent costs: time by step, bytes of journal, resident memory.

    python benchmarks/agent/run.py [--pods 110] [--turns 30] [--busy 0.3] [--json]

A tree of plain files stands for the node: kubepods with a Burstable class, and in each pod's
cgroup a sandbox and two containers, each with every file a 6.12 kernel's busy cgroup had. Before
each turn the counters of `busy` of the cgroups move on by random amounts (seeded). The agent is
the real one: `LinuxNode`, the hierarchy and swap policies, originals and journal on disk.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUSY = Path(__file__).parents[2] / "tests/golden/kernel-6.12/busy"
FILES = [
    path
    for path in sorted(BUSY.iterdir())
    if path.name.startswith(("memory.", "io.", "cpu.pressure", "cgroup.ev"))
]
COUNTERS = (
    "memory.stat",
    "memory.events",
    "memory.pressure",
    "io.pressure",
    "cpu.pressure",
    "memory.current",
)


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
    return made


def move_on(cgroups: list[Path], busy: float, chance: random.Random) -> None:
    """Let the counters of some cgroups grow, as a node at work does."""
    for directory in chance.sample(cgroups, int(len(cgroups) * busy)):
        for name in COUNTERS:
            file = directory / name
            if file.exists():
                grown = re.sub(
                    r"(?<=[ =])[1-9]\d+$|^\d+$",
                    lambda number: str(int(number[0]) + chance.randrange(1 << 20)),
                    file.read_text(),
                    flags=re.MULTILINE,
                )
                file.write_text(grown)


def measure(pods: int, turns: int, busy: float) -> dict[str, Any]:
    """Run the agent; return medians over the turns but the first."""
    figures: dict[str, Any] = {"pods": pods, "turns": turns, "busy": busy, "rss_bare_mib": resident()}
    from memqos.agent.config import load_policy
    from memqos.agent.journal import Journal, segments
    from memqos.agent.loop import Agent
    from memqos.agent.originals import Originals
    from memqos.linux.node import LinuxNode
    from memqos.model.plan import Tick
    from memqos.model.pods import Container, PlacedPod, Pod
    from memqos.policy.ladder import ladder

    figures["rss_imported_mib"] = resident()
    settings = load_policy(Path(__file__).parents[2] / "examples/policy.yaml")
    figures["rss_policy_read_mib"] = resident()
    times: dict[str, list[float]] = {"observe": [], "decide": [], "enforce": [], "journal": []}

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                times[name].append((time.perf_counter() - begun) * 1e3)

        return run

    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        where = Path(directory)
        cgroups = make_node(where, pods)
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
        with LinuxNode(str(cgroups[0]), str(where / "proc"), str(where / "sys")) as node:
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
            for _ in range(turns):
                move_on(cgroups[1:], busy, chance)
                before = sum(path.stat().st_size for path in segments(where / "journal"))
                tick: Tick = agent.tick()
                sizes.append(sum(path.stat().st_size for path in segments(where / "journal")) - before)
            figures["cgroups"] = len(tick.snapshot.cgroups)
            figures["writes_planned"] = len(tick.plan.writes)
            journal.close()
    figures["journal_bytes_first_turn"] = sizes[0]
    figures["rss_running_mib"] = resident()
    figures["rss_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures |= {f"{step}_ms": values[1:] for step, values in times.items()}
    figures["journal_bytes_per_turn"] = sizes[1:]
    return figures


def rows(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures as benchmarks/run.py takes them."""
    units = {"_ms": "ms", "_mib": "MiB", "_bytes": "bytes", "_turn": "bytes"}
    found = []
    for name, value in figures.items():
        unit = next((unit for ending, unit in units.items() if name.endswith(ending)), "")
        low, median, high = statistics.quantiles(value, n=4) if isinstance(value, list) else (value,) * 3
        if unit:
            plain = name.removesuffix("_ms").removesuffix("_mib").replace("_", " ")
            found.append(
                {"name": plain, "unit": unit, "median": median, "low": low, "high": high, "goal": None}
                | {"note": ""}
            )
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pods", type=int, default=110)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--busy", type=float, default=0.3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.pods, options.turns, options.busy)
    if options.json:
        where = (
            f"{figures['cgroups']} plain cgroups, {figures['busy']:.0%} busy, {figures['turns']} turns, "
            f"Python {platform.python_version()}"
        )
        json.dump({"where": where, "rows": rows(figures)}, sys.stdout, indent=2)
        return
    for row in rows(figures):
        print(f"{row['name']:24} {row['median']:10.2f} {row['unit']:6} {row['low']:.2f} to {row['high']:.2f}")


if __name__ == "__main__":
    main()
