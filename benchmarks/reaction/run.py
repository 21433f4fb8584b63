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

import json
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from shared import guest, parser, row, show, unavailable  # noqa: E402

SECONDS = {"memqos": 15, "kubelet": 25, "systemd-oomd": 60}
"""How long each is watched at most: half as long again as its own rule takes, or more."""
RATIO = 0.1


def play(
    kernel: str, managers: list[str], repeats: int, *, phases: bool = False
) -> tuple[list[dict[str, Any]], str]:
    """Boot once and have the managers take turns."""
    from memqos.errors import LabError
    from memqos.lab.oomd import VARIABLE, fetch_oomd
    from memqos.lab.qemu import Disk
    from memqos.lab.spec import Setup

    each = "; ".join(f"{sys.executable} {HERE / 'inside.py'} {one} {SECONDS[one]}" for one in managers)
    environment = {"REACTION_PHASES": "1"} if phases else {}
    if "systemd-oomd" in managers:
        try:
            environment[VARIABLE] = str(fetch_oomd())
        except LabError as error:
            unavailable("reaction", error)
    done = guest(
        "reaction",
        ["/bin/sh", "-c", "; ".join([each] * repeats)],
        kernel=kernel,
        timeout=(300 * len(managers) + sum(SECONDS[one] for one in managers)) * repeats + 120,
        environment=environment,
        memory_mib=512,
        disks=(Disk("swap", 512 << 20, bps=20 << 20, iops=2000),),
        setup=Setup(swaps=("swap",)),
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"manager"')]
    if len(lines) < len(managers) * repeats:
        print(f"reaction: in the guest: {done.stdout[-1500:]}", file=sys.stderr)
    where = f"QEMU/{done.accel}, kernel {done.kernel.release}, {repeats} repeats"
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


def main() -> int:
    options = parser(
        __doc__,
        vm={"metavar": "KERNEL", "default": "6.12"},
        repeats={"type": int, "default": 3},
        only={"choices": sorted(SECONDS)},
        phases={"action": "store_true", "help": "with --json: each step of memqos's turns"},
    ).parse_args()
    managers = [options.only] if options.only else list(SECONDS)
    found, where = play(options.vm, managers, options.repeats, phases=options.phases)
    if not found:
        return 1
    show({"where": where, "rows": rows(found), "repeats": found}, as_json=options.json)
    if not options.json:
        for one in found:
            print(one)
    return 0


if __name__ == "__main__":
    sys.exit(main())
