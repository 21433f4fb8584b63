"""Kernel modules: which ones a guest needs, in the order to load them.

A module's `.modinfo` section names what it depends on (`depends=`, `softdep=pre: …`), so the
order is found without `modules.dep`, which Debian's packages leave to be made on installation.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from memqos.errors import LabError, ToolMissing

WANTED = (
    "virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "overlay", "crc32c_generic", "ext4",
    "lzo_rle", "lz4", "zstd", "zram", "bfq",
)  # fmt: skip
"""What every guest loads; a kernel that has one built in, or not at all, goes without."""

_SUFFIX = re.compile(r"\.ko(\.(xz|gz|zst))?$")


def name_of(path: Path) -> str:
    """Return a module's name as the kernel spells it (`-` is `_`)."""
    return _SUFFIX.sub("", path.name).replace("-", "_")


def read_module(path: Path) -> bytes:
    """Return a module's ELF image, decompressed; raises `LabError`."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return unzstd(data) if path.suffix == ".zst" else data


def unzstd(data: bytes) -> bytes:
    """Decompress zstd by the `zstd` program; raises `ToolMissing`, `LabError`."""
    if shutil.which("zstd") is None:
        raise ToolMissing("zstd is not installed", remedy="apt-get install -y zstd")
    done = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False)
    if not done.stdout:
        raise LabError(f"zstd cannot read it: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def needs(image: bytes) -> list[str]:
    """Return the names that a module's `.modinfo` says must be loaded before it."""
    names: list[str] = []
    for match in re.finditer(rb"(?<=\0)(depends|softdep)=([^\0]*)\0", b"\0" + image):
        text = match[2].decode("ascii", "replace")
        if match[1] == b"depends":
            names += text.split(",")
        elif "pre:" in text:
            names += text.split("pre:")[1].split("post:")[0].split()
    return [name.replace("-", "_") for name in names if name]


def index(tree: Path) -> dict[str, Path]:
    """Return all modules below a directory, by name."""
    return {name_of(path): path for path in sorted(tree.rglob("*.ko*")) if _SUFFIX.search(path.name)}


def resolve(wanted: Iterable[str], available: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the images of the wanted modules and of all they need, in the order to load them.

    A name that is not available is built into the kernel, or this kernel does without it.
    """
    loaded: dict[str, bytes] = {}
    visiting: set[str] = set()

    def visit(name: str) -> None:
        if name in loaded or name in visiting or name not in available:
            return
        visiting.add(name)
        image = read_module(available[name])
        for need in needs(image):
            visit(need)
        loaded[name] = image

    for name in wanted:
        visit(name.replace("-", "_"))
    return loaded
