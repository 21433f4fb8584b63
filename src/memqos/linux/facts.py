"""What the node itself says: /proc read in one go into `NodeFacts`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from memqos.errors import NodeError, Unsupported
from memqos.kubelet.allocatable import NodeCapacity
from memqos.linux import procfs
from memqos.linux.procfile import ProcFile
from memqos.linux.swapdevice import SwapDevices
from memqos.model.snapshot import NodeFacts, Pressure

T = TypeVar("T")


def capacity(node: NodeFacts) -> NodeCapacity:
    """Return what a kubelet on this machine would take for its capacity."""
    memory, swap = node.meminfo.get("MemTotal", 0), node.meminfo.get("SwapTotal", 0)
    return NodeCapacity(memory=memory, swap=swap, page_size=node.page_size, cpus=os.cpu_count() or 0)


class NodeFiles:
    """The files of /proc that make up `NodeFacts`, kept open.

    `unread` is, by file, why it counted as not there at the last `read`.
    """

    def __init__(self, proc: str, sys: str = "/sys") -> None:
        self._proc = proc
        self._devices = SwapDevices(sys)
        self.unread: dict[str, str] = {}
        names = ("meminfo", "vmstat", "swaps", "diskstats", "zoneinfo")
        self._files = {name: ProcFile(f"{proc}/{name}") for name in names}
        self._pressures = {name: ProcFile(f"{proc}/pressure/{name}") for name in ("memory", "io", "cpu")}

    def read(self) -> NodeFacts:
        """Read them all.

        Raises `Unsupported` without the two that every Linux has, `NodeError` when they do not read.
        """
        self.unread = {}
        meminfo, vmstat = self._files["meminfo"].read(), self._files["vmstat"].read()
        if meminfo is None or vmstat is None:
            raise Unsupported(f"{self._proc} has no meminfo or vmstat", remedy="mount /proc there")
        disks = self._read(self._files["diskstats"], procfs.diskstats) or {}
        return NodeFacts(
            meminfo=procfs.meminfo(meminfo),
            vmstat=procfs.vmstat(vmstat),
            memory_pressure=self._pressure("memory"),
            io_pressure=self._pressure("io"),
            cpu_pressure=self._pressure("cpu"),
            swaps=self._devices.named(self._read(self._files["swaps"], procfs.swaps) or (), disks),
            disks=disks,
            zones=self._read(self._files["zoneinfo"], procfs.zoneinfo) or (),
            page_size=os.sysconf("SC_PAGE_SIZE"),
        )

    def _read(self, file: ProcFile, decode: Callable[[bytes], T]) -> T | None:
        try:
            return None if (raw := file.read()) is None else decode(raw)
        except NodeError as error:
            self.unread[file.path] = error.reason
            return None

    def _pressure(self, name: str) -> Pressure | None:
        return self._read(self._pressures[name], lambda raw: procfs.pressure(name, raw))

    @property
    def paths(self) -> list[str]:
        """The files there are."""
        return [
            file.path
            for file in (*self._files.values(), *self._pressures.values())
            if self._read(file, len) is not None
        ]

    def close(self) -> None:
        """Close every descriptor."""
        for file in (*self._files.values(), *self._pressures.values()):
            file.close()
