"""The simulated machine of an experiment: its memory less what a kernel keeps back, disks, settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from memqos.errors import ExperimentError, InputError
from memqos.lab.experiment import Experiment
from memqos.lab.variant import size_of
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import MIB

_SYSTEM: Final = 64 * MIB
"""What a guest's kernel and its few processes hold: MemTotal less MemFree before the first pod, on 6.12."""

_SWAPS: Final = ("swap", "data")
"""The disks swap may lie on; one that rotates makes all swap-in read slots, not pages (nr_rotate_swap)."""


def node_of(experiment: Experiment) -> NodeSpec:
    """The simulated machine of an experiment; raises `ExperimentError`.

    A guest of 1 GiB has a MemTotal of 967 MiB, one of 1400 MiB 1335 MiB: the kernel's image and tables
    take 41 MiB, and struct page a 64th.
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
        memory=(memory - 41 * MIB - memory // 64) // 4096 * 4096,
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
