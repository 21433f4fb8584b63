"""Inside the guest: play every variant of an experiment and record what the node showed.

`python -m memqos.lab.play PLAYS.json`. Each variant leaves `record-NAME.json` in `$MEMQOS_OUT`.
Between variants the pods end, their cgroups go and the page cache is dropped.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

import msgspec

from memqos.errors import LabError
from memqos.kubelet.allocatable import NodeCapacity
from memqos.lab import guest
from memqos.lab.experiment import WORKLOADS, ManagerName, Play
from memqos.lab.images import WORKLOAD, Pinned, files_of, rehearsal
from memqos.lab.manage import Manager, kubelet_of
from memqos.lab.manifests import commands_of
from memqos.lab.oomd import real_oomd
from memqos.lab.player import Player
from memqos.lab.recording import encode
from memqos.linux.node import LinuxNode
from memqos.linux.runner import PodRunner
from memqos.linux.runner.command import command_of, default_environment
from memqos.linux.runner.spawn import Child, Launch, spawn
from memqos.model.pods import Pod
from memqos.policy.settings import AgentSettings
from memqos.runner.rules import KubeletRules
from memqos.runner.world import NotStarted
from memqos.workload.parse import workload_document

_QUIET_S = AgentSettings().least_interval_seconds


class GuestWorld:
    """The guest's kernel as a world to play in."""

    def __init__(self, play: Play, scratch: Path) -> None:
        self._scratch = scratch
        self.node = LinuxNode()
        facts = self.node.observe().node.meminfo
        capacity = NodeCapacity(memory=facts["MemTotal"], swap=facts.get("SwapTotal", 0))
        self._environment = {**default_environment(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        self.runner = PodRunner(
            KubeletRules(kubelet_of(play.kubelet), capacity), scratch / "logs", environment=self._environment
        )
        self._kernel_log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._kernel_log, 0, os.SEEK_END)
        self.release = os.uname().release
        self.devices = devices()

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def wait(self, seconds: float) -> str:
        """Wait for memory pressure, the end of a program, what is due, or the time to pass."""
        due = self.runner.next_due_us()
        until = seconds if due is None else min(seconds, due / 1e6 - self.now())
        wake = self.node.wait(max(0.0, until), _QUIET_S, self.runner.descriptors())
        return f"pressure {' '.join(wake.cgroups)}".strip() if wake.reason == "pressure" else ""

    def rival(self, name: ManagerName) -> Manager | None:
        """Start the real systemd-oomd, if the host has it."""
        return real_oomd(self._scratch) if name == "systemd-oomd" else None

    def execute(self, pod: Pod, cgroup: str, name: str) -> Executing:
        """Start a command in a cgroup; raises `LabError`."""
        command = command_of(pod, pod.containers[0], self._environment)
        if isinstance(command, NotStarted):
            raise LabError(f"{pod.name}: {command.message}")
        log = self._scratch / f"{name}.log"
        process = spawn(Launch(command, guest.CGROUP / cgroup, 0, log))
        if isinstance(process, NotStarted):
            raise LabError(f"{pod.name}: {process.message}")
        return Executing(process, log)

    def drop_caches(self) -> None:
        """Write everything back, then drop the clean page cache and slab."""
        drop_caches()

    def logs(self) -> dict[str, str]:
        """What the containers printed, by "pod/container", the newest run last."""
        said: dict[str, str] = {}
        for path in sorted((self._scratch / "logs").glob("*/*/*.log")):
            name = f"{path.parts[-3].split('_')[1]}/{path.parts[-2]}"
            said[name] = said.get(name, "") + path.read_text(errors="replace")
        return said

    def close(self) -> list[str]:
        """Close the node; return the kernel's lines about killed processes since the variant began."""
        self.node.close()
        lines = []
        while True:
            try:
                record = os.read(self._kernel_log, 8192).decode(errors="replace")
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # lines were lost; reading goes on with the oldest one left
            text = record.partition(";")[2].splitlines()[0]
            if "out of memory" in text.lower() or "oom" in text or "Killed process" in text:
                lines.append(text)
        os.close(self._kernel_log)
        return lines


class Executing:
    """A command that runs; its times are those of all children that end meanwhile."""

    def __init__(self, process: Child, log: Path) -> None:
        self._process = process
        self._log = log
        self._used = resource.getrusage(resource.RUSAGE_CHILDREN)

    def poll(self) -> int | None:
        """Return its exit status once it has ended."""
        return self._process.poll()

    def close(self) -> tuple[float, float, str]:
        """Return its seconds of the processor (user, kernel) and what it printed."""
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._process.close()
        output = self._log.read_text(errors="replace") if self._log.exists() else ""
        return now.ru_utime - self._used.ru_utime, now.ru_stime - self._used.ru_stime, output


def devices() -> dict[str, str]:
    """Return "major:minor" of the guest's disks, by serial."""
    return {
        serial: Path("/sys/block", name, "dev").read_text(encoding="ascii").strip()
        for serial, name in guest.disks().items()
    }


def drop_caches() -> None:
    """Write everything back, then drop the clean page cache (dirty pages stay otherwise).

    Names that were looked up stay known: slab that the first pod after this would be charged for.
    """
    os.sync()
    guest.write(Path("/proc/sys/vm/drop_caches"), "1")


def pin_images(plays: Sequence[Play]) -> Pinned:
    """Keep what the plays' programs read of their own files in memory, and this process."""
    workload = Path("/run/memqos-rehearsal.yaml")
    workload.write_text(WORKLOAD.replace("FILE", "/run/memqos-rehearsal"))
    environment = {**default_environment(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    commands = {rehearsal(argv, str(workload)) for each in plays for argv in commands_of(each)}
    pinned = Pinned()
    for argv in sorted(commands):
        pinned.pin(files_of(argv, environment))
    return pinned


def make_file(path: Path, size: int) -> None:
    """Fill a file with bytes that are not zero and differ from page to page."""
    if path.exists() and path.stat().st_size == size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    block = bytearray(b"\xa5" * (1 << 20))
    with path.open("wb", buffering=0) as handle:
        for start in range(0, size, len(block)):
            for page in range(0, len(block), 4096):
                block[page : page + 8] = (start + page + 1).to_bytes(8, "little")
            handle.write(block[: min(len(block), size - start)])
        os.fsync(handle.fileno())


def remove_written(disk: Path, keep: Collection[str]) -> None:
    """Remove what an earlier variant wrote to the data disk.

    An inode's writeback belongs to the cgroup that wrote it first (fs/fs-writeback.c): on 6.1 a writer of the
    same file in the next variant was held at 0.4 MiB/s, its pages booked to a cgroup that is gone.
    """
    kept = {disk / name for name in keep} | {disk / guest.SWAP_FILE}
    for path in disk.rglob("*") if disk.exists() else ():
        if path.is_file() and path not in kept:
            path.unlink()


def main(argv: list[str]) -> None:
    """Play all variants of the file named first."""
    plays = msgspec.json.decode(Path(argv[0]).read_bytes(), type=list[Play])
    out = Path(os.environ["MEMQOS_OUT"])

    def say(text: str) -> None:
        print(text, flush=True)

    pinned = pin_images(plays)
    say(f"{pinned.pages} pages of the programs' files are in memory")
    for play in plays:
        if (out / play.record_name).exists():
            continue  # played in a machine that was lost later
        remove_written(guest.DATA, keep=play.files)
        for name, size in play.files.items():
            say(f"{play.name}: make {name}")
            make_file(guest.DATA / name, size)
        write_workloads(play)
        drop_caches()
        status = in_a_process_of_its_own(partial(record, play, out, pinned, say))
        if status:
            sys.exit(1)  # its pods may still be there; what was played before is recorded


def record(play: Play, out: Path, pinned: Pinned, say: Callable[[str], None]) -> None:
    """Play one variant and write down what came of it, whole or not at all."""
    pinned.lock()
    scratch = Path("/run/memqos-play", Path(play.record_name).stem)
    scratch.mkdir(parents=True)
    recording = Player(play, GuestWorld(play, scratch), say).run()
    unfinished = out / f"{play.record_name}.part"
    unfinished.write_bytes(encode(recording))
    unfinished.rename(out / play.record_name)


def in_a_process_of_its_own(work: Callable[[], None]) -> int:
    """Do it in a child, so that no variant pays for the memory of those before it; return its exit status."""
    gc.collect()
    gc.freeze()  # what the child only reads stays the parent's, its collector would write to it
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - told here, and by the status
            traceback.print_exc(file=sys.stdout)
        finally:
            sys.stdout.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def write_workloads(play: Play) -> None:
    """Write the variant's own workloads where its pods look for them (a JSON document is YAML too)."""
    Path(WORKLOADS).mkdir(exist_ok=True)
    for name, body in play.workloads.items():
        Path(WORKLOADS, name).write_bytes(msgspec.json.encode(workload_document(body)))


if __name__ == "__main__":
    main(sys.argv[1:])
