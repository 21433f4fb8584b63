"""Codecs of the disk's shares: io.weight, io.cost.qos, io.cost.model (block/blk-iocost.c)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from memqos.linux.codec import decimal, shown

_DEVICE: Final = r"[0-9]{1,10}:[0-9]{1,10}"
_WEIGHTS: Final = re.compile(rb"default ([0-9]{1,5})\n(?:" + _DEVICE.encode() + rb" [0-9]{1,5}\n)*")
_PAIRS: Final = r"[a-z]+=[0-9a-z.]+(?: [a-z]+=[0-9a-z.]+)*"
_LINE: Final = re.compile(rf"({_DEVICE}) ({_PAIRS})")


class Weight:
    """`io.weight`: a cgroup's weight for every disk, 1 to 10000; those for single disks are passed over."""

    kind = "weight"
    takes = "a number from 1 to 10000"

    def decode(self, raw: bytes) -> int:
        """Read `default 100`, the first line."""
        match = _WEIGHTS.fullmatch(raw)
        if match is None:
            raise ValueError(f"{shown(raw)} does not begin with a default weight")
        return decimal(match[1])

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write the default; what single disks have stays."""
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10000:
            raise ValueError(f"takes {self.takes}, not {value!r}")
        return (b"default %d" % value,)


class Costs:
    """`io.cost.qos` and `io.cost.model`: by disk, what somebody set, as the kernel prints it.

    A disk with `off`, which is what the kernel does unasked, is absent; to write `""` brings that back.
    """

    kind = "costs"
    takes = "key=value pairs by device"

    def __init__(self, off: str) -> None:
        self.off = off

    def decode(self, raw: bytes) -> dict[str, str]:
        """Read the line of every disk that somebody set."""
        *lines, rest = raw.decode("ascii").split("\n")
        if rest:
            raise ValueError(f"{shown(raw[-60:])} is cut off")
        found = {}
        for line in lines:
            match = _LINE.fullmatch(line)
            if match is None:
                raise ValueError(f"{shown(line.encode())} is not a device and key=value pairs")
            if self.off not in match[2].split(" "):
                found[match[1]] = match[2]
        return found

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write each disk by itself, for a write takes one."""
        if not isinstance(value, Mapping):
            raise ValueError(f"takes {self.takes}, not {value!r}")
        lines = []
        for device, pairs in value.items():
            line = f"{device} {pairs or self.off}"
            if not isinstance(pairs, str) or not _LINE.fullmatch(line):
                raise ValueError(f"takes {self.takes}, not {device!r}: {pairs!r}")
            lines.append(line.encode("ascii"))
        return tuple(lines)
