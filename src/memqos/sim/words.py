"""The words of a command line: what a shell is told to run, sizes, times."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from memqos.errors import ExperimentError

_QUIET = re.compile(r"\s(?:1?|2)>\s*/dev/null(?=\s|$)|\s2>&1(?=\s|$)")


def inner_of(argv: Sequence[str]) -> list[str]:
    """The one command that a shell is told to run; raises `ExperimentError` for more than that."""
    text = _QUIET.sub("", argv[2]).strip()
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        words = [";"]
    if any(set(word) <= set("();<>|&") for word in words) or set("$`*?~") & set(text):
        raise ExperimentError(
            f"the command {shlex.join(argv)!r} is not simulated: it needs a shell",
            remedy="write one command, without pipes, lists, files to print to and variables",
        )
    return words[1:] if words[:1] == ["exec"] else words


def size_of(text: str, *, dd: bool = False) -> int | None:
    """Read `64M`, `1G`, `4k`, `100b` (stress-ng: binary; dd: `1MB` is decimal, `1b` a block of 512 bytes).

    `None` when it is none.
    """
    digits = text.rstrip("bBkKmMgGtTi")
    suffix = text[len(digits) :].lower()
    powers = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
    if not is_number(digits):
        return None
    if dd and suffix == "b":
        return int(digits) * 512
    if dd and suffix.endswith("b") and len(suffix) == 2:
        return int(digits) * 1000 ** powers[suffix[0]] if suffix[0] in powers else None
    suffix = suffix.removesuffix("ib").removesuffix("b")
    return int(digits) * 1024 ** powers[suffix] if suffix in powers else None


def is_number(text: str) -> bool:
    """Whether it is a whole number in ASCII digits that fits 64 bits."""
    return text.isascii() and text.isdigit() and len(text) <= 18


_TIME = re.compile(
    r"\+?(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)(?P<unit>[smhd]?)"
)
_CENTURY = 100 * 365 * 86400.0


def seconds_of(text: str) -> float | None:
    """Read a time as sleep(1) and stress-ng take it, of at most a century; `None` when it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    seconds = float(match["number"]) * {"m": 60.0, "h": 3600.0, "d": 86400.0}.get(match["unit"], 1.0)
    return seconds if seconds <= _CENTURY else None
