"""What a guest starts from: busybox, the modules, and an init that mounts the host's root.

The archive is cpio "newc" (Documentation/driver-api/early-userspace/buffer-format.rst), written
here. The init loads the modules, lays a tmpfs over the host's read-only root, mounts the share
for results and hands over to the guest's program, whose exit status it writes to the share
as `status`: a machine that leaves no such file was lost.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from memqos.errors import ToolMissing
from memqos.lab.kernels import Kernel

DIRECTORY = 0o040755
EXECUTABLE = 0o100755
SYMLINK = 0o120777

SHARE = "/run/memqos-share"
"""Where the guest finds the read-write share."""

PACKAGES = "qemu-system-x86 busybox-static cpio zstd e2fsprogs debian-archive-keyring"
APT_LINE = f"apt-get install -y --no-install-recommends {PACKAGES}"
"""What the laboratory needs of the system; `requirements/system.sh` runs the same line."""


@dataclass(frozen=True)
class Entry:
    """One member of an archive."""

    name: str
    mode: int
    data: bytes = b""


def cpio(entries: Iterable[Entry]) -> bytes:
    """Return a cpio "newc" archive."""
    out = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1):
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4)
        out += entry.data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def busybox() -> Path:
    """Return the static busybox of the host; raises `ToolMissing` with the line that installs it."""
    found = shutil.which("busybox", path="/bin:/usr/bin")
    if found is None:
        raise ToolMissing("busybox is not installed", remedy=APT_LINE)
    image = Path(found).read_bytes()
    if b"/ld-linux" in image[:4096]:
        raise ToolMissing(f"{found} is not static", remedy=APT_LINE)
    return Path(found)


def init_script(modules: Sequence[str], command: Sequence[str], environment: dict[str, str]) -> str:
    """Return the guest's init: modules, root, share, then `command` in the host's root."""
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in environment.items())
    loads = "".join(f"insmod /{shlex.quote(module)} || echo 'memqos: no {module}'\n" for module in modules)
    text = Path(__file__).with_name("init.sh").read_text(encoding="utf-8")
    filling = {"LOADS": loads, "EXPORTS": exports, "COMMAND": shlex.join(command), "SHARE": SHARE}
    return re.sub("@([A-Z]+)@", lambda match: filling[match[1]], text)


def build(kernel: Kernel, command: Sequence[str], environment: dict[str, str]) -> bytes:
    """Return the archive for one boot."""
    script = init_script(kernel.modules, command, environment)
    directories = ("bin", "proc", "sys", "dev", "host", "tmpfs", "root", "modules")
    return cpio(
        [
            *(Entry(name, DIRECTORY) for name in directories),
            Entry("bin/busybox", EXECUTABLE, busybox().read_bytes()),
            Entry("bin/sh", SYMLINK, b"busybox"),
            *(Entry(m, 0o100644, (kernel.directory / m).read_bytes()) for m in kernel.modules),
            Entry("init", EXECUTABLE, script.encode()),
        ]
    )
