"""The simulated machine of an experiment: its memory less what a kernel keeps back, disks, settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from memqos.errors import ExperimentError, InputError
from memqos.lab.experiment import Experiment, Play
from memqos.lab.variant import size_of
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import KIB, MIB

_SYSTEM: Final = 64 * MIB
"""What a guest's kernel and its few processes hold: MemTotal less MemFree before the first pod, on 6.12."""

_GUEST: Final = {"6.1": 121 * MIB, "6.12": 109 * MIB, "7.2": 118 * MIB}
"""What a full guest holds beside its pods, counted from 6.12's MemTotal: MemTotal less MemFree less what is
charged below the root, while less than 20 MiB were free. 121 on 6.1 and 109 on 6.12 in e6, 116 to 120 in four
runs of it on 7.2; in k10, whose guest has forked workers, 132, 120 and 128 with them. MemTotal itself is
7 MiB less on 6.1 than on 6.12, and 4 MiB on 7.2. The unpacked initramfs and the player are 75 of it. On 6.12
and 7.2 pages that lie about with the CPUs add 10 MiB and more while nobody wants for memory."""

_WORKERS: Final = 11 * MIB
"""What the workers hold that a guest forks with its first write to a knob (`memqos.linux.worker`): it held 10
to 11 MiB more right after than before, in nine plays of k9 and k10 on 6.1."""

_AGENT: Final = {"6.1": 24 * MIB, "6.12": 24 * MIB, "7.2": 28 * MIB}
"""What the agent adds, workers and all: 24 MiB on 6.12 and 27 to 29 in three runs on 7.2, in e6. No guest of
6.1 was full with it; as on 6.12."""

_POD: Final = 360 * KIB
"""What each pod adds that is charged to nobody, in slab for the most part: with fifty of them a guest of e11
on 7.2 held 18 MiB more when it was full than before the first."""

_SECTION: Final = 128 * MIB
"""Struct pages are there for whole sections of memory (SECTION_SIZE_BITS): 2 MiB for each."""

_SWAPS: Final = ("swap", "data")
"""The disks swap may lie on; one that rotates makes all swap-in read slots, not pages (nr_rotate_swap)."""


def node_of(experiment: Experiment) -> NodeSpec:
    """The simulated machine of an experiment; raises `ExperimentError`.

    A guest of 1 GiB has a MemTotal of 967 MiB, of 768 MiB 715, of 512 MiB 464, of 400 MiB 352, of 384 MiB
    338: the kernel's image and tables take 40 to 41 MiB, and the struct pages 2 MiB for each section.
    """
    node = experiment.node
    memory = size_of(experiment, "$.node.memory", node.memory)
    disks = []
    for name, disk in experiment.disks.items():
        bps = size_of(experiment, f"$.disks.{name}.bandwidth", disk.bandwidth) if disk.bandwidth else 0
        disks.append(Disk(name, bps, bps, disk.iops, disk.iops))
    swap = experiment.disks.get("swap")
    unknown = sorted(set(node.sysctl) - _SYSCTLS.keys())
    if unknown:
        raise ExperimentError(
            f"the sysctl {unknown[0]} is not simulated",
            source=experiment.place("$.node.sysctl"),
            field=f"node.sysctl.{unknown[0]}",
            remedy=f"use {', '.join(sorted(_SYSCTLS))}",
        )
    settings: dict[str, Any] = {
        _SYSCTLS[name]: _number(experiment, name, value) for name, value in node.sysctl.items()
    }
    spec = NodeSpec(
        memory=(memory - 41 * MIB - -(-memory // _SECTION) * (_SECTION // 64)) // 4096 * 4096,
        cpus=node.cpus,
        disks=tuple(disks) or (Disk(),),
        swap=_swap_of(experiment),
        swap_disk="swap" if swap is not None else "data" if node.swap_file else "",
        swap_rotates=any(disk.rotational for name, disk in experiment.disks.items() if name in _SWAPS),
        swappiness=node.swappiness,
        read_ahead=node.read_ahead_kb << 10,
        thp=node.thp == "always",
        system=_SYSTEM,
    )
    spec = replace(spec, **settings)
    try:
        spec.check()
    except InputError as error:
        raise error.at(source=experiment.source, field="node") from None
    return spec


def guest_holds(kernel: str, play: Play) -> int:
    """What the guest that plays this holds beside its pods, in bytes."""
    pods = [each for each in play.pods if each.get("kind") == "Pod"]
    held = _GUEST[kernel] + len(pods) * _POD
    if play.manager == "memqos" or (play.manager is None and play.policy is not None):
        return held + _AGENT[kernel]
    writes = play.manager == "senpai" or any(step.write for step in play.timeline)
    return held + (_WORKERS if writes else 0)


def _swap_of(experiment: Experiment) -> int:
    if "swap" in experiment.disks:
        return size_of(experiment, "$.disks.swap.size", experiment.disks["swap"].size)
    file = experiment.node.swap_file
    return size_of(experiment, "$.node.swapFile", file) if file else 0


_SYSCTLS: Final = {
    "vm.page-cluster": "page_cluster",
    "vm.dirty_ratio": "dirty_ratio",
    "vm.dirty_background_ratio": "dirty_background_ratio",
    "vm.swappiness": "swappiness",
}
_MOST: Final = {"vm.page-cluster": 31, "vm.dirty_ratio": 100, "vm.dirty_background_ratio": 100}
"""What the kernel takes at most (kernel/sysctl.c, mm/page-writeback.c); 200 for swappiness."""


def _number(experiment: Experiment, name: str, value: str) -> int:
    text, most = value.strip(), _MOST.get(name, 200)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise ExperimentError(
            f"{value!r} is no value of it",
            source=experiment.place(f"$.node.sysctl.{name}"),
            field=f"node.sysctl.{name}",
            remedy=f"write 0 to {most}",
        )
    return int(text)
