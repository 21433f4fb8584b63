"""Codecs of keyed control files, but the flat ones (`memqos.linux.flat`): nested, pressure, io.stat, io.max.

Keys this memqos does not know are passed over: kernels add keys. Everything else that is not of the form is
a `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import DecodeError
from msgspec.json import Decoder

from memqos.linux.codec import DIGITS, decimal, key_text, shown, whole
from memqos.model.snapshot import IoMax, IoStat, Pressure, PressureLine
from memqos.units import UNLIMITED

_VISIBLE = re.compile(rb"[!-~]+")
_DEVICE = re.compile(rb"[0-9]{1,10}:[0-9]{1,10}")


def _nested(raw: bytes) -> dict[bytes, dict[bytes, bytes]]:
    """Cut `KEY SUB=VALUE SUB=VALUE` lines; a space may follow a key without any pair.

    Before 5.17 a device without I/O had no newline either, so that `io.stat` could read
    `7:0 7:1 8:0 rbytes=1`: a device directly after a device starts the next entry.
    """
    if raw and not raw.endswith(b"\n"):
        raise ValueError(f"{shown(raw[-60:])} is cut off")
    entries: dict[bytes, dict[bytes, bytes]] = {}
    for text in raw.split(b"\n")[:-1]:
        pairs: dict[bytes, bytes] | None = None
        for word in text.removesuffix(b" ").split(b" "):
            key, equals, value = word.partition(b"=")
            starts = pairs is None or (not pairs and _DEVICE.fullmatch(word))
            if not _VISIBLE.fullmatch(word):
                raise ValueError(f"{shown(text)} is not a name and key=value pairs")
            if not equals and starts and word not in entries:
                pairs = entries[word] = {}
            elif pairs is not None and equals and key and key not in pairs:
                pairs[key] = value
            else:
                raise ValueError(f"{shown(text)} is not a name and key=value pairs")
    return entries


def _devices(raw: bytes) -> dict[str, dict[bytes, bytes]]:
    entries = _nested(raw)
    for name in entries:
        if not _DEVICE.fullmatch(name):
            raise ValueError(f"{shown(name)} is not a device, major:minor")
    return {name.decode("ascii"): pairs for name, pairs in entries.items()}


_IO_STAT: Final = (b"rbytes", b"wbytes", b"rios", b"wios", b"dbytes", b"dios")
_IO_MAX: Final = (b"rbps", b"wbps", b"riops", b"wiops")


_IO_LINE: Final = re.compile(
    rb"([0-9]{1,10}:[0-9]{1,10})"
    + b"".join(b" %b=([0-9]{1,19})" % key for key in _IO_STAT)
    + rb"(?: cost\.[!-~ ]*)?\n"
).match


class IoStats:
    """`io.stat`: `8:0 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`; debug keys are passed over."""

    kind = "nested keyed"
    takes = "nothing"

    def decode(self, raw: bytes) -> dict[str, IoStat]:
        """Read the six counters of every device; a device without I/O may show none of them."""
        stats, end = {}, 0
        while (found := _IO_LINE(raw, end)) is not None:
            device, *numbers = found.groups()
            stats[device.decode("ascii")] = IoStat(*map(int, numbers))
            end = found.end()
        return stats if end == len(raw) and raw.count(b"\n") == len(stats) else self._slowly(raw)

    @staticmethod
    def _slowly(raw: bytes) -> dict[str, IoStat]:
        stats = {}
        for device, pairs in _devices(raw).items():
            if not pairs.keys().isdisjoint(_IO_STAT) and not pairs.keys() >= set(_IO_STAT):
                raise ValueError(f"{device} has only some of its counters")
            stats[device] = IoStat(*(decimal(pairs.get(key, b"0")) for key in _IO_STAT))
        return stats

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Print as the kernel does."""
        return tuple(
            b"%s rbytes=%d wbytes=%d rios=%d wios=%d dbytes=%d dios=%d"
            % (_device(name), s.rbytes, s.wbytes, s.rios, s.wios, s.dbytes, s.dios)
            for name, s in value.items()
        )


def _device(name: object) -> bytes:
    if not isinstance(name, str) or not name.isascii() or not _DEVICE.fullmatch(name.encode()):
        raise ValueError(f"{name!r} is not a device, major:minor")
    return name.encode()


class IoMaxes:
    """`io.max`: `8:16 rbps=2097152 wbps=max riops=max wiops=120`; a device without limit is absent."""

    kind = "nested keyed"
    takes = "IoMax by device"

    def decode(self, raw: bytes) -> dict[str, IoMax]:
        """Read the four limits of every device that has one."""
        limits = {}
        for device, pairs in _devices(raw).items():
            if not pairs.keys() >= set(_IO_MAX):
                raise ValueError(f"{device} has only some of its limits")
            numbers = (UNLIMITED if pairs[k] == b"max" else decimal(pairs[k]) for k in _IO_MAX)
            if (limit := IoMax(*numbers)) != IoMax():
                limits[device] = limit
        return limits

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write each device by itself, for a write takes one; the kernel refuses a limit of 0."""
        if not isinstance(value, Mapping) or not all(isinstance(limit, IoMax) for limit in value.values()):
            raise ValueError(f"takes IoMax by device, not {value!r}")
        lines = []
        for name, limit in value.items():
            numbers = (limit.rbps, limit.wbps, limit.riops, limit.wiops)
            texts = (b"max" if whole(n) >= UNLIMITED else b"%d" % n for n in numbers)
            pairs = (key + b"=" + text for key, text in zip(_IO_MAX, texts, strict=True))
            lines.append(_device(name) + b" " + b" ".join(pairs))
        return tuple(lines)


class Nested:
    """Nested keyed files of the rarer sort, values as numbers where they are numbers, else as text.

    `io.latency` `8:16 target=75000`, `memory.numa_stat` `anon N0=4096`.
    """

    kind = "nested keyed"
    takes = "values by key by name"

    def decode(self, raw: bytes) -> dict[str, dict[str, int | str]]:
        """Read every pair."""
        return {
            name.decode("ascii"): {
                key.decode("ascii"): decimal(text) if text.isdigit() else text.decode("ascii")
                for key, text in pairs.items()
            }
            for name, pairs in _nested(raw).items()
        }

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write each name by itself."""
        if not isinstance(value, Mapping) or not all(isinstance(pairs, Mapping) for pairs in value.values()):
            raise ValueError(f"takes values by key by name, not {value!r}")
        lines = []
        for name, pairs in value.items():
            words = [key_text(name)]
            for key, item in pairs.items():
                text = b"%d" % whole(item) if not isinstance(item, str) else key_text(item)
                words.append(key_text(key) + b"=" + text)
            lines.append(b" ".join(words))
        return tuple(lines)


_PRESSURE = re.compile(
    rb"(?:some avg10=([0-9]{1,3}\.[0-9]{2}) avg60=([0-9]{1,3}\.[0-9]{2}) avg300=([0-9]{1,3}\.[0-9]{2})"
    rb" total=([0-9]{1,20})\n)?"
    rb"(?:full avg10=([0-9]{1,3}\.[0-9]{2}) avg60=([0-9]{1,3}\.[0-9]{2}) avg300=([0-9]{1,3}\.[0-9]{2})"
    rb" total=([0-9]{1,20})\n)?"
)


_PRESSURE_BARE: Final = b"some avg=. avg=. avg=. total=\nfull avg=. avg=. avg=. total=\n"
_PRESSURE_LIST: Final = bytes.maketrans(b"ou= \n", b"00,,,")
_pressure_list = Decoder(
    tuple[
        Literal[0], Literal[10], float, Literal[60], float, Literal[300], float, Literal[0], int,
        Literal[0], Literal[10], float, Literal[60], float, Literal[300], float, Literal[0], int,
    ]
).decode  # fmt: skip
"""`some avg10=0.12 avg60=3.45 ...` as a list, 0,10,0.12,60,3.45,...: of each name one letter is left, as 0.

That is three times as fast as the regular expression, most of it in reading the numbers.
"""


class Pressures:
    """`*.pressure` (Documentation/accounting/psi.rst); `irq.pressure` has a `full` line only.

    Takes a trigger, which lives as long as the descriptor it was written to: see `pressure`.
    """

    kind = "pressure"
    takes = "a trigger, by its own descriptor"

    def __init__(self, *, only_full: bool = False) -> None:
        self.only_full = only_full

    def decode(self, raw: bytes) -> Pressure | PressureLine:
        """Read both lines; `irq.pressure` gives its one line."""
        if raw.translate(None, DIGITS) == _PRESSURE_BARE and not self.only_full:  # nearly always
            listed = raw.translate(_PRESSURE_LIST, b"smeavgtlf")
            try:
                _, _, a10, _, a60, _, a300, _, some, _, _, b10, _, b60, _, b300, _, full = _pressure_list(
                    b"[%b]" % listed[:-1]
                )
            except DecodeError:
                return self._slowly(raw)
            return Pressure(PressureLine(a10, a60, a300, some), PressureLine(b10, b60, b300, full))
        return self._slowly(raw)

    def _slowly(self, raw: bytes) -> Pressure | PressureLine:
        match = _PRESSURE.fullmatch(raw)
        if match is None or (match[1] is None) != self.only_full or (self.only_full and match[5] is None):
            raise ValueError(f"{shown(raw)} is not a pressure")
        a, b, c, total, d, e, f, full_total = match.groups()
        full = None if d is None else PressureLine(float(d), float(e), float(f), int(full_total))
        if a is None:
            assert full is not None
            return full
        return Pressure(PressureLine(float(a), float(b), float(c), int(total)), full)

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Refuse: a trigger is set by `memqos.linux.pressure`, which keeps the descriptor open."""
        raise ValueError("takes triggers only, which live as long as their descriptor")
