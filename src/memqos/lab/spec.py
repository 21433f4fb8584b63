"""What the host asks of the guest: one JSON file in the share (`spec.json`), read by `guest`."""

from __future__ import annotations

from msgspec import Struct

from memqos.lab.initramfs import SHARE

OUT = f"{SHARE}/out"
"""Where the guest puts files for the host (`$MEMQOS_OUT` of what runs in it)."""


class Setup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the guest is made ready. Disks are named by their serial.

    `thp` and `mglru` go to /sys/kernel/mm (`None` leaves the kernel's choice); `read_ahead_kb` to
    every disk, because 7.2 starts with 8 MiB on virtio-blk and the others with 128 KiB. `swap_file` is the
    size of a swap file on the data disk, in bytes.
    """

    data: str = ""
    swaps: tuple[str, ...] = ()
    swappiness: int = 60
    thp: str | None = "never"
    mglru: bool | None = None
    read_ahead_kb: int = 128
    swap_file: int = 0
    rotational: dict[str, bool] = {}
    sysctl: dict[str, str] = {}


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the guest does once it is ready: a command in a directory, with more environment."""

    argv: tuple[str, ...]
    setup: Setup = Setup()
    cwd: str = "/"
    environment: dict[str, str] = {}
