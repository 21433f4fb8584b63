"""What one turn of the agent costs: time by step, against C, bytes of journal, resident memory.

    python benchmarks/agent/run.py [--pods 110] [--turns 30] [--busy 0.3] [--json]
    python benchmarks/agent/run.py --vm 6.12        the same on a real kernel, in QEMU

The pods are those of `trees.py`. Without --vm plain files stand for their cgroups, with every file a 6.12
kernel's busy cgroup had, and before each turn the counters of `busy` of the containers, and of the cgroups
they are in, move on by random amounts (seeded). On a real kernel a process goes through as many containers
and touches memory in each. The agent is the real one: `LinuxNode`, all policies, originals and journal on
disk; its memory is locked at the end, to see what that costs.

`turn` is the processor time of a whole turn, and of its steps; at one turn a second it is also the share of
one core, in tenths of a percent. `turn against c` is its ratio to a C program (benchmarks/observe) that only
reads the same files; the two take turns.
"""

from __future__ import annotations

import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from shared import parser, report_of_guest, row, show  # noqa: E402

GOALS = {"rss_running_mib": 60.0, "rss_locked_mib": 60.0, "turn_ms": 20.0}
"""What a median should not exceed; 20 ms are 2 % of one core at a turn a second, not of an emulated one."""


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def against_c(node: Any, directory: Path) -> Callable[[], int]:
    """Start the C program on what `node` reads; calling the result has it read once; returns its ns."""
    from observe.run import compiled, reads

    program = compiled(directory)
    (directory / "list").write_text("".join(f"{name}\n" for name in reads(node)))
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
    from trees import Plain, Real

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
                    tree.stir(busy, again=True)
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
        if unit:
            plain = name.removesuffix("_ms").removesuffix("_mib").replace("_", " ")
            goal = None if figures["real"] and unit == "ms" else GOALS.get(name)
            found.append(row(plain, unit, value if isinstance(value, list) else [value], goal))
    return found


def main() -> None:
    """Measure and print."""
    options = parser(
        __doc__,
        pods={"type": int, "default": 110},
        turns={"type": int, "default": 30},
        busy={"type": float, "default": 0.3},
        vm={"metavar": "KERNEL", "help": "run all this in a virtual machine with this kernel"},
        real={"action": "store_true", "help": "this machine's own cgroups (in a guest)"},
    ).parse_args()
    if options.vm:
        argv = [HERE / "run.py", "--real", "--pods", options.pods, "--turns", options.turns]
        report = report_of_guest("agent", [*argv, "--busy", options.busy], kernel=options.vm, memory_mib=1024)
    else:
        figures = measure(options.pods, options.turns, options.busy, real=options.real)
        kind = f"kernel {platform.release()}" if options.real else "plain files"
        where = (
            f"{kind}, {figures['cgroups']} cgroups, {figures['busy']:.0%} busy, {figures['turns']} turns, "
            f"Python {platform.python_version()}"
        )
        report = {"where": where, "rows": rows(figures)}
    show(report, as_json=options.json)


if __name__ == "__main__":
    main()
