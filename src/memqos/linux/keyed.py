"""Codecs of the keyed control files: flat keyed, nested keyed, pressure, io.stat, io.max.

Flat keyed (`KEY VALUE` lines) is the hot one: a tick reads thousands of them and their keys never
change while a kernel runs. So each `Flat` keeps the layouts it has met. A text that without its
digits is a known layout without its digits has the same keys in the same lines; what is left of it
without everything but digits is a list of numbers, which msgspec reads in one call. That is 2.5
times as fast as one regular expression of the whole file, and as strict: a digit in a key's place
leaves two numbers without a comma. A text that fits no known layout is checked line by line.

Keys this memqos does not know are kept in flat files and passed over in nested ones: kernels
add keys. Everything else that is not of the form is a `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import mul
from typing import Annotated, Any, Final

from msgspec import DecodeError, Meta
from msgspec.json import Decoder

from memqos.linux.codec import decimal, shown, whole
from memqos.model.snapshot import Counters, IoMax, IoStat, Pressure, PressureLine
from memqos.units import UNLIMITED

_LAYOUTS_KEPT: Final = 8


_DIGITS: Final = b"0123456789"
_ALL_BUT_NUMBERS: Final = bytes(byte for byte in range(256) if byte not in _DIGITS + b" \n")
_COMMAS: Final = bytes.maketrans(b"\n", b",")
_numbers = Decoder(tuple[Annotated[int, Meta(le=2**63 - 1)], ...]).decode
"""JSON's numbers are the kernel's: no sign but minus, no leading zero; above 63 bit it goes the slow way."""


class Layout:
    """The keys of one file as one kernel prints them, and the file without its digits.

    `skeleton` is `None` where a key has a digit itself. `factors` multiply the numbers (kB).
    """

    __slots__ = ("factors", "keys", "skeleton")

    def __init__(self, lines: list[re.Match[bytes]]) -> None:
        self.keys = {_key(match): index for index, match in enumerate(lines)}
        if len(self.keys) != len(lines):
            raise ValueError("the same key stands on two lines")
        digits = any(match[1].translate(None, _DIGITS) != match[1] for match in lines)
        bare = b"".join(match[0].translate(None, _DIGITS) + b"\n" for match in lines)
        self.skeleton = None if digits else bare
        kilo = tuple(1024 if match[3] else 1 for match in lines)
        self.factors = kilo if 1024 in kilo else None

    def counters(self, numbers: tuple[int, ...]) -> Counters:
        """Put the numbers to the keys."""
        return Counters(self.keys, tuple(map(mul, numbers, self.factors)) if self.factors else numbers)


def _key(match: re.Match[bytes]) -> str:
    return match[1].decode("ascii").removesuffix(":")


class Flat:
    """`KEY VALUE` lines, as `Counters`; with `meminfo`, `KEY:   VALUE kB` lines in bytes."""

    kind = "flat keyed"
    takes = "numbers by key"

    def __init__(self, *, meminfo: bool = False) -> None:
        self._line = re.compile(rb"([!-~]+:) +([0-9]+)( kB)?" if meminfo else rb"([!-~]+) ([0-9]+)()")
        self._layouts: list[Layout] = []

    def decode(self, raw: bytes) -> Counters:
        """Read every line; the layout is shared with every earlier file of the same keys."""
        skeleton = raw.translate(None, _DIGITS)
        for layout in self._layouts:
            if layout.skeleton == skeleton:
                listed = raw.translate(_COMMAS, _ALL_BUT_NUMBERS)
                try:
                    numbers = _numbers(b"[%b]" % listed[:-1])
                except DecodeError:
                    break
                if not numbers:  # one key without its number: an empty list reads too
                    break
                return Counters(layout.keys, numbers) if layout.factors is None else layout.counters(numbers)
        return self._slowly(raw)

    def _slowly(self, raw: bytes) -> Counters:
        lines = self._lines(raw)
        keys = [_key(match) for match in lines]
        layout = next((known for known in self._layouts if list(known.keys) == keys), None) or Layout(lines)
        self._layouts = [layout, *(known for known in self._layouts if known is not layout)][:_LAYOUTS_KEPT]
        return layout.counters(tuple(decimal(match[2]) for match in lines))

    def _lines(self, raw: bytes) -> list[re.Match[bytes]]:
        texts = raw.split(b"\n")
        if texts.pop() or not texts:
            raise ValueError(f"{shown(raw[-60:])} is cut off" if raw else "is empty")
        lines = []
        for text in texts:
            if (match := self._line.fullmatch(text)) is None:
                raise ValueError(f"{shown(text)} is not a key and a number")
            lines.append(match)
        return lines

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write each pair by itself."""
        if not isinstance(value, Mapping):
            raise ValueError(f"takes numbers by key, not {value!r}")
        return tuple(_name(key) + b" %d" % whole(number) for key, number in value.items())


_NAME = re.compile(r"[!-<>-~]+")
_VISIBLE = re.compile(rb"[!-~]+")
_DEVICE = re.compile(rb"[0-9]{1,10}:[0-9]{1,10}")


def _name(key: object) -> bytes:
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        raise ValueError(f"{key!r} is not a key")
    return key.encode()


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
            words = [_name(name)]
            for key, item in pairs.items():
                text = b"%d" % whole(item) if not isinstance(item, str) else _name(item)
                words.append(_name(key) + b"=" + text)
            lines.append(b" ".join(words))
        return tuple(lines)


_PRESSURE = re.compile(
    rb"(?:some avg10=([0-9]{1,3}\.[0-9]{2}) avg60=([0-9]{1,3}\.[0-9]{2}) avg300=([0-9]{1,3}\.[0-9]{2})"
    rb" total=([0-9]{1,20})\n)?"
    rb"(?:full avg10=([0-9]{1,3}\.[0-9]{2}) avg60=([0-9]{1,3}\.[0-9]{2}) avg300=([0-9]{1,3}\.[0-9]{2})"
    rb" total=([0-9]{1,20})\n)?"
)


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
