"""Does the agent's shelter keep it deciding while the node thrashes? The same thrash with and without it.

    python benchmarks/shelter/run.py [--vm 6.12] [--repeats 2] [--json]

In a virtual machine of 512 MiB with a slow swap disk (4 MiB and 300 requests a second) three programs
touch more memory than there is, at random. The agent watches them with no remedy turned on, so that the
thrash goes on, and keeps a journal; `protectItself` is off, then on.

longest gap    between the beginnings of two neighbouring turns; the agent is to look every second
major faults   pages of the agent that were read from a disk
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

UNAVAILABLE = 69
HERE = Path(__file__).resolve().parent
SECONDS = 40
SETTLE_S = 5
INTERVAL_S = 1.0
GOAL_GAP_MS = 2000.0
POLICY = """
apiVersion: memqos.dev/v1alpha1
kind: MemoryPolicy
spec:
  agent: {{intervalSeconds: {interval}, protectItself: {protect}}}
  swap: {{reserve: 0}}
  reclaim: {{enabled: false}}
  throttle: {{enabled: false}}
  io: {{enabled: false}}
  evict: {{mode: "Off"}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, annotations: {{memqos.dev/swap-limit: 1Gi}}}}
spec:
  restartPolicy: Always
  containers: [{{name: main, command: {command}}}]
"""
THRASH = """
import random
held = bytearray({size})
while True:
    start = random.randrange(0, len(held) - 4096, 4096)
    held[start] = (held[start] + 1) % 256
"""


def once(protect: bool, where: Path) -> dict[str, Any]:
    """Play it once, inside a guest."""
    from memqos.agent.journal import read

    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    (where / "policy.yaml").write_text(POLICY.format(protect=str(protect).lower(), interval=INTERVAL_S))
    argv = [sys.executable, "-m", "memqos", "run", "--policy", str(where / "policy.yaml"), "--json"]
    argv += ["--state", str(where / "s"), "--grace", "0"]
    code = THRASH.format(size=memory * 2 // 5)
    for name in ("one", "two", "three"):
        command = json.dumps([sys.executable, "-S", "-c", code])
        (where / f"{name}.yaml").write_text(POD.format(name=name, command=command))
        argv += ["--pods", str(where / f"{name}.yaml")]
    with (where / "said").open("w") as output:
        agent = subprocess.Popen(argv, stdout=output, stderr=output)
    faults, end = 0, time.monotonic() + SECONDS + SETTLE_S
    while time.monotonic() < end:
        if agent.poll() is not None:
            raise SystemExit(f"the agent ended: {(where / 'said').read_text()[-1000:]}")
        faults = int(Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()[9])
        time.sleep(1)
    ended = time.monotonic()
    agent.send_signal(signal.SIGTERM)
    agent.wait(400)
    looks = [tick.snapshot.time_us / 1e6 for tick in read(where / "s/journal")]
    looks = [look for look in looks if looks[0] + SETTLE_S <= look <= ended]
    gaps = [(after - before) * 1e3 for before, after in pairwise([*looks, ended])]
    return {
        "protect": protect,
        "turns": len(looks),
        "longest_gap_ms": max(gaps),
        "median_gap_ms": statistics.median(gaps),
        "major_faults": faults,
    }


def rows(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures as benchmarks/run.py takes them."""
    made = []
    for protect in (False, True):
        runs = [one for one in found if one["protect"] == protect]
        for key, unit in (("longest_gap_ms", "ms"), ("median_gap_ms", "ms"), ("major_faults", "faults")):
            values = sorted(one[key] for one in runs)
            low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
            goal = GOAL_GAP_MS if protect and key == "longest_gap_ms" else None
            name = f"{'sheltered' if protect else 'bare'}: {key.removesuffix('_ms').replace('_', ' ')}"
            note = f"turns: {', '.join(str(one['turns']) for one in runs)}"
            made.append(
                {"name": name, "unit": unit, "median": median, "low": low, "high": high}
                | {"goal": goal, "note": note}
            )
    return made


def inside(repeats: int) -> None:
    """Run in the guest, as root; one line of JSON a run."""
    for _ in range(repeats):
        for protect in (False, True):
            with tempfile.TemporaryDirectory() as directory:
                print(json.dumps(once(protect, Path(directory))), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vm", metavar="KERNEL", default="6.12")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.repeats)
        return 0
    from memqos.errors import LabError
    from memqos.lab.qemu import Disk
    from memqos.lab.run import Machine, run_in_guest
    from memqos.lab.spec import Setup

    argv = [sys.executable, str(HERE / "run.py"), "--inside", "--repeats", str(options.repeats)]
    swap = Disk("swap", 1 << 30, bps=4 << 20, iops=300)
    with tempfile.TemporaryDirectory(prefix="memqos-shelter-") as out:
        try:
            guest = run_in_guest(
                argv,
                kernel=options.vm,
                out_dir=Path(out),
                machine=Machine(memory_mib=512, disks=(swap,), setup=Setup(swaps=("swap",))),
                timeout=400 * options.repeats + 120,
                environment={"PYTHONPATH": str(HERE.parents[1] / "src"), "PATH": os.environ["PATH"]},
            )
        except LabError as error:
            print(f"shelter: {error}", file=sys.stderr)
            return UNAVAILABLE
    found = [json.loads(line) for line in guest.stdout.splitlines() if line.startswith('{"protect"')]
    if guest.status != 0 or len(found) < 2 * options.repeats:
        print(f"shelter: in the guest: status {guest.status}: {guest.stdout[-1500:]}", file=sys.stderr)
        return 1
    where = f"QEMU/{guest.accel}, kernel {guest.kernel.release}, {options.repeats} repeats"
    if options.json:
        print(json.dumps({"where": where, "rows": rows(found), "repeats": found}, indent=2))
        return 0
    print(where)
    for one in rows(found):
        spread = f"{one['low']:.0f} to {one['high']:.0f}"
        print(f"{one['name']:26} {one['median']:10.0f} {one['unit']}  {spread}; {one['note']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
