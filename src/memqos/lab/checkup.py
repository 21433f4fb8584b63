"""What this machine can do for the laboratory: QEMU, busybox, kernels, KVM, the simulator, figures."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator

from memqos.agent.checkup import Finding
from memqos.errors import ToolMissing
from memqos.lab import initramfs, qemu
from memqos.lab.kernels import SUITES, cached


def check_lab() -> Iterator[Finding]:
    """Look for what an experiment needs; nothing is fetched or booted."""
    yield _tool("QEMU", lambda: str(qemu.program()))
    yield _tool("busybox", lambda: str(initramfs.busybox()))
    for name in SUITES:
        kernel = cached(name)
        if kernel is None:
            remedy = "the first experiment fetches it by apt"
            yield Finding("lab", f"kernel {name}", "missing", "not fetched yet", remedy)
        else:
            yield Finding("lab", f"kernel {name}", "ok", f"Debian {kernel.version}")
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        yield Finding("lab", "KVM", "ok", "/dev/kvm is here; it is used if a guest proves that it works")
    else:
        yield Finding("lab", "KVM", "missing", "no /dev/kvm: guests are emulated, about 10x slower")
    if importlib.util.find_spec("numba") is None:
        yield Finding("lab", "simulator", "missing", "no numba", "pip install numba numpy")
    else:
        yield Finding("lab", "simulator", "ok", "numba: memqos simulate")
    if importlib.util.find_spec("matplotlib") is None:
        yield Finding("lab", "figures", "missing", "no matplotlib", "pip install matplotlib")
    else:
        yield Finding("lab", "figures", "ok", "matplotlib")


def _tool(what: str, find: Callable[[], str]) -> Finding:
    try:
        return Finding("lab", what, "ok", find())
    except ToolMissing as error:
        return Finding("lab", what, "missing", error.problem, error.remedy)
