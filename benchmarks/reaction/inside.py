"""The guest's part of benchmarks/reaction: one manager, one stall, and when what was done about it.

    python inside.py MANAGER SECONDS        memqos, kubelet or systemd-oomd; as root, in a guest

A neighbour without priority takes most of the node's memory and goes on touching it. Then a service with a
priority takes more than twice what it has, at once: that has to come from the neighbour, which alone may be
swapped, through a slow disk. A probe looks every 20 ms at `total` of the service's memory.pressure and at the
neighbour. SECONDS is how long it goes on.

The pods run under `memqos run` (a dry run for the rivals, so that only the kubelet's own knobs are written).
The kubelet is its eviction rule: a look every 10 s, memory.available below 100Mi; who of the two goes needs
no ranking. systemd-oomd is Debian's own (`memqos.lab.oomd`), with its compiled-in defaults on kubepods.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared import manifest, memqos_run

ROOT = Path("/sys/fs/cgroup")
GO = Path("/run/reaction-go")
HELD = ("kubelet", "hierarchy", "swap", "protect", "relax", "memqos")
"""Policies whose writes are no remedy against a neighbour."""
KNOBS = ("memory.high", "memory.max", "memory.swap.max", "io.max")
PHASES = "REACTION_PHASES"
"""Set: the steps of memqos's turns are told, too (`phases.py`)."""
PERIOD_S = 10
"""evictionMonitoringPeriod of the kubelet (pkg/kubelet/kubelet.go)."""
THRESHOLD = 100 << 20
READY_S = 240

TOUCH = """
import os, time
def touch(held, began=0):
    for start in range(began, len(held), 4096):
        held[start] = (held[start] + 1) % 256
held = bytearray({size})
touch(held)
print("held", time.monotonic(), flush=True)
"""
SERVICE = (
    TOUCH
    + """
while not os.path.exists("{go}"):
    touch(held); time.sleep(0.1)
print("began", time.monotonic(), flush=True)
more = bytearray(b"x") * {more}
while True:
    touch(held)
    touch(more)
"""
)
NEIGHBOUR = (
    TOUCH
    + """
while True:
    touch(held)
"""
)
POLICY = """
apiVersion: memqos.dev/v1alpha1
kind: MemoryPolicy
spec: {swap: {reserve: 0}}
"""


def said(logs: Path, name: str, word: str) -> float | None:
    """Return when a pod's program said a word, by the monotonic clock."""
    for path in logs.glob(f"default_{name}_*/main/0.log"):
        for line in path.read_text().splitlines():
            if line.startswith(word + " "):
                return float(line.split()[1])
    return None


def pod_of(logs: Path, name: str) -> Path:
    (found,) = logs.glob(f"default_{name}_*")
    uid = found.name.rpartition("_")[2]
    (cgroup,) = ROOT.glob(f"kubepods/*/pod{uid}")
    return cgroup


def text_of(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def total(pod: Path) -> int:
    text = text_of(pod / "memory.pressure")
    return int(text.split()[4].partition("=")[2]) if text else 0


def start(manager: str, where: Path, memory: int) -> subprocess.Popen[str]:
    """Start the agent with both pods."""
    mib = 1 << 20
    programs = {
        "service": (1_000_000, "0", SERVICE.format(size=memory // 12, more=memory // 5, go=GO)),
        "neighbour": (0, "1Gi", NEIGHBOUR.format(size=max(memory * 13 // 20, 64 * mib))),
    }
    pods = {
        name: manifest(
            name,
            [sys.executable, "-S", "-u", "-c", code],
            swap=swap,
            priority=priority,
            restart="Never",
            request="16Mi",
        )
        for name, (priority, swap, code) in programs.items()
    }
    phases = (str(Path(__file__).with_name("phases.py")), str(where / "phases"))
    program = phases if PHASES in os.environ else ("-m", "memqos")
    options = ["--dry-run"] if manager != "memqos" else []
    return memqos_run(where, POLICY, pods, *options, program=program)


def kubelet(neighbour: Path, stop: threading.Event) -> None:
    """Evict the neighbour at the first look, of one in ten seconds, that finds the node short.

    Which of the two it would be needs no ranking: the neighbour is above its request and has no priority.
    """
    while not stop.wait(PERIOD_S):
        info = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        # memory.available: the node's memory less the root's working set (usage less inactive_file)
        kib = {key: int(info[key].split()[0]) for key in ("MemFree", "Inactive(file)")}
        if (kib["MemFree"] + kib["Inactive(file)"]) * 1024 < THRESHOLD:
            for child in neighbour.glob("*/cgroup.kill"):
                child.write_text("1")
            return


def probe(service: Path, neighbour: Path, until: float) -> tuple[list[tuple[float, int]], float | None]:
    """Look every 20 ms; return the service's stalls, and when first something was done to the neighbour."""
    main = neighbour / "main"
    files = [cgroup / knob for cgroup in (neighbour, main) for knob in KNOBS]
    before = [text_of(file) for file in files]
    looks: list[tuple[float, int]] = []
    done = None
    while time.monotonic() < until and (done is None or not looks or time.monotonic() < done + 1):
        now = time.monotonic()
        looks.append((now, total(service)))
        gone = "populated 0" in (text_of(main / "cgroup.events") or "populated 0")
        if done is None and (gone or [text_of(file) for file in files] != before):
            done = now
        time.sleep(0.02)
    return looks, done


def onset_of(looks: list[tuple[float, int]], began: float) -> float | None:
    """Return the first look that saw the service stalled for 50 ms of the last 500 ms."""
    for now, stalled in looks:
        window = [look for look in looks if now - 0.5 <= look[0] <= now]
        if now >= began and stalled - window[0][1] >= 50_000:
            return now
    return None


def journal(where: Path, neighbour: Path, began: float, onset: float) -> dict[str, Any]:
    """Return when the agent looked and decided, after the onset, and its turns about then."""
    from memqos.agent.journal import read

    path = str(neighbour.relative_to(ROOT))
    look = decision = None
    turns = []
    for tick in read(where / "s/journal"):
        at = tick.snapshot.time_us / 1e6
        if look is None and at >= onset:
            look = (at - onset) * 1e3
        acts = [
            f"{outcome.write.policy}: {outcome.write.knob}"
            for outcome in tick.outcomes
            if outcome.write.cgroup.startswith(path)
            and outcome.status in ("written", "begun")
            and outcome.write.policy not in HELD
        ] + [f"{one.eviction.policy}: evict" for one in tick.evicted if one.status == "begun"]
        acted = bool(acts)
        if -2 < at - onset < 5:
            spent = [f"{one.rung} {one.step} {one.subject}" for one in tick.plan.stands]
            turns.append((round((at - onset) * 1e3), tick.woken_by, tick.decided_in_us // 1000, acts, spent))
        if acted and at >= began and decision is None:
            decision = (at + tick.decided_in_us / 1e6 - onset) * 1e3
    return {"look_ms": look, "decision_ms": decision, "turns": turns}


def once(manager: str, where: Path, seconds: float) -> dict[str, Any]:
    """Play it once; return milliseconds after the onset."""
    GO.unlink(missing_ok=True)
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    stop = threading.Event()
    daemon: Any = None
    agent = start(manager, where, memory)
    logs = where / "s/logs"
    try:
        ready = time.monotonic() + READY_S
        while not (said(logs, "service", "held") and said(logs, "neighbour", "held")):
            if agent.poll() is not None or time.monotonic() > ready:
                raise SystemExit(f"the pods did not get ready: {(where / 'said').read_text()[-1000:]}")
            time.sleep(0.1)
        service, neighbour = pod_of(logs, "service"), pod_of(logs, "neighbour")
        if manager == "systemd-oomd":
            from memqos.lab.oomd import real_oomd

            daemon = real_oomd(where)
        if manager == "kubelet":
            threading.Thread(target=kubelet, args=(neighbour, stop), daemon=True).start()
        time.sleep(3)
        GO.touch()
        while (began := said(logs, "service", "began")) is None:
            if time.monotonic() > ready:
                raise SystemExit("the service never began to grow")
            time.sleep(0.02)
        looks, done = probe(service, neighbour, began + seconds)
    finally:
        stop.set()
        if daemon is not None:
            with contextlib.suppress(OSError):
                daemon.close()
        agent.send_signal(signal.SIGTERM)
        try:
            agent.wait(60)
        except subprocess.TimeoutExpired:
            print("the agent did not end within a minute of SIGTERM", flush=True)
            agent.kill()
            for each in ROOT.glob("kubepods/cgroup.kill"):
                each.write_text("1")
    onset = onset_of(looks, began)
    found: dict[str, Any] = {"manager": manager, "onset_ms": None if onset is None else (onset - began) * 1e3}
    if onset is None:
        return found | {"stalled_ms": (looks[-1][1] - looks[0][1]) / 1e3}
    found["acted_ms"] = None if done is None else (done - onset) * 1e3
    found["watched_ms"] = (looks[-1][0] - onset) * 1e3
    found["stalled_ms"] = (looks[-1][1] - looks[0][1]) / 1e3
    if PHASES in os.environ and manager == "memqos":
        steps = json.loads((where / "phases").read_text())
        found["phases"] = [step for step in steps if -2 < step[1] - onset < 6]
        found["onset"] = onset
    return found | (journal(where, neighbour, began, onset) if manager == "memqos" else {})


def main() -> None:
    """Print what was found as one line of JSON."""
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(once(sys.argv[1], Path(directory), float(sys.argv[2]))), flush=True)
    os._exit(0)  # the thread that plays the service manager to systemd-oomd never ends


if __name__ == "__main__":
    main()
