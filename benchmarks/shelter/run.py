"""Does the agent's shelter keep it deciding while the node thrashes? The same thrash with and without it.

    python benchmarks/shelter/run.py [--vm 6.12] [--repeats 2] [--json]

In a virtual machine of 512 MiB with a slow swap disk (4 MiB and 300 requests a second) three programs
touch more memory than there is, at random. The agent watches them with no remedy turned on, so that the
thrash goes on, and keeps a journal; `protectItself` is off, then on.

longest gap    between the beginnings of two neighbouring turns, in 40 s from 5 s after the third turn on; the
               agent is to look every second
major faults   pages of the agent that were read from a disk meanwhile
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from shared import THRASH, guest, looks, major_faults, manifest, memqos_run, parser, row, show  # noqa: E402

SECONDS = 40
SETTLE_S = 5
READY_S = 200
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


def once(protect: bool, where: Path) -> dict[str, Any]:
    """Play it once, inside a guest."""
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    policy = POLICY.format(protect=str(protect).lower(), interval=INTERVAL_S)
    command = [sys.executable, "-S", "-c", THRASH.format(size=memory * 2 // 5)]
    pods = {name: manifest(name, command, swap="1Gi") for name in ("one", "two", "three")}
    agent = memqos_run(where, policy, pods)
    ready = time.monotonic() + READY_S
    while not looks(where) and time.monotonic() < ready:
        time.sleep(1)
    time.sleep(SETTLE_S)
    begun, before = time.monotonic(), major_faults(agent.pid)
    time.sleep(SECONDS)
    if agent.poll() is not None:
        raise SystemExit(f"the agent ended: {(where / 'said').read_text()[-1000:]}")
    ended, faults = time.monotonic(), major_faults(agent.pid) - before
    agent.send_signal(signal.SIGTERM)
    agent.wait(400)
    seen = [look for look in looks(where) if begun <= look <= ended]
    gaps = [(after - before) * 1e3 for before, after in pairwise([begun, *seen, ended])]
    return {
        "protect": protect,
        "turns": len(seen),
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
            goal = GOAL_GAP_MS if protect and key == "longest_gap_ms" else None
            name = f"{'sheltered' if protect else 'bare'}: {key.removesuffix('_ms').replace('_', ' ')}"
            note = f"turns: {', '.join(str(one['turns']) for one in runs)}"
            made.append(row(name, unit, [one[key] for one in runs], goal, note))
    return made


def inside(repeats: int) -> None:
    """Run in the guest, as root; one line of JSON a run."""
    for _ in range(repeats):
        for protect in (False, True):
            with tempfile.TemporaryDirectory() as directory:
                print(json.dumps(once(protect, Path(directory))), flush=True)


def main() -> int:
    options = parser(
        __doc__,
        vm={"metavar": "KERNEL", "default": "6.12"},
        repeats={"type": int, "default": 2},
        inside={"action": "store_true", "help": argparse.SUPPRESS},
    ).parse_args()
    if options.inside:
        inside(options.repeats)
        return 0
    from memqos.lab.qemu import Disk
    from memqos.lab.spec import Setup

    done = guest(
        "shelter",
        [sys.executable, HERE / "run.py", "--inside", "--repeats", options.repeats],
        kernel=options.vm,
        timeout=400 * options.repeats + 120,
        memory_mib=512,
        disks=(Disk("swap", 1 << 30, bps=4 << 20, iops=300),),
        setup=Setup(swaps=("swap",)),
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"protect"')]
    if done.status != 0 or len(found) < 2 * options.repeats:
        print(f"shelter: in the guest: status {done.status}: {done.stdout[-1500:]}", file=sys.stderr)
        return 1
    where = f"QEMU/{done.accel}, kernel {done.kernel.release}, {options.repeats} repeats"
    show({"where": where, "rows": rows(found), "repeats": found}, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
