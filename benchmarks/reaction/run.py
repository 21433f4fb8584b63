"""How long from the onset of a stall to the agent's first write against it, on a real kernel.

    python benchmarks/reaction/run.py [--vm 6.12] [--repeats 3] [--json]

A service with a priority touches all its memory over and over. A neighbour without one waits, then takes more
than the node has left, as fast as it can. A probe beside them looks every 20 ms at `total` of the memory
pressure of the service and of the node, and at the neighbour's knobs.

onset    the first look that saw tasks of the service, or of the node, stalled for 50 ms of the last 500 ms
look     the first turn of the agent that began after the onset (its journal: `Snapshot.time_us`)
decision the first turn that took something from the neighbour: a rung's write, an order to reclaim, an
         eviction; its time in the journal and what deciding took
seen     the first look of the probe at which a knob of the neighbour had changed since its start

A turn that acted between the neighbour's start and the onset acted before anything was felt: that is less
than 0. Under emulation everything takes 10 to 25 times as long as on a real processor; the kubelet
looks every 10 s and systemd-oomd waits for 30 s of pressure by default, by the clock of the wall.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

UNAVAILABLE = 69
HERE = Path(__file__).resolve().parent
ROOT = Path("/sys/fs/cgroup")
WAIT_S = 12
HELD = ("kubelet", "hierarchy", "swap", "protect", "relax", "memqos")
"""Policies whose writes are no remedy against a neighbour."""

KNOBS = ("memory.high", "memory.max", "memory.swap.max", "io.max")

SERVICE = """
held = bytearray({size})
while True:
    for start in range(0, len(held), 4096):
        held[start] = (held[start] + 1) % 256
"""
NEIGHBOUR = """
import time
time.sleep({wait})
print("began", time.monotonic(), flush=True)
held = []
while True:
    held.append(bytearray(b"x" * (1 << 20)))
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, annotations: {{memqos.dev/swap-limit: 64Mi}}}}
spec:
  priority: {priority}
  restartPolicy: Never
  containers:
    - name: main
      command: {command}
      resources: {{requests: {{memory: {request}}}}}
"""
POLICY = """
apiVersion: memqos.dev/v1alpha1
kind: MemoryPolicy
spec: {swap: {reserve: 0}}
"""


def once(where: Path) -> dict[str, float | None]:
    """Play it once, inside a guest; return milliseconds after the onset."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    programs = {
        "service": (1_000_000, "96Mi", SERVICE.format(size=80 << 20)),
        "neighbour": (0, "16Mi", NEIGHBOUR.format(wait=WAIT_S)),
    }
    argv = [sys.executable, "-m", "memqos", "run", "--state", str(where / "s"), "--json", "--grace", "0"]
    (where / "policy.yaml").write_text(POLICY)
    argv += ["--policy", str(where / "policy.yaml")]
    for name, (priority, request, code) in programs.items():
        command = json.dumps([sys.executable, "-S", "-u", "-c", code])
        text = POD.format(name=name, priority=priority, request=request, command=command)
        (where / f"{name}.yaml").write_text(text)
        argv += ["--pods", str(where / f"{name}.yaml")]
    with (where / "said").open("w") as said:
        agent = subprocess.Popen(argv, stdout=said, stderr=said)
    log = where / "s/logs"
    while not (began := _began(log)):
        if agent.poll() is not None:
            raise SystemExit(f"the agent ended: {(where / 'said').read_text()[-1000:]}")
        time.sleep(0.02)
    service = _pod(log, "service")
    neighbour = _pod(log, "neighbour")
    looks, seen = _probe(service, neighbour, began + 25)
    agent.send_signal(signal.SIGTERM)
    agent.wait(240)
    onset = _onset(looks, began)
    if onset is None:
        return {"onset_ms": None}
    return (
        {"onset_ms": (onset - began) * 1e3}
        | _journal(where, neighbour, began, onset)
        | {
            "seen_ms": next(((at - onset) * 1e3 for at in seen if at >= began), None),
            "memory_mib": total / 2**20,
        }
    )


def _began(logs: Path) -> float:
    for path in logs.glob("default_neighbour_*/main/0.log"):
        words = path.read_text().split()
        if len(words) == 2:
            return float(words[1])
    return 0.0


def _pod(logs: Path, name: str) -> Path:
    (found,) = logs.glob(f"default_{name}_*")
    uid = found.name.rpartition("_")[2]
    (cgroup,) = ROOT.glob(f"kubepods/*/pod{uid}")
    return cgroup


def _probe(service: Path, neighbour: Path, until: float) -> tuple[list[tuple[float, int, int]], list[float]]:
    """Look every 20 ms; return (time, service's total, node's total) and when a knob changed."""
    looks, changes = [], []
    files = [neighbour / knob for knob in KNOBS] + [neighbour / "main" / knob for knob in KNOBS]
    before: list[str] | None = None
    while time.monotonic() < until:
        now = time.monotonic()
        looks.append((now, _total(service / "memory.pressure"), _total(Path("/proc/pressure/memory"))))
        held = [_text(file) for file in files]
        if before is not None and held != before:
            changes.append(now)
        before = held
        time.sleep(0.02)
    return looks, changes


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _total(file: Path) -> int:
    text = _text(file)
    return int(text.split()[4].partition("=")[2]) if text else 0


def _onset(looks: list[tuple[float, int, int]], began: float) -> float | None:
    for now, service, node in looks:
        if now < began:
            continue
        window = [look for look in looks if now - 0.5 <= look[0] <= now]
        if max(service - window[0][1], node - window[0][2]) >= 50_000:
            return now
    return None


def _journal(where: Path, neighbour: Path, began: float, onset: float) -> dict[str, float | None]:
    from memqos.agent.journal import read

    path = str(neighbour.relative_to(ROOT))
    look = decision = None
    for tick in read(where / "s/journal"):
        at = tick.snapshot.time_us / 1e6
        if look is None and at >= onset:
            look = (at - onset) * 1e3
        acted = any(
            outcome.write.cgroup.startswith(path)
            and outcome.status in ("written", "begun")
            and outcome.write.policy not in HELD
            for outcome in tick.outcomes
        ) or any(one.status == "begun" for one in tick.evicted)
        if acted and at >= began and decision is None:
            decision = (at + tick.decided_in_us / 1e6 - onset) * 1e3
    return {"look_ms": look, "decision_ms": decision}


def inside(repeats: int) -> None:
    """Run in the guest, as root, and print the report."""
    found = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as directory:
            found.append(once(Path(directory)))
    where = f"kernel {platform.release()}, Python {platform.python_version()}, {repeats} repeats"
    print("\n" + json.dumps({"where": where, "rows": rows(found), "repeats": found}))


def rows(found: list[dict[str, float | None]]) -> list[dict[str, Any]]:
    """Return the figures as benchmarks/run.py takes them."""
    made = []
    for key in ("onset", "look", "decision", "seen"):
        times = sorted(value for one in found if (value := one.get(f"{key}_ms")) is not None)
        if not times:
            continue
        quartiles = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
        name = "neighbour's start to onset" if key == "onset" else f"onset to {key}"
        made.append(
            {"name": name, "unit": "ms", "median": statistics.median(times), "low": quartiles[0]}
            | {"high": quartiles[2], "goal": 1000.0 if key in ("decision", "seen") else None}
            | {"note": f"{len(times)} of {len(found)} repeats"}
        )
    return made


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vm", metavar="KERNEL", default="6.12")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.repeats)
        return 0
    from memqos.errors import LabError
    from memqos.lab.run import Machine, run_in_guest

    argv = [sys.executable, str(HERE / "run.py"), "--inside", "--repeats", str(options.repeats)]
    with tempfile.TemporaryDirectory(prefix="memqos-reaction-") as out:
        try:
            guest = run_in_guest(
                argv,
                kernel=options.vm,
                out_dir=Path(out),
                machine=Machine(memory_mib=512, swap_mib=256),
                timeout=240 * options.repeats + 120,
                environment={"PYTHONPATH": str(HERE.parents[1] / "src"), "PATH": os.environ["PATH"]},
            )
        except LabError as error:
            print(f"reaction: {error}", file=sys.stderr)
            return UNAVAILABLE
    if guest.status != 0:
        print(
            f"reaction: in the guest it ended with status {guest.status}: {guest.stdout[-1500:]}",
            file=sys.stderr,
        )
        return 1
    report = json.loads(guest.stdout[guest.stdout.rindex('\n{"where"') :])
    report["where"] = f"QEMU/{guest.accel}, {report['where']}"
    if options.json:
        print(json.dumps(report, indent=2))
        return 0
    print(report["where"])
    for row in report["rows"]:
        print(
            f"{row['name']:28} {row['median']:10.0f} ms  {row['low']:.0f} to {row['high']:.0f}; {row['note']}"
        )
    for one in report["repeats"]:
        print(one)
    return 0


if __name__ == "__main__":
    sys.exit(main())
