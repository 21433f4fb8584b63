"""What this kernel can do, found by looking and asking, never concluded from its version.

No probe leaves a trace: `0 swappiness=60` to `memory.reclaim` orders nothing to be taken back
(`user_proactive_reclaim`, mm/vmscan.c: the loop runs while less than 0 pages were reclaimed) and
is refused with EINVAL by a kernel without the option; a PSI trigger dies with its descriptor.
The names are those of `memqos.model.snapshot.FEATURES`.
"""

from __future__ import annotations

import os
from typing import Final

from memqos.errors import Unsupported

_BY_FILE: Final = {
    "memory.reclaim": "memory.reclaim",
    "memory.peak": "memory.peak",
    "memory.swap.max": "memory.swap",
    "memory.zswap.max": "memory.zswap",
    "io.max": "io.max",
    "io.weight": "io.weight",
    "io.bfq.weight": "io.weight",
    "io.cost.qos": "io.cost",
    "cgroup.kill": "cgroup.kill",
}


def check_supported(root: str) -> None:
    """Raise `Unsupported`, in one sentence with the remedy, where there is no cgroup v2 memory controller."""
    try:
        with open(f"{root}/cgroup.controllers", "rb") as file:
            controllers = file.read().split()
    except OSError:
        raise _no_cgroup2(root) from None
    if b"memory" not in controllers:
        raise Unsupported(
            f"{root} is cgroup v2 without the memory controller",
            remedy="boot without cgroup_disable=memory (on some boards with cgroup_enable=memory) and "
            "without a cgroup v1 memory hierarchy",
        )


def check_writable(root: str) -> None:
    """Raise `Unsupported`, with the remedy, where this process may write to no cgroup at all.

    A cgroup below the root may have been handed to it (delegation): then it is not refused.
    """
    if os.access(root, os.W_OK):
        return
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        raise Unsupported(
            f"{root} is mounted read-only",
            remedy=f"mount -o remount,rw {root}, or in a container run it privileged with the host's cgroups "
            "mounted read-write",
        )
    with os.scandir(root) as entries:
        if not any(each.is_dir() and os.access(each.path, os.W_OK) for each in entries):
            raise Unsupported(f"this process may not write to the cgroups below {root}", remedy="run as root")


def _no_cgroup2(root: str) -> Unsupported:
    remedy = "boot with systemd.unified_cgroup_hierarchy=1"
    if os.path.isdir(f"{root}/unified"):
        problem = f"{root} is a hybrid of cgroup v1 and v2 and the memory controller is on v1"
        return Unsupported(problem, remedy=remedy)
    if os.path.isdir(f"{root}/memory"):
        return Unsupported(f"{root} is cgroup v1, which has no memory QoS", remedy=remedy)
    remedy = f"mount one there: mount -t cgroup2 cgroup2 {root}"
    return Unsupported(f"{root} is not a cgroup v2 hierarchy", remedy=remedy)


def probe(root: str, sample: str, options: frozenset[str] | None) -> frozenset[str]:
    """Probe at the root and in one other cgroup, `sample`, that has the memory controller ("": none yet).

    `options` are the mount options of a real cgroup2 mount; `None` for a tree of plain files, to
    which nothing is written.
    """
    at_root = _files(root)
    found = at_root | (_files(f"{root}/{sample}") if sample else set())
    features = {feature for name, feature in _BY_FILE.items() if name in found}
    if sample and _writable(f"{root}/{sample}/memory.peak"):
        features.add("memory.peak reset")
        if "io.max" in features:
            # no knob tells this one: it came with the same release (tg_dispatch_in_debt in blk-throttle.c)
            features.add("io.max spares swap")
    if options is None:
        return frozenset(features)
    if "memory.reclaim" in features:
        reclaim = (
            f"{root}/memory.reclaim" if "memory.reclaim" in at_root else f"{root}/{sample}/memory.reclaim"
        )
        if _accepts(reclaim, b"0 swappiness=60"):
            features.add("memory.reclaim swappiness")
        if _accepts(reclaim, b"0 swappiness=max"):
            features.add("memory.reclaim swappiness=max")
    if "memory_recursiveprot" in options:
        features.add("memory_recursiveprot")
    return frozenset(features)


def _files(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except OSError:
        return set()


def _writable(path: str) -> bool:
    """Tell whether the file has a write handler: kernfs shows it in the mode, which binds root too."""
    try:
        return bool(os.stat(path).st_mode & 0o200)
    except OSError:
        return False


def _accepts(path: str, text: bytes) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(fd, text) == len(text)
    except OSError:
        return False
    finally:
        os.close(fd)


def mglru(raw: bytes | None) -> bool:
    """Tell from /sys/kernel/mm/lru_gen/enabled (`0x0007`) whether the multi-gen LRU is on."""
    try:
        return raw is not None and int(raw, 16) != 0
    except ValueError:
        return False
