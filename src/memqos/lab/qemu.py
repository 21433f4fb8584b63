"""The command line of QEMU, as measured to work without KVM, and whether KVM works here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memqos.errors import LabError, ToolMissing
from memqos.lab.initramfs import APT_LINE
from memqos.lab.kernels import Kernel
from memqos.units import MIB

CPU = {"tcg": "max,-cx16,-erms", "kvm": "host"}
"""With cx16, kernel 6.12 once double-faulted in an emulated cmpxchg16b. With erms a kernel clears and copies
pages by `rep stosb` and `rep movsb`, which are emulated byte by byte: files took five times as long."""

PROCESSOR_THREAD = "CPU "
"""How the names of the threads begin that run the guest's processors, with `debug-threads`."""

_DISK_THREAD = "disk-thread"
"""The thread that serves all disks of a guest. The main loop would serve them under the lock that a
processor needs to tell a disk of a request, and the processor then stands still until the main loop lets go.
In e7 on 7.2 (block and scheduler tracepoints) three of the four slowest requests beside the batch pod stood
for 2.3 to 3.5 ms between block_rq_issue and their next step; what 99 of 100 waited fell from 5.0 to 5.9 ms
in five runs to 1.9 and 2.4 with this thread. It does not poll: the host's processors run the guest's."""

_APPEND = (
    "console=ttyS0 panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check rcupdate.rcu_expedited=1 "
    "cryptomgr.notests audit=0 apparmor=0 random.trust_cpu=on psi=1 quiet rdinit=/init"
)


@dataclass(frozen=True)
class Disk:
    """A disk of the guest: `/sys/block/*/serial` names it. `size` in bytes; speeds per second, 0 is any.

    `rotational` is what the guest is told about it, and `None` leaves what the kernel assumes.
    """

    serial: str
    size: int
    bps: int = 0
    iops: int = 0
    rotational: bool | None = False

    def __post_init__(self) -> None:
        if not self.serial.isalnum() or len(self.serial) > 20:
            raise LabError(f"a disk's serial is 1 to 20 letters and digits, not {self.serial!r}")
        if self.size < MIB or self.bps < 0 or self.iops < 0:
            raise LabError(f"disk {self.serial}: 1 MiB at least, and no negative speed")


def program() -> str:
    """Return QEMU's path; raises `ToolMissing` with the line that installs it."""
    found = shutil.which("qemu-system-x86_64")
    if found is None:
        raise ToolMissing("qemu-system-x86_64 is not installed", remedy=APT_LINE)
    return found


def command_line(
    kernel: Kernel,
    *,
    accel: str,
    memory_mib: int,
    cpus: int,
    disks: Sequence[tuple[Disk, Path]],
    initrd: Path,
    share: Path,
    append: str = "",
    interactive: bool = False,
) -> list[str]:
    """Return the command that boots a guest: no network device at all; the console is stdio.

    `interactive` leaves Ctrl-C to the guest.
    """
    argv = [program(), "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi", "-cpu", CPU[accel]]
    argv += ["-name", "memqos,debug-threads=on"]
    argv += ["-smp", str(cpus), "-m", str(memory_mib), "-machine", "pc", "-nodefaults", "-no-user-config"]
    argv += ["-display", "none", "-nic", "none", "-no-reboot"]
    argv += [
        "-chardev",
        f"stdio,id=console,signal={'off' if interactive else 'on'}",
        "-serial",
        "chardev:console",
    ]
    argv += [
        "-kernel",
        str(kernel.image_path),
        "-initrd",
        str(initrd),
        "-append",
        f"{_APPEND} {append}".strip(),
    ]
    argv += _share("memqos-root", Path("/"), "security_model=none,readonly=on,multidevs=remap")
    argv += _share("memqos-share", share, "security_model=none,multidevs=remap")
    argv += ["-object", f"iothread,id={_DISK_THREAD},poll-max-ns=0"] if disks else []
    for disk, path in disks:
        drive = [f"if=none,id={disk.serial},format=raw,cache=unsafe,discard=unmap,file={_comma(path)}"]
        drive += [f"throttling.bps-total={disk.bps}"] if disk.bps else []
        drive += [f"throttling.iops-total={disk.iops}"] if disk.iops else []
        argv += ["-drive", ",".join(drive)]
        argv += [
            "-device",
            f"virtio-blk-pci,drive={disk.serial},serial={disk.serial},iothread={_DISK_THREAD}",
        ]
    return argv


def _share(tag: str, path: Path, options: str) -> list[str]:
    return [
        *("-fsdev", f"local,id={tag},path={_comma(path)},{options}"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
    ]


def _comma(path: Path) -> str:
    """Write a path inside an option list: QEMU doubles a comma."""
    return str(path).replace(",", ",,")
