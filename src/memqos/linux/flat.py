"""The codec of flat keyed files, `KEY VALUE` lines: `memory.stat`, `memory.events`, /proc/vmstat and meminfo.

It is the hot one: a tick reads thousands of such lines and their keys never change while a kernel runs. So
each `Flat` keeps the layouts it has met. A text that without its digits is a known layout without its digits
has the same keys in the same lines; what is left of it without everything but digits is a list of numbers,
which msgspec reads in one call. That is 2.5 times as fast as one regular expression of the whole file, and as
strict: a digit in a key's place leaves two numbers without a comma. A layout whose keys have digits
themselves is that one regular expression. A text that fits no known layout is checked line by line.

Keys this memqos does not know are kept: kernels add keys. Everything else that is not of the form is a
`ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import mul
from typing import Annotated, Any, Final

from msgspec import DecodeError, Meta
from msgspec.json import Decoder

from memqos.linux.codec import DIGITS, decimal, key_text, shown, whole
from memqos.model.snapshot import Counters

_LAYOUTS_KEPT: Final = 8

_ALL_BUT_NUMBERS: Final = bytes(byte for byte in range(256) if byte not in DIGITS + b" \n")
_COMMAS: Final = bytes.maketrans(b"\n", b",")
_numbers = Decoder(tuple[Annotated[int, Meta(le=2**63 - 1)], ...]).decode
"""JSON's numbers are the kernel's: no sign but minus, no leading zero; above 63 bit it goes the slow way."""


class Layout:
    """The keys of one file as one kernel prints them, and how a text is known to have just these.

    `skeleton` is the file without its digits, `fits` what matches it, where a key has a digit itself; one of
    them is `None`. `factors` multiply the numbers (kB).
    """

    __slots__ = ("factors", "fits", "keys", "skeleton")

    def __init__(self, lines: list[re.Match[bytes]], gap: bytes) -> None:
        self.keys = {_key(match): index for index, match in enumerate(lines)}
        if len(self.keys) != len(lines):
            raise ValueError("the same key stands on two lines")
        digits = any(match[1].translate(None, DIGITS) != match[1] for match in lines)
        bare = b"".join(match[0].translate(None, DIGITS) + b"\n" for match in lines)
        self.skeleton = None if digits else bare
        numbers = [gap + rb"([0-9]{1,19})" + (match[3] or b"") + b"\n" for match in lines]
        every = b"".join(re.escape(match[1]) + number for match, number in zip(lines, numbers, strict=True))
        self.fits = re.compile(every).fullmatch if digits else None
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
        self._gap = b" +" if meminfo else b" "
        self._line = re.compile(rb"([!-~]+:) +([0-9]+)( kB)?" if meminfo else rb"([!-~]+) ([0-9]+)()")
        self._layouts: list[Layout] = []

    def decode(self, raw: bytes) -> Counters:
        """Read every line; the layout is shared with every earlier file of the same keys."""
        skeleton = raw.translate(None, DIGITS)
        for layout in self._layouts:
            if layout.fits is not None and (found := layout.fits(raw)) is not None:
                return layout.counters(tuple(map(int, found.groups())))
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
        same = (known for known in self._layouts if list(known.keys) == keys)
        layout = next(same, None) or Layout(lines, self._gap)
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
        return tuple(key_text(key) + b" %d" % whole(number) for key, number in value.items())
