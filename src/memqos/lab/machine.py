"""The machine that an experiment asks for."""

from __future__ import annotations

from memqos.lab.experiment import Experiment
from memqos.lab.qemu import Disk
from memqos.lab.run import Machine
from memqos.lab.spec import Setup
from memqos.lab.variant import size_of
from memqos.units import MIB


def machine_of(experiment: Experiment) -> Machine:
    """Return the machine that an experiment asks for."""
    node, disks = experiment.node, []
    for serial, disk in experiment.disks.items():
        at = f"$.disks.{serial}"
        speed = disk.bandwidth
        bps = size_of(experiment, f"{at}.bandwidth", speed) if speed is not None else 0
        size = size_of(experiment, f"{at}.size", disk.size)
        disks.append(Disk(serial, size, bps=bps, iops=disk.iops, rotational=disk.rotational))
    names = [disk.serial for disk in disks]
    setup = Setup(
        data="data" if "data" in names else "",
        swaps=("swap",) if "swap" in names else (),
        swappiness=node.swappiness,
        thp=node.thp,
        mglru=node.mglru,
        read_ahead_kb=node.read_ahead_kb,
        sysctl=node.sysctl,
        swap_file=size_of(experiment, "$.node.swapFile", node.swap_file) if node.swap_file else 0,
    )
    memory_mib = size_of(experiment, "$.node.memory", node.memory) // MIB
    return Machine(memory_mib=memory_mib, cpus=node.cpus, disks=tuple(disks), setup=setup)
