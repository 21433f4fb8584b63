"""Codecs of the simple control files: one value, a switch, a word, a list.

A codec turns the bytes of one file into a value and back and knows nothing of files. `decode`
raises `ValueError` for text that is not of the documented form; it never guesses. `encode`
returns what to write, one item per `write(2)`, and raises `ValueError` for a value of another type.
The forms: Documentation/admin-guide/cgroup-v2.rst, "Format" and "Conventions".
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

from memqos.model.plan import Bandwidth, Reclaim
from memqos.units import UNLIMITED

U64_MAX: Final = 2**64 - 1
DIGITS: Final = b"0123456789"


class Codec(Protocol):
    """The bytes of one kind of file, and their value."""

    kind: str
    takes: str

    def decode(self, raw: bytes) -> Any:
        """Return the value the bytes state; `ValueError` if they are not of this form."""

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Return what to write, in order; `ValueError` if the value is not of this type."""


def decimal(text: bytes) -> int:
    """Read a number as the kernel prints one: digits only, no sign, at most 64 bit."""
    if not text.isdigit() or len(text) > 20 or (value := int(text)) > U64_MAX:
        raise ValueError(f"{shown(text)} is not a number")
    return value


def line(raw: bytes) -> bytes:
    """Return the only line of a file, without its newline."""
    if raw.count(b"\n") != 1 or not raw.endswith(b"\n"):
        raise ValueError(f"{shown(raw)} is not one line")
    return raw[:-1]


def shown(raw: bytes) -> str:
    """Show bytes in an error text, cut to a readable length."""
    return repr(raw if len(raw) <= 60 else raw[:60] + b"...")[1:]


def whole(value: object) -> int:
    """Return an int of 0 or more that is not a switch, or raise `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"takes a number of 0 or more, not {value!r}")
    return value


_KEY = re.compile(r"[!-<>-~]+")


def key_text(key: object) -> bytes:
    """Return a key as it is written, or raise `ValueError`."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not a key")
    return key.encode()


class Number:
    """A single number; "max" is `UNLIMITED` where `unlimited` allows it."""

    kind = "single value"

    def __init__(self, *, unlimited: bool = False) -> None:
        self.unlimited = unlimited
        self.takes = 'a number or "max"' if unlimited else "a number"

    def decode(self, raw: bytes) -> int:
        """Read `123` or `max`."""
        text = raw[:-1]
        if len(text) < 20 and text.isdigit() and raw.endswith(b"\n"):  # nearly always
            return int(text)
        text = line(raw)
        return UNLIMITED if text == b"max" and self.unlimited else decimal(text)

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write the number; `UNLIMITED` and above is "max"."""
        number = whole(value)
        if self.unlimited and number >= UNLIMITED:
            return (b"max",)
        if number > U64_MAX:
            raise ValueError(f"takes 64 bit, not {number}")
        return (b"%d" % number,)


class CpuMax:
    """`cpu.max`: microseconds of processor in each period; "max" is `UNLIMITED`."""

    kind = "bandwidth"
    takes = "a quota and a period"

    def decode(self, raw: bytes) -> Bandwidth:
        """Read `50000 100000` or `max 100000`."""
        quota, _, period = line(raw).partition(b" ")
        return Bandwidth(UNLIMITED if quota == b"max" else decimal(quota), decimal(period))

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write both; a quota of `UNLIMITED` and above is "max"."""
        if not isinstance(value, Bandwidth):
            raise ValueError(f"takes {self.takes}, not {value!r}")
        quota, period = whole(value.quota), whole(value.period)
        return (b"max %d" % period if quota >= UNLIMITED else b"%d %d" % (quota, period),)


class Switch:
    """A single 0 or 1, as a bool."""

    kind = "switch"
    takes = "true or false"

    def decode(self, raw: bytes) -> bool:
        """Read `0` or `1`."""
        if raw not in (b"0\n", b"1\n"):
            raise ValueError(f"{shown(raw)} is neither 0 nor 1")
        return raw == b"1\n"

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write 1 or 0."""
        if not isinstance(value, bool):
            raise ValueError(f"takes true or false, not {value!r}")
        return (b"1" if value else b"0",)


_WORD = re.compile(rb"[!-~]+")


class Word:
    """One word, or words that read as one text such as "domain threaded" (`cgroup.type`)."""

    kind = "word"

    def __init__(self, *words: str) -> None:
        self.words = words
        self.takes = "one of " + ", ".join(words)

    def decode(self, raw: bytes) -> str:
        """Read one of the known words."""
        text = line(raw).decode("ascii", "backslashreplace")
        if text not in self.words:
            raise ValueError(f"{shown(raw)} is not {self.takes}")
        return text

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write one of the known words."""
        if value not in self.words:
            raise ValueError(f"takes {self.takes}, not {value!r}")
        return (str(value).encode(),)


class Words:
    """Words on one line: `cgroup.controllers`. `cgroup.subtree_control` takes `+name` and `-name`."""

    kind = "word list"
    takes = "words"

    def decode(self, raw: bytes) -> tuple[str, ...]:
        """Read `cpuset cpu io`; an empty file, as of a cgroup without any, is no word."""
        text = line(raw) if raw else b""
        words = text.split(b" ") if text else []
        if not all(_WORD.fullmatch(word) for word in words):
            raise ValueError(f"{shown(raw)} is not a list of words")
        return tuple(word.decode("ascii") for word in words)

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write the words in one line."""
        if isinstance(value, str) or not all(
            isinstance(word, str) and word.isascii() and _WORD.fullmatch(word.encode()) for word in value
        ):
            raise ValueError(f"takes words, not {value!r}")
        return (b" ".join(word.encode() for word in value),)


class Ids:
    """One process or thread id a line; as many moves when written, since a write takes one id."""

    kind = "id list"
    takes = "ids"

    def decode(self, raw: bytes) -> tuple[int, ...]:
        """Read one id a line; 0 is a task of a foreign pid namespace."""
        if raw and not raw.endswith(b"\n"):
            raise ValueError(f"{shown(raw[-60:])} is cut off")
        return tuple(decimal(text) for text in raw.split(b"\n")[:-1])

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write each id by itself."""
        return tuple(b"%d" % whole(item) for item in value)


class ReclaimOrder:
    """`memory.reclaim`, write-only: `SIZE [swappiness=N]`, 201 being "max" (6.17)."""

    kind = "reclaim order"
    takes = "a Reclaim or bytes"

    def decode(self, raw: bytes) -> Reclaim:
        """Read an order back; the kernel never shows one."""
        size, *options = line(raw).split(b" ")
        if not options:
            return Reclaim(decimal(size))
        key, _, text = options[0].partition(b"=")
        if len(options) > 1 or key != b"swappiness":
            raise ValueError(f"{shown(raw)} is not a reclaim order")
        swappiness = 201 if text == b"max" else decimal(text)
        if swappiness > 201 or text == b"201":
            raise ValueError(f"{shown(raw)} has a swappiness above 200")
        return Reclaim(decimal(size), swappiness)

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write the order in the kernel's form."""
        order = value if isinstance(value, Reclaim) else Reclaim(whole(value))
        text = b"%d" % whole(order.size)
        if order.swappiness is None:
            return (text,)
        if whole(order.swappiness) > 201:
            raise ValueError(f"takes a swappiness of 0 to 200, or 201 for max, not {order.swappiness}")
        return (text + b" swappiness=" + (b"max" if order.swappiness == 201 else b"%d" % order.swappiness),)


class Order:
    """A file that takes one fixed text and shows nothing: `cgroup.kill`."""

    kind = "write-only"
    takes = "true"

    def decode(self, raw: bytes) -> bool:
        """Accept only what is written."""
        if raw.rstrip(b"\n") != b"1":
            raise ValueError(f"{shown(raw)} is not 1")
        return True

    def encode(self, value: Any) -> tuple[bytes, ...]:
        """Write 1."""
        if value is not True:
            raise ValueError(f"takes true, not {value!r}")
        return (b"1",)
