"""/proc of the node: meminfo, vmstat, swaps, diskstats, zoneinfo, mountinfo. Text to values, no I/O.

`Unreadable` is raised for text that is not of the documented form
(Documentation/filesystems/proc.rst, Documentation/admin-guide/iostats.rst).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from memqos.errors import Unreadable
from memqos.linux.codec import decimal, shown
from memqos.linux.flat import Flat
from memqos.linux.keyed import Pressures
from memqos.model.snapshot import Counters, Disk, Pressure, Swap, Zone

_SECTOR: Final = 512
"""/proc/diskstats counts sectors of 512 bytes whatever the device's own (block/genhd.c)."""

_MEMINFO = Flat(meminfo=True)
_VMSTAT = Flat()
_PRESSURE = Pressures()

T = TypeVar("T")


def _reading(name: str, decode: Callable[[bytes], T], raw: bytes) -> T:
    try:
        return decode(raw)
    except ValueError as error:
        raise Unreadable(str(error), knob=f"/proc/{name}") from None


def meminfo(raw: bytes) -> Counters:
    """Read /proc/meminfo; what it gives in kB is bytes here, page counts stay counts."""
    return _reading("meminfo", _MEMINFO.decode, raw)


def vmstat(raw: bytes) -> Counters:
    """Read /proc/vmstat: events and pages."""
    return _reading("vmstat", _VMSTAT.decode, raw)


def pressure(name: str, raw: bytes) -> Pressure:
    """Read /proc/pressure/`name`."""
    found = _reading(f"pressure/{name}", _PRESSURE.decode, raw)
    assert isinstance(found, Pressure)
    return found


def swaps(raw: bytes) -> tuple[Swap, ...]:
    """Read /proc/swaps; sizes, printed in KiB, are bytes here."""
    return _reading("swaps", _swaps, raw)


_SWAP = re.compile(
    rb"(?P<name>\S+)\s+(?P<kind>\S+)\s+(?P<size>[0-9]+)\s+(?P<used>[0-9]+)\s+(?P<priority>-?[0-9]{1,6})"
)
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")


def _unescape(text: bytes) -> str:
    plain = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), text)
    return plain.decode("utf-8", "surrogateescape")


def _swaps(raw: bytes) -> tuple[Swap, ...]:
    header, *lines = _lines(raw)
    if not header.startswith(b"Filename"):
        raise ValueError(f"{shown(header)} is not the header")
    found = []
    for text in lines:
        match = _SWAP.fullmatch(text)
        if match is None:
            raise ValueError(f"{shown(text)} is not a swap device")
        size, used = decimal(match["size"]) * 1024, decimal(match["used"]) * 1024
        name = _unescape(match["name"])
        found.append(Swap(name, _unescape(match["kind"]), size, used, int(match["priority"])))
    return tuple(found)


def _lines(raw: bytes) -> list[bytes]:
    lines = raw.split(b"\n")
    if lines.pop() or not lines:
        raise ValueError(f"{shown(raw[-60:])} is cut off" if raw else "is empty")
    return lines


def diskstats(raw: bytes) -> dict[str, Disk]:
    """Read /proc/diskstats, by "major:minor"; sectors are bytes and milliseconds µs here."""
    return _reading("diskstats", _diskstats, raw)


def _diskstats(raw: bytes) -> dict[str, Disk]:
    disks = {}
    for text in _lines(raw) if raw else []:
        words = text.split()
        if len(words) < 14:
            raise ValueError(f"{shown(text)} is not a disk")
        rios, _, rsectors, _, wios, _, wsectors, _, flying, io_ms, weighted_ms = map(decimal, words[3:14])
        device = f"{decimal(words[0])}:{decimal(words[1])}"
        disks[device] = Disk(
            device=device,
            name=words[2].decode("ascii", "surrogateescape"),
            rios=rios,
            rbytes=rsectors * _SECTOR,
            wios=wios,
            wbytes=wsectors * _SECTOR,
            in_flight=flying,
            io_time_us=io_ms * 1000,
            weighted_time_us=weighted_ms * 1000,
        )
    return disks


_ZONE = re.compile(rb"^Node ([0-9]{1,9}), zone +([A-Za-z0-9]+)\n", re.MULTILINE)
_PAGES = re.compile(
    rb"^  pages free +([0-9]{1,20})\n(?: +boost +[0-9]+\n)?"
    rb" +min +([0-9]{1,20})\n +low +([0-9]{1,20})\n +high +([0-9]{1,20})\n"
    rb"(?: +[a-z]+ +[0-9]+\n)*? +managed +([0-9]{1,20})\n",
    re.MULTILINE,
)


def zoneinfo(raw: bytes) -> tuple[Zone, ...]:
    """Read the free pages and watermarks of every zone of /proc/zoneinfo, in pages."""
    return _reading("zoneinfo", _zoneinfo, raw)


def _zoneinfo(raw: bytes) -> tuple[Zone, ...]:
    heads = list(_ZONE.finditer(raw))
    if not heads or heads[0].start() != 0 or not raw.endswith(b"\n"):
        raise ValueError(f"{shown(raw)} is not a list of zones")
    ends = [head.start() for head in heads[1:]] + [len(raw)]
    zones = []
    for head, end in zip(heads, ends, strict=True):
        pages = _PAGES.search(raw, head.end() - 1, end)
        if pages is None:
            raise ValueError(f"{shown(head[0])} has no watermarks")
        free, low_mark, low, high, managed = map(decimal, pages.groups())
        zones.append(Zone(int(head[1]), head[2].decode("ascii"), free, low_mark, low, high, managed))
    return tuple(zones)


def cgroup2_mounts(raw: bytes) -> dict[str, frozenset[str]]:
    """Return the options of every cgroup2 mount in /proc/self/mountinfo, by mount point."""
    mounts = {}
    for text in raw.split(b"\n"):
        front, separator, back = text.partition(b" - ")
        fields, tail = front.split(b" "), back.split(b" ")
        if separator and len(fields) >= 6 and len(tail) >= 3 and tail[0] == b"cgroup2":
            options = (fields[5] + b"," + tail[2]).decode("ascii", "replace")
            mounts[_unescape(fields[4])] = frozenset(options.split(","))
    return mounts
