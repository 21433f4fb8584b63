"""Go durations as the kubelet's configuration writes them: `5m0s`, `1h30m`, `300ms`.

Source: Go's `time.ParseDuration`.
"""

from __future__ import annotations

import re
from fractions import Fraction

from memqos.errors import InputError

_UNITS_US = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),
    "μs": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(10**6),
    "m": Fraction(60 * 10**6),
    "h": Fraction(3600 * 10**6),
}
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"(?:(?:{_NUMBER})(?:ns|us|µs|μs|ms|s|m|h))+")


def parse_duration(text: object) -> int:
    """Return microseconds, rounded up so that what is not 0 never becomes 0.

    Raises `InputError` for anything that is not a Go duration, and for a negative one.
    """
    if not isinstance(text, str):
        raise InputError(f"{text!r} is not a duration", remedy=_REMEDY)
    if text.startswith("-") and text != "-0":
        raise InputError(f"{text!r} is negative", remedy=_REMEDY)
    body = text.lstrip("+") if text.count("+") < 2 else text
    if body in ("0", "-0"):
        return 0
    if not _WHOLE.fullmatch(body):
        raise InputError(f"{text!r} is not a duration", remedy=_REMEDY)
    total = sum((Fraction(number) * _UNITS_US[unit] for number, unit in _PART.findall(body)), Fraction(0))
    return -(-total.numerator // total.denominator)


_REMEDY = "write a duration such as 30s, 1m30s or 0s"
