"""How long from the onset of a stall until something is done about it: memqos, the kubelet, systemd-oomd.

    python benchmarks/reaction/run.py [--vm 6.12] [--repeats 3] [--json] [--only MANAGER] [--phases]

The managers take turns in one virtual machine, each with the same stall (`inside.py` says which): an
important service grows on a full node whose swap disk is slow.

onset    the first look of a probe that saw the service stalled for 50 ms of the last 500 ms
look     the first turn of the agent that began after the onset (its journal: `Snapshot.time_us`)
decision the first turn that took something from the neighbour: a rung's write, an order to reclaim, an
         eviction; its time in the journal and what deciding took
acted    the first look of the probe at which a knob of the neighbour had changed, or its program was gone

Below 0 it was before the onset. Whoever did nothing as long as the probe looked is counted with that time: a
lower bound, and said so. Under emulation everything takes 10 to 25 times as long as on a real processor; the
kubelet looks every 10 s and systemd-oomd waits for 30 s of pressure, by the clock of the wall.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

UNAVAILABLE = 69
HERE = Path(__file__).resolve().parent
SECONDS = {"memqos": 15, "kubelet": 25, "systemd-oomd": 60}
"""How long each is watched at most: half as long again as its own rule takes, or more."""
RATIO = 0.1


def play(
    kernel: str, managers: list[str], repeats: int, *, phases: bool = False
) -> tuple[list[dict[str, Any]], str]:
    """Boot once and have the managers take turns. Raises `LabError`."""
    from memqos.lab.oomd import VARIABLE, fetch_oomd
    from memqos.lab.qemu import Disk
    from memqos.lab.run import Machine, run_in_guest
    from memqos.lab.spec import Setup

    each = "; ".join(f"{sys.executable} {HERE / 'inside.py'} {one} {SECONDS[one]}" for one in managers)
    script = "; ".join([each] * repeats)
    swap = Disk("swap", 512 << 20, bps=20 << 20, iops=2000)
    environment = {"PYTHONPATH": str(HERE.parents[1] / "src"), "PATH": os.environ["PATH"]}
    if phases:
        environment["REACTION_PHASES"] = "1"
    if "systemd-oomd" in managers:
        environment[VARIABLE] = str(fetch_oomd())
    with tempfile.TemporaryDirectory(prefix="memqos-reaction-") as out:
        guest = run_in_guest(
            ["/bin/sh", "-c", script],
            kernel=kernel,
            out_dir=Path(out),
            machine=Machine(memory_mib=512, disks=(swap,), setup=Setup(swaps=("swap",))),
            timeout=(300 * len(managers) + sum(SECONDS[one] for one in managers)) * repeats + 120,
            environment=environment,
        )
    lines = [line for line in guest.stdout.splitlines() if line.startswith('{"manager"')]
    if len(lines) < len(managers) * repeats:
        print(f"reaction: in the guest: {guest.stdout[-1500:]}", file=sys.stderr)
    where = f"QEMU/{guest.accel}, kernel {guest.kernel.release}, {repeats} repeats"
    return [json.loads(line) for line in lines], where


def rows(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures as benchmarks/run.py takes them."""
    made = []
    acted: dict[str, float] = {}
    for manager in dict.fromkeys(one["manager"] for one in found):
        theirs = [one for one in found if one["manager"] == manager and one["onset_ms"] is not None]
        for key in ("onset", "look", "decision", "acted"):
            values = [one.get(f"{key}_ms") for one in theirs]
            never = sum(value is None for value in values) if key == "acted" else 0
            if key == "acted":
                values = [one.get("acted_ms") or one["watched_ms"] for one in theirs]
            times = sorted(value for value in values if value is not None)
            if not times:
                continue
            if key == "acted":
                acted[manager] = statistics.median(times)
            goal = 1000.0 if manager == "memqos" and key in ("decision", "acted") else None
            note = f"{len(times)} of {sum(one['manager'] == manager for one in found)} repeats"
            name = f"{manager}: {'growth to onset' if key == 'onset' else f'onset to {key}'}"
            made.append(row(name, "ms", times, goal, note + (f", {never} never: at least" if never else "")))
    made.extend(
        row(f"memqos of {rival}", "times", [acted["memqos"] / acted[rival]], RATIO, "of the medians")
        for rival in ("kubelet", "systemd-oomd")
        if rival in acted and "memqos" in acted
    )
    return made


def row(name: str, unit: str, times: list[float], goal: float | None, note: str) -> dict[str, Any]:
    low, median, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return {
        "name": name,
        "unit": unit,
        "median": median,
        "low": low,
        "high": high,
        "goal": goal,
        "note": note,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vm", metavar="KERNEL", default="6.12")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=sorted(SECONDS))
    parser.add_argument("--phases", action="store_true", help="with --json: each step of memqos's turns")
    options = parser.parse_args()
    from memqos.errors import LabError

    managers = [options.only] if options.only else list(SECONDS)
    try:
        found, where = play(options.vm, managers, options.repeats, phases=options.phases)
    except LabError as error:
        print(f"reaction: {error}", file=sys.stderr)
        return UNAVAILABLE
    if not found:
        return 1
    report = {"where": where, "rows": rows(found), "repeats": found}
    if options.json:
        print(json.dumps(report, indent=2))
        return 0
    print(where)
    for one in rows(found):
        spread = f"{one['low']:.2f} to {one['high']:.2f}"
        print(f"{one['name']:32} {one['median']:10.2f} {one['unit']}  {spread}; {one['note']}")
    for one in found:
        print(one)
    return 0


if __name__ == "__main__":
    sys.exit(main())
