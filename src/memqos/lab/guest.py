"""Inside the guest: make the machine ready, then become the command.

`python -m memqos.lab.guest SPEC.json`, started by the init of `initramfs` as root. cgroup2 with
the options systemd uses, every controller on, swap and data disks by serial, knobs as asked.
Output of the command goes to `stdout` in the share. It refuses to run anywhere but in a guest.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
from pathlib import Path
from typing import NoReturn

import msgspec

from memqos.errors import LabError
from memqos.lab.initramfs import SHARE
from memqos.lab.spec import OUT, Setup, Spec

CGROUP = Path("/sys/fs/cgroup")
DATA = Path("/data")
"""Where the data disk is mounted."""
SWAP_FILE = ".swap"


def main(argv: list[str]) -> NoReturn:
    """Prepare the guest and run what the spec says; the exit status is the command's."""
    if not os.path.ismount(SHARE) or os.environ.get("MEMQOS_IN_GUEST") != "1":
        sys.exit("memqos.lab.guest runs only in a guest that the laboratory started")
    spec = msgspec.json.decode(Path(argv[0]).read_bytes(), type=Spec)
    prepare(spec.setup)
    Path(OUT).mkdir(exist_ok=True)
    os.chdir(spec.cwd)
    sys.stdout.flush()
    if os.environ.get("MEMQOS_INTERACTIVE") == "1":
        _take_console()
    else:
        output = os.open(f"{SHARE}/stdout", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
    os.execvpe(spec.argv[0], spec.argv, {**os.environ, "MEMQOS_OUT": OUT, **spec.environment})  # noqa: S606


def _take_console() -> None:
    """Make the serial line the controlling terminal, so that Ctrl-C reaches what runs in the shell."""
    os.setsid()
    console = os.open("/dev/ttyS0", os.O_RDWR)
    fcntl.ioctl(console, termios.TIOCSCTTY, 1)
    for descriptor in (0, 1, 2):
        os.dup2(console, descriptor)


def prepare(setup: Setup) -> None:
    """Make the guest ready; raises `LabError` when a disk or a knob is not there."""
    mount_cgroups()
    if setup.thp is not None:
        write(Path("/sys/kernel/mm/transparent_hugepage/enabled"), setup.thp)
    if setup.mglru is not None:
        write(Path("/sys/kernel/mm/lru_gen/enabled"), "y" if setup.mglru else "n")
    write(Path("/proc/sys/vm/swappiness"), str(setup.swappiness))
    for key, value in setup.sysctl.items():
        write(Path("/proc/sys", *key.split(".")), value)
    found = disks()
    for serial, name in found.items():
        make_queue(Path("/sys/block", name, "queue"), setup, serial)
    for serial in setup.swaps:
        device = f"/dev/{_named(found, serial)}"
        call("mkswap", "-q", device)
        call("swapon", device)
    if setup.data:
        device = f"/dev/{_named(found, setup.data)}"
        call(
            "mkfs.ext4",
            "-q",
            "-b",
            "4096",
            "-O",
            "^has_journal",
            "-E",
            "lazy_itable_init=1,nodiscard",
            device,
        )
        DATA.mkdir(exist_ok=True)
        call("mount", "-o", "noatime", device, str(DATA))
    if setup.swap_file:
        file = str(DATA / SWAP_FILE)
        call("fallocate", "-l", str(setup.swap_file), file)
        Path(file).chmod(0o600)
        call("mkswap", "-q", file)
        call("swapon", file)


def mount_cgroups() -> None:
    """Mount cgroup2 as systemd does, with every controller on for the root's children."""
    call("mount", "-t", "cgroup2", "-o", "nsdelegate,memory_recursiveprot", "cgroup2", str(CGROUP))
    controllers = (CGROUP / "cgroup.controllers").read_text(encoding="ascii").split()
    for controller in controllers:
        if controller in ("cpuset", "cpu", "io", "memory", "pids"):
            write(CGROUP / "cgroup.subtree_control", f"+{controller}")


def make_queue(queue: Path, setup: Setup, serial: str) -> None:
    """Set a disk's queue; the read-ahead last: since 6.11 a write to any limit sets it anew.

    block/blk-settings.c, `blk_apply_bdi_limits`, called by `queue_limits_commit_update`: 128 KiB, or twice
    the device's io_opt.
    """
    if serial in setup.rotational:
        write(queue / "rotational", str(int(setup.rotational[serial])))
    write(queue / "read_ahead_kb", str(setup.read_ahead_kb))


def disks() -> dict[str, str]:
    """Return the kernel's names of the guest's disks, by serial."""
    found = {}
    for path in Path("/sys/block").glob("*/serial"):
        serial = path.read_text(encoding="ascii").strip()
        if serial:
            found[serial] = path.parent.name
    return found


def _named(found: dict[str, str], serial: str) -> str:
    if serial not in found:
        raise LabError(f"the guest has no disk {serial!r}, only {', '.join(found) or 'none'}")
    return found[serial]


def write(path: Path, value: str) -> None:
    """Write a knob; raises `LabError` naming it."""
    try:
        path.write_text(value, encoding="ascii")
    except OSError as error:
        raise LabError(f"{path}: cannot write {value!r}: {error.strerror}") from error


def call(*argv: str) -> None:
    """Run a program; raises `LabError` with what it said when it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed on the host, whose root the guest runs on") from error
    if done.returncode:
        raise LabError(f"{' '.join(argv)} failed ({done.returncode}): {done.stderr.strip()}")


if __name__ == "__main__":
    main(sys.argv[1:])
