"""Capture what real kernels say, for the codec's tests: `python tests/golden/capture.py [KERNEL...]`.

Boots each kernel, keeps a cgroup busy (page cache, anonymous memory, swap, limits, one OOM kill),
and copies every readable file of the root, of that cgroup and of its parent, and of /proc, to
`tests/golden/kernel-X.Y/{root,parent,busy,proc}/`. `names` in each lists all files with their mode.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from memqos.lab.kernels import SUITES
from memqos.lab.qemu import Disk
from memqos.lab.run import Machine, run_in_guest
from memqos.lab.spec import Setup
from memqos.units import MIB

HERE = Path(__file__).resolve().parent
PROC = (
    "cgroups", "diskstats", "filesystems", "meminfo", "mounts", "pressure/cpu", "pressure/io",
    "pressure/memory", "stat", "swaps", "uptime", "version", "vmstat", "zoneinfo", "self/mountinfo",
)  # fmt: skip
FAMILIES = ("cgroup", "cpu", "io", "memory", "pids")
HOG = """
import time
held = bytearray({size})
for start in range(0, len(held), 4096):
    held[start] = 1 + start // 4096 % 255
print("held", flush=True)
time.sleep(600)
"""


def capture(kernel: str) -> None:
    machine = Machine(
        memory_mib=768,
        swap_mib=256,
        disks=(Disk("data", 256 * MIB, bps=100 * MIB),),
        setup=Setup(data="data"),
    )
    out = Path("/tmp") / f"memqos-golden-{os.getpid()}"
    argv = [sys.executable, str(Path(__file__).resolve()), "--inside"]
    result = run_in_guest(argv, kernel=kernel, out_dir=out, machine=machine)
    print(result.stdout)
    if result.status:
        sys.exit(f"kernel {kernel}: capturing failed with status {result.status}")
    target = HERE / f"kernel-{kernel}"
    shutil.rmtree(target, ignore_errors=True)
    for name, path in result.files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)
    (target / "release").write_text(f"{result.kernel.package} {result.kernel.version}\n")
    shutil.rmtree(out)


def hog(cgroup: Path, size: int, *, reads: str = "") -> subprocess.Popen[bytes]:
    """Start a program inside a cgroup that holds `size` bytes and reads a file once."""
    read = f"cat {reads} >/dev/null;" if reads else ""
    script = f'echo $$ > {cgroup}/cgroup.procs; {read} exec "$0" -c "$1"'
    return subprocess.Popen(
        ["sh", "-c", script, sys.executable, HOG.format(size=size)], stdout=subprocess.PIPE
    )


def inside(out: Path) -> None:
    root = Path("/sys/fs/cgroup")
    parent, busy = root / "kubepods.slice", root / "kubepods.slice/busy"
    busy.mkdir(parents=True)
    for controller in ("cpu", "io", "memory", "pids", "cpuset"):
        (parent / "cgroup.subtree_control").write_text(f"+{controller}")
    device = Path("/data").stat().st_dev
    disk = f"{os.major(device)}:{os.minor(device)}"
    settings = {
        "memory.max": "64M", "memory.high": "63M", "memory.low": "8M", "memory.min": "4M",
        "memory.swap.max": "96M", "memory.swap.high": "90M", "memory.oom.group": "0",
        "io.max": f"{disk} rbps=52428800 wiops=5000", "io.weight": "default 200", "pids.max": "100",
    }  # fmt: skip
    for name, value in settings.items():
        if (busy / name).exists():
            (busy / name).write_text(value)
    (parent / "memory.max").write_text("400M")
    subprocess.run(["dd", "if=/dev/urandom", "of=/data/file", "bs=1M", "count=48"], check=True)
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    hog(busy, 200 * MIB).wait()  # killed: more than memory.max and memory.swap.max
    living = hog(busy, 80 * MIB, reads="/data/file")
    assert living.stdout is not None
    living.stdout.readline()
    reader = (
        f"echo $$ > {busy}/cgroup.procs; cat /data/file > /data/copy; head -c 9000000 /data/copy >/dev/null"
    )
    subprocess.run(["sh", "-c", reader], check=False)
    time.sleep(3)
    for name, directory in {"root": root, "parent": parent, "busy": busy}.items():
        copy_cgroup(directory, out / name)
    for name in PROC:
        (out / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / "proc" / name).write_bytes(Path("/proc", name).read_bytes())
    living.kill()


def copy_cgroup(directory: Path, into: Path) -> None:
    into.mkdir()
    names = []
    for path in sorted(directory.iterdir()):
        if path.name.split(".")[0] not in FAMILIES or path.is_dir():
            continue
        names.append(f"{path.stat().st_mode & 0o777:03o} {path.name}")
        try:
            (into / path.name).write_bytes(path.read_bytes())
        except OSError as error:
            names[-1] += f" {error.errno}"
    (into / "names").write_text("\n".join(names) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        inside(Path(os.environ["MEMQOS_OUT"]))
    else:
        for wanted in sys.argv[1:] or SUITES:
            capture(wanted)
