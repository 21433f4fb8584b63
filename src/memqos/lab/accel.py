"""Whether KVM really works here: `/dev/kvm` may exist and its guests still hang or die.

The only proof is a guest that comes up, so one is booted under KVM, with little time to answer;
the verdict holds for this boot of the host. `MEMQOS_LAB_ACCEL=tcg` or `=kvm` settles it instead.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from memqos.errors import LabError
from memqos.lab.cache import cache_dir, locked
from memqos.lab.kernels import Kernel
from memqos.lab.vm import Vm

_PROBE_S = 10.0
"""Twice what the same guest takes without KVM on a quiet machine."""


def accelerator(kernel: Kernel) -> str:
    """Return "kvm" where a guest proved it, else "tcg" (emulation, everywhere)."""
    wish = os.environ.get("MEMQOS_LAB_ACCEL", "auto")
    if wish not in ("auto", "tcg", "kvm"):
        raise LabError(f"MEMQOS_LAB_ACCEL={wish!r}: write auto, tcg or kvm")
    if wish != "auto":
        return wish
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    verdict = cache_dir("accel") / f"{boot}-{kernel.release}"
    with locked("accel"):
        if not verdict.exists():
            verdict.write_text("kvm" if _proved(kernel) else "tcg", encoding="ascii")
        return verdict.read_text(encoding="ascii")


def _proved(kernel: Kernel) -> bool:
    with tempfile.TemporaryDirectory(prefix="memqos-kvm-") as share:
        try:
            with Vm(kernel, ["true"], Path(share), memory_mib=512, accel="kvm") as vm:
                return vm.wait(_PROBE_S) == 0
        except LabError:
            return False
