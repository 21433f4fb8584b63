"""Debian kernels for the guests: found, fetched, checked and unpacked, never installed.

A kernel is named by its series; the suite that carries it says which version that is today.
The cache keeps, for each release, the uncompressed `vmlinux` (it boots faster than the packed
one under emulation), the modules a guest loads, and `kernel.json`, which records the versions.
"""

from __future__ import annotations

import json
import lzma
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from memqos.errors import LabError, ToolMissing
from memqos.lab.apt import Suite, run_tool
from memqos.lab.cache import cache_dir, cache_path, locked
from memqos.lab.modules import WANTED, index, resolve, unzstd

SUITES = {"6.1": "bookworm", "6.12": "trixie", "7.2": "forky"}
"""The kernel series the laboratory knows, and the Debian suites whose generic flavour they are.

A suite under development moves on to later series: `Kernel.release` says what it holds today, and
that is what results are labelled with.
"""

_FORMAT = 1


@dataclass(frozen=True)
class Kernel:
    """One kernel, ready to boot. `modules` are file names in `directory`, in the order to load them."""

    name: str
    release: str
    package: str
    version: str
    suite: str
    image: str
    modules: tuple[str, ...]
    directory: Path = Path()

    @property
    def image_path(self) -> Path:
        """The kernel image for QEMU's `-kernel`."""
        return self.directory / self.image


def cached(name: str) -> Kernel | None:
    """Return a kernel of the cache, or `None` when it is not there (or from another memqos)."""
    if name not in SUITES:
        raise LabError(f"kernel {name!r} is not known; choose among {', '.join(SUITES)}")
    try:
        directory = cache_path("kernels") / name
        facts = json.loads((directory / "kernel.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, LabError):
        return None
    if facts.pop("format", None) != _FORMAT or facts.pop("wanted", None) != list(WANTED):
        return None
    facts["modules"] = tuple(facts["modules"])
    return Kernel(**facts, directory=directory.resolve())


def fetch(name: str, *, refresh: bool = False, say: Callable[[str], None] = lambda _: None) -> Kernel:
    """Return a kernel, fetching it if the cache lacks it (or `refresh` asks for today's version).

    Raises `LabError` naming the remedy.
    """
    with locked(f"kernel-{name}"):
        kernel = cached(name)
        if kernel is not None and not refresh:
            return kernel
        suite = Suite(SUITES[name], cache_dir("apt", SUITES[name]))
        say(f"kernel {name}: reading Debian {suite.name}'s index")
        suite.update()
        package = next((p for p in suite.depends("linux-image-amd64") if p.startswith("linux-image-")), None)
        if package is None:
            raise LabError(f"suite {suite.name} has no linux-image-amd64")
        release = package.removeprefix("linux-image-")
        parts = [
            package,
            *(p for p in suite.depends(package) if p.endswith(release) and p.startswith("linux-")),
        ]
        version = suite.version(package)
        say(f"kernel {name}: fetching {package} {version}")
        with tempfile.TemporaryDirectory(dir=cache_dir("kernels"), prefix=".new-") as temporary:
            work = Path(temporary)
            for deb in suite.download(sorted(set(parts)), work / "debs"):
                run_tool(["dpkg-deb", "-x", str(deb), str(work / "tree")])
            say(f"kernel {name}: unpacking")
            ready = work / "ready"
            kernel = _prepare(name, release, package, version, suite.name, work / "tree", ready)
            return _publish(kernel, ready)


def _prepare(
    name: str, release: str, package: str, version: str, suite: str, tree: Path, into: Path
) -> Kernel:
    packed = next((p for p in sorted(tree.rglob("vmlinuz*")) if p.is_file()), None)
    if packed is None:
        raise LabError(f"{package} {version} holds no vmlinuz")
    (into / "modules").mkdir(parents=True)
    image = extract_vmlinux(packed.read_bytes())
    (into / "vmlinux").write_bytes(image)
    modules = []
    for order, (module, data) in enumerate(resolve(WANTED, index(tree)).items()):
        modules.append(f"modules/{order:02d}-{module}.ko")
        (into / modules[-1]).write_bytes(data)
    kernel = Kernel(name, release, package, version, suite, "vmlinux", tuple(modules))
    facts = {**asdict(kernel), "format": _FORMAT, "wanted": list(WANTED)}
    del facts["directory"]
    (into / "kernel.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return kernel


def _publish(kernel: Kernel, ready: Path) -> Kernel:
    """Put the kernel into the cache at once: a directory by version, then the name pointing to it."""
    home = cache_dir("kernels")
    final = home / f"{kernel.release}_{kernel.version.replace('/', '_')}"
    if final.exists():
        shutil.rmtree(final)
    ready.rename(final)
    pointer = home / f".{kernel.name}.new"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(final.name)
    pointer.replace(home / kernel.name)
    found = cached(kernel.name)
    if found is None:
        raise LabError(f"kernel {kernel.name} was unpacked but cannot be read back from {home}")
    return found


def extract_vmlinux(packed: bytes) -> bytes:
    """Return the ELF image inside a bzImage, or the bzImage itself where it cannot be taken out.

    As the kernel's scripts/extract-vmlinux: look for the magic of each compression in turn.
    """
    for magic, unpack in _COMPRESSIONS:
        start = packed.find(magic)
        while start >= 0:
            try:
                image = unpack(packed[start:])
            except (lzma.LZMAError, LabError, ToolMissing, EOFError):
                image = b""
            if image.startswith(b"\x7fELF"):
                return image
            start = packed.find(magic, start + 1)
    return packed


def _unxz(data: bytes) -> bytes:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(data)


_COMPRESSIONS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\xfd7zXZ\x00", _unxz),
    (b"\x28\xb5\x2f\xfd", unzstd),
)
