"""The real systemd-oomd of Debian in a guest that has no systemd as its first process.

The daemon asks the service manager over varlink which cgroups it shall watch
(`io.systemd.ManagedOOM.SubscribeManagedOOMCGroups` on /run/systemd/io.system.ManagedOOM); here `Feed` answers
in its place, as PID 1 does for a slice with `ManagedOOMSwap=kill` and `ManagedOOMMemoryPressure=kill`
(src/core/core-varlink.c of systemd 252): kubepods, with the daemon's compiled-in defaults. All else is the
daemon's own. It needs no D-Bus: it waits for the bus and works meanwhile. It gets what its unit asks for, a
cgroup with memory.min and memory.low of 64 MiB and an oom_score_adj of -900.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from memqos.errors import LabError
from memqos.lab import guest
from memqos.lab.apt import Suite, run_tool
from memqos.lab.cache import cache_dir, locked
from memqos.lab.manage import Done
from memqos.units import MIB

SUITE: Final = "bookworm"
PACKAGES: Final = ("systemd-oomd", "libsystemd-shared")
VARIABLE: Final = "MEMQOS_OOMD"
"""Names the directory with the unpacked packages, inside the guest."""

_SUBSCRIBE: Final = "io.systemd.ManagedOOM.SubscribeManagedOOMCGroups"
_RUN: Final = Path("/run/systemd")
_KILLED: Final = re.compile(r"Killed /(\S+) (due to .*)")


def fetch_oomd(say: Callable[[str], None] = lambda _: None) -> Path:
    """Return the directory that holds Debian's systemd-oomd, fetched once, never installed.

    Raises `LabError` naming the remedy.
    """
    with locked("systemd-oomd"):
        home = cache_dir("systemd-oomd")
        final = home / SUITE
        if (final / "lib/systemd/systemd-oomd").exists():
            return final.resolve()
        suite = Suite(SUITE, cache_dir("apt", SUITE))
        say(f"systemd-oomd: reading Debian {SUITE}'s index")
        suite.update()
        with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as temporary:
            for deb in suite.download(list(PACKAGES), Path(temporary) / "debs"):
                run_tool(["dpkg-deb", "-x", str(deb), str(Path(temporary) / "tree")])
            (Path(temporary) / "tree").rename(final)
    return final.resolve()


class Feed:
    """The service manager's side of the daemon's subscription: says once what to watch, and stays."""

    def __init__(self, path: Path, monitored: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        properties = ("ManagedOOMSwap", "ManagedOOMMemoryPressure")
        cgroups = [{"mode": "kill", "path": f"/{monitored}", "property": each} for each in properties]
        self._answer = json.dumps({"parameters": {"cgroups": cgroups}, "continues": True}).encode() + b"\0"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(1)
        threading.Thread(target=self._serve, name="oomd-feed", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._socket.close()

    def _serve(self) -> None:
        try:
            while True:
                client, _ = self._socket.accept()
                with client:
                    self._speak(client)
        except OSError:
            return

    def _speak(self, client: socket.socket) -> None:
        said = b""
        while data := client.recv(4096):
            *calls, said = (said + data).split(b"\0")
            for call in calls:
                if json.loads(call).get("method") == _SUBSCRIBE:
                    client.sendall(self._answer)


class RealOomd:
    """The daemon, running; a turn reads what it said. Raises `LabError` when it does not start."""

    interval: float | None = 1.0
    woken = False

    def __init__(self, tree: Path, monitored: str, log: Path) -> None:
        (_RUN / "oom").mkdir(parents=True, exist_ok=True)
        self._feed = Feed(_RUN / "io.system.ManagedOOM", monitored)
        self._log, self._read = log, 0
        self.notes: list[tuple[str, str, str]] = []
        home = guest.CGROUP / "systemd-oomd"
        home.mkdir(exist_ok=True)
        for knob in ("memory.min", "memory.low"):
            guest.write(home / knob, str(64 * MIB))
        library = tree / "usr/lib/x86_64-linux-gnu/systemd"
        environment = {
            "LD_LIBRARY_PATH": str(library),
            "SYSTEMD_LOG_TARGET": "console",
            "SYSTEMD_LOG_LEVEL": "info",
        }
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(tree / "lib/systemd/systemd-oomd")], env=environment, stdout=output, stderr=output
            )
        guest.write(home / "cgroup.procs", str(self._process.pid))
        guest.write(Path("/proc", str(self._process.pid), "oom_score_adj"), "-900")

    def turn(self, woken_by: str = "") -> Iterator[Done]:
        """Yield the kills that the daemon has told of since the last turn."""
        if self._process.poll() is not None:
            raise LabError(
                f"systemd-oomd ended with {self._process.returncode}: {self._log.read_text()[-500:]}"
            )
        text = self._log.read_bytes()[self._read :]
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for match in _KILLED.finditer(whole.decode(errors="replace")):
            yield Done(match[1], "evict", "SIGKILL", "written", match[2])

    def close(self) -> None:
        """End the daemon and remove its cgroup."""
        self._process.kill()
        self._process.wait()
        self._feed.close()
        (guest.CGROUP / "systemd-oomd").rmdir()


def real_oomd(scratch: Path) -> RealOomd | None:
    """Start the daemon that the host has fetched for this guest; `None` when it has not."""
    tree = os.environ.get(VARIABLE)
    return None if not tree else RealOomd(Path(tree), "kubepods", scratch / "systemd-oomd.log")
