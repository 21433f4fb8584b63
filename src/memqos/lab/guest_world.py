"""The guest's kernel as a world to play in: its clock, its disks, its programs and what its kernel said."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from memqos.errors import LabError
from memqos.lab import guest
from memqos.lab.experiment import ManagerName, Play
from memqos.lab.manage import Manager, kubelet_of
from memqos.lab.oomd import real_oomd
from memqos.linux.facts import capacity
from memqos.linux.node import LinuxNode
from memqos.linux.runner import PodRunner
from memqos.linux.runner.command import command_of, default_environment
from memqos.linux.runner.spawn import Child, Launch, spawn
from memqos.model.pods import Pod
from memqos.policy.settings import AgentSettings
from memqos.runner.rules import KubeletRules
from memqos.runner.world import NotStarted

_QUIET_S = AgentSettings().least_interval_seconds


class GuestWorld:
    """The guest's kernel as a world to play in."""

    def __init__(self, play: Play, scratch: Path) -> None:
        self._scratch = scratch
        self.node = LinuxNode()
        self._environment = {**default_environment(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        self.runner = PodRunner(
            KubeletRules(kubelet_of(play.kubelet), capacity(self.node.observe().node)),
            scratch / "logs",
            environment=self._environment,
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
