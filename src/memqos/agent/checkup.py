"""What this machine can do for an agent: each ability, whether it is here, and the remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from memqos.cluster.placement import find_roots
from memqos.errors import MemqosError, Unsupported
from memqos.linux.features import check_writable
from memqos.linux.node import LinuxNode
from memqos.linux.shelter import CAP_SYS_RESOURCE, has_capability, may_lock
from memqos.model.snapshot import FEATURES, Snapshot
from memqos.policy.guard import dangers
from memqos.policy.named_disk import lost_names
from memqos.policy.settings import Settings
from memqos.units import format_bytes

State: TypeAlias = Literal["ok", "missing", "fault"]
"""`missing`: something memqos does without; `fault`: something it cannot do its job without."""

_REMEDIES: Final = {
    "psi": "boot with psi=1",
    "psi trigger": "run as root, or with CAP_SYS_RESOURCE; without it pressure is sampled",
    "io.max": "enable the io controller: echo +io > cgroup.subtree_control, from the root down",
    "io.weight": "needs CONFIG_BLK_CGROUP_IOCOST; memqos limits I/O with io.max then",
    "io.cost": "needs CONFIG_BLK_CGROUP_IOCOST; memqos limits I/O with io.max then",
    "memory.swap": "boot without swapaccount=0",
    "memory_recursiveprot": "mount -o remount,memory_recursiveprot /sys/fs/cgroup (systemd does)",
    "swap": "turn on a swap device or file; without one no pod can have swap",
    "mglru": "echo y > /sys/kernel/mm/lru_gen/enabled, if you want MGLRU",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    area: str
    what: str
    state: State
    detail: str
    remedy: str = ""


def check_node(cgroup_root: str = "/sys/fs/cgroup", settings: Settings | None = None) -> Iterator[Finding]:
    """Look at the node as an agent would; nothing is changed. `settings` are those of an agent that runs."""
    try:
        with LinuxNode(cgroup_root) as node:
            snapshot = node.observe()
    except Unsupported as error:
        yield Finding("manage", "cgroup v2", "fault", error.problem, error.remedy)
        return
    except MemqosError as error:
        yield Finding("manage", "cgroup v2", "fault", str(error))
        return
    yield Finding("manage", "cgroup v2", "ok", f"{len(snapshot.cgroups)} cgroups below {cgroup_root}")
    yield _permission(cgroup_root)
    yield _memory(snapshot)
    yield _kubepods(snapshot)
    for danger in dangers(snapshot, io_limited=settings is not None and settings.io.enabled):
        where = danger.subject or "node"
        yield Finding("danger", where, "missing", danger.problem, danger.remedy)
    if settings is not None and settings.io.enabled:
        for advice in lost_names(settings.io.disks, snapshot, "policy"):
            yield Finding("policy", advice.subject, "missing", advice.problem, advice.remedy)
    for line in snapshot.unread:
        remedy = "nothing is decided by it; report it, with the kernel's version"
        yield Finding("kernel", "not read", "missing", line, remedy)
    yield from _protection(cgroup_root)
    for name, meaning in FEATURES.items():
        if name in snapshot.features:
            yield Finding("kernel", name, "ok", meaning)
        else:
            remedy = _REMEDIES.get(name, "a newer kernel has it; memqos does without")
            yield Finding("kernel", name, "missing", meaning, remedy)


def _permission(cgroup_root: str) -> Finding:
    try:
        check_writable(cgroup_root)
    except Unsupported as error:
        return Finding("manage", "permission", "fault", error.problem, error.remedy)
    return Finding("manage", "permission", "ok", "this process may write to cgroups")


def _protection(cgroup_root: str) -> Iterator[Finding]:
    """What would protect the agent itself."""
    wanted = {
        "own cgroup": (os.access(cgroup_root, os.W_OK), "its own cgroup, with memory.min", "run as root"),
        "oom_score_adj": (
            has_capability(CAP_SYS_RESOURCE),
            "oom_score_adj -999: the OOM killer takes it last",
            "run as root, or with CAP_SYS_RESOURCE",
        ),
        "mlock": (
            may_lock(),
            "its memory is locked and never paged out",
            "run as root, with CAP_IPC_LOCK, or with LimitMEMLOCK=infinity",
        ),
    }
    for name, (there, detail, remedy) in wanted.items():
        yield Finding("agent", name, "ok" if there else "missing", detail, "" if there else remedy)


def _memory(snapshot: Snapshot) -> Finding:
    meminfo = snapshot.node.meminfo
    sizes = [f"{key} {format_bytes(meminfo[key])}" for key in ("MemTotal", "SwapTotal") if key in meminfo]
    return Finding("manage", "memory", "ok", ", ".join(sizes))


def _kubepods(snapshot: Snapshot) -> Finding:
    roots = find_roots(snapshot.cgroups)
    if not roots:
        detail, remedy = "no kubepods cgroup: no kubelet runs pods here", "memqos run --pods runs pods itself"
        return Finding("manage", "pods", "missing", detail, remedy)
    drivers = ", ".join(sorted({root.config.cgroup_driver for root in roots}))
    return Finding("manage", "pods", "ok", f"kubepods is here (driver {drivers})")
