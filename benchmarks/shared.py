"""What benchmarks have in common: rows and how they are shown, a guest to run in, pods under `memqos run`.

A benchmark is run by its path, so it puts this directory on its `sys.path` before it asks for `shared`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
UNAVAILABLE = 69
"""EX_UNAVAILABLE of sysexits.h: it cannot run here."""

THRASH = """
import random
held = bytearray({size})
while True:
    start = random.randrange(0, len(held) - 4096, 4096)
    held[start] = (held[start] + 1) % 256
"""
"""A program that touches its memory at random."""


def row(
    name: str, unit: str, values: Sequence[float], goal: float | None = None, note: str = ""
) -> dict[str, Any]:
    """Return a figure as benchmarks/run.py takes it: median and quartiles."""
    low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    found = {"name": name, "unit": unit, "median": median, "low": low, "high": high}
    return found | {"goal": goal, "note": note}


def show(report: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a report, {"where", "rows", ...}, as JSON or for people."""
    if as_json:
        print(json.dumps(report, indent=2))
        return
    print(report["where"])
    for one in report["rows"]:
        spread = f"{one['low']:.2f} to {one['high']:.2f}"
        goal = "" if one["goal"] is None else f" (goal {one['goal']:g})"
        note = f"; {one['note']}" if one["note"] else ""
        print(f"{one['name']:32} {one['median']:10.2f} {one['unit']}  {spread}{goal}{note}")


def parser(doc: str | None, **options: Mapping[str, Any]) -> argparse.ArgumentParser:
    """Return a parser with `--json`, and an option for each name given."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true")
    for name, about in options.items():
        made.add_argument(f"--{name}", **about)
    return made


def unavailable(name: str, why: object) -> NoReturn:
    """End: it cannot run here."""
    print(f"{name}: {why}", file=sys.stderr)
    sys.exit(UNAVAILABLE)


def guest(
    name: str,
    argv: Sequence[object],
    *,
    kernel: str,
    timeout: float,
    environment: Mapping[str, str] = {},
    **hardware: Any,
) -> Any:
    """Run a command in a virtual machine (`hardware`: `memqos.lab.run.Machine`); return its `GuestResult`.

    Ends with `UNAVAILABLE` where there is none.
    """
    from memqos.errors import LabError
    from memqos.lab.run import Machine, run_in_guest

    paths = {"PYTHONPATH": f"{HERE.parent / 'src'}:{HERE}", "PATH": os.environ["PATH"]}
    with tempfile.TemporaryDirectory(prefix=f"memqos-{name}-") as out:
        try:
            return run_in_guest(
                [str(word) for word in argv],
                kernel=kernel,
                out_dir=Path(out),
                machine=Machine(**hardware),
                timeout=timeout,
                environment=paths | dict(environment),
            )
        except LabError as error:
            unavailable(name, error)


def report_of_guest(name: str, argv: Sequence[object], *, kernel: str, memory_mib: int) -> dict[str, Any]:
    """Run a benchmark's own `--json` in a virtual machine and return its report."""
    done = guest(name, [sys.executable, *argv, "--json"], kernel=kernel, timeout=900, memory_mib=memory_mib)
    if done.status != 0:
        raise SystemExit(f"{name}: in the guest it ended with status {done.status}: {done.stdout[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return report | {"where": f"QEMU/{done.accel}, {report['where']}"}


def manifest(
    name: str,
    command: Sequence[str],
    *,
    swap: str = "",
    priority: int = 0,
    restart: str = "Always",
    request: str = "",
) -> str:
    """Return a pod of one container, `main`, as a manifest (JSON is YAML)."""
    container = {"name": "main", "command": list(command)}
    if request:
        container["resources"] = {"requests": {"memory": request}}
    about = {"name": name, "annotations": {"memqos.dev/swap-limit": swap} if swap else {}}
    spec = {"priority": priority, "restartPolicy": restart, "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})


def memqos_run(
    where: Path,
    policy: str,
    manifests: Mapping[str, str],
    *options: str,
    program: Sequence[str] = ("-m", "memqos"),
) -> subprocess.Popen[str]:
    """Start `memqos run` with pods; in `where` are its state in s, its report in report, errors in said."""
    (where / "policy.yaml").write_text(policy)
    argv = [sys.executable, *program, "run", "--policy", str(where / "policy.yaml"), "--json", *options]
    argv += ["--state", str(where / "s"), "--grace", "0"]
    for name, text in manifests.items():
        (where / f"{name}.yaml").write_text(text)
        argv += ["--pods", str(where / f"{name}.yaml")]
    with (where / "report").open("w") as report, (where / "said").open("w") as errors:
        return subprocess.Popen(argv, stdout=report, stderr=errors, text=True)


def looks(where: Path) -> list[float]:
    """Return when the agent of `memqos_run` looked, by the monotonic clock, from its third turn on.

    By then its pods have begun, however long all of them took to start.
    """
    from memqos.agent.journal import read

    journal = where / "s/journal"
    return [tick.snapshot.time_us / 1e6 for tick in read(journal)][2:] if journal.exists() else []


def major_faults(pid: int) -> int:
    """Return how many pages of a process were read from a disk so far (proc(5): majflt)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[9])
