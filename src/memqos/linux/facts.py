"""What the node itself says: /proc read in one go into `NodeFacts`."""

from __future__ import annotations

import os

from memqos.errors import Unsupported
from memqos.linux import procfs
from memqos.linux.files import ProcFile
from memqos.model.snapshot import NodeFacts, Pressure


class NodeFiles:
    """The files of /proc that make up `NodeFacts`, kept open."""

    def __init__(self, proc: str) -> None:
        self._proc = proc
        names = ("meminfo", "vmstat", "swaps", "diskstats", "zoneinfo")
        self._files = {name: ProcFile(f"{proc}/{name}") for name in names}
        self._pressures = {name: ProcFile(f"{proc}/pressure/{name}") for name in ("memory", "io", "cpu")}

    def read(self) -> NodeFacts:
        """Read them all; `Unsupported` without the two that every Linux has."""
        raw = {name: file.read() for name, file in self._files.items()}
        if raw["meminfo"] is None or raw["vmstat"] is None:
            raise Unsupported(f"{self._proc} has no meminfo or vmstat; mount /proc there")
        return NodeFacts(
            meminfo=procfs.meminfo(raw["meminfo"]),
            vmstat=procfs.vmstat(raw["vmstat"]),
            memory_pressure=self._pressure("memory"),
            io_pressure=self._pressure("io"),
            cpu_pressure=self._pressure("cpu"),
            swaps=procfs.swaps(raw["swaps"]) if raw["swaps"] is not None else (),
            disks=procfs.diskstats(raw["diskstats"]) if raw["diskstats"] is not None else {},
            zones=procfs.zoneinfo(raw["zoneinfo"]) if raw["zoneinfo"] is not None else (),
            page_size=os.sysconf("SC_PAGE_SIZE"),
        )

    def _pressure(self, name: str) -> Pressure | None:
        raw = self._pressures[name].read()
        return None if raw is None else procfs.pressure(name, raw)

    @property
    def paths(self) -> list[str]:
        """The files there are."""
        return [
            file.path
            for file in (*self._files.values(), *self._pressures.values())
            if file.read() is not None
        ]

    def close(self) -> None:
        """Close every descriptor."""
        for file in (*self._files.values(), *self._pressures.values()):
            file.close()
