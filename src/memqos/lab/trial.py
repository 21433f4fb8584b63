"""Try pods and a policy on a real kernel: `memqos run`, in a virtual machine, and what it recorded.

What `memqos run` says is passed on line by line while it runs. The journal it kept comes out of the
guest, so that what happened can be looked at afterwards as if it had been this machine.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memqos.agent.journal import read
from memqos.errors import LabError
from memqos.lab.qemu import Disk
from memqos.lab.run import Machine, run_in_guest
from memqos.lab.spec import Setup
from memqos.model.plan import Tick
from memqos.units import MIB

_STATE = "/run/memqos"
_TIMEOUT = 240.0
"""Seconds for boot and end under emulation, beside the time the pods get."""

MACHINE = Machine(memory_mib=1024, swap_mib=512, disks=(Disk("data", 512 * MIB),), setup=Setup(data="data"))
"""A node of 1 GiB with 512 MiB of swap and a data disk at /data."""


@dataclass(frozen=True)
class Trial:
    """What came out: the document of `memqos run --json`, every turn of the agent, and on which kernel."""

    document: dict[str, Any]
    ticks: tuple[Tick, ...]
    kernel_release: str
    accel: str


def try_pods(
    manifests: Sequence[Path],
    policy: Path | None,
    *,
    kernel: str,
    seconds: float,
    out_dir: Path,
    say: Callable[[str], None] = lambda line: None,
) -> Trial:
    """Run the pods of `manifests` under `policy` for `seconds` on a real kernel.

    Raises `ToolMissing`, `VmLost`, and `LabError` with what `memqos run` said when it failed.
    """
    argv = [sys.executable, "-m", "memqos", "run", "--state", _STATE, "--json"]
    argv += ["--seconds", f"{seconds:g}", "--grace", "2"]
    for path in manifests:
        argv += ["--pods", str(path.resolve())]
    if policy is not None:
        argv += ["--policy", str(policy.resolve())]
    script = (
        f'{shlex.join(argv)} > "$MEMQOS_OUT/run.json"; s=$?; cp {_STATE}/journal/* "$MEMQOS_OUT"; exit $s'
    )
    guest = run_in_guest(
        ["sh", "-c", script],
        kernel=kernel,
        out_dir=out_dir,
        machine=MACHINE,
        timeout=seconds + _TIMEOUT,
        watch=say,
    )
    if guest.status or "run.json" not in guest.files:
        raise LabError(
            f"memqos run ended with status {guest.status} in the guest: {guest.stdout.strip()[-500:]}"
        )
    document = json.loads(guest.files["run.json"].read_bytes())
    ticks = tuple(read(guest.files["run.json"].parent))
    return Trial(document, ticks, guest.kernel.release, guest.accel)
