"""Bytes, pages and Kubernetes quantities.

Sizes are ints of bytes everywhere in memqos; `UNLIMITED` is the kernel's own "max".
Quantities follow `k8s.io/apimachinery/pkg/api/resource` (`Quantity`, `ParseQuantity`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from memqos.errors import QuantityError

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

UNLIMITED: Final = 2**63 - 4096
"""What the kernel means by "max": `PAGE_COUNTER_MAX` pages (include/linux/page_counter.h), 64 bit."""

INT64_MAX: Final = 2**63 - 1

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:(?P<suffix>Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,9}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """A Kubernetes quantity: an exact number, in the resource's own unit (bytes, cores).

    Comparisons are exact, as `Quantity.Cmp` is; `"1Gi" == "1024Mi"`.
    """

    amount: Fraction

    @property
    def value(self) -> int:
        """The amount rounded away from 0 to an integer: bytes of memory (`Quantity.Value`)."""
        return _away_from_zero(self.amount)

    @property
    def milli_value(self) -> int:
        """The amount in thousandths, rounded away from 0: millicores (`Quantity.MilliValue`)."""
        return _away_from_zero(1000 * self.amount)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.amount + other.amount)

    def __bool__(self) -> bool:
        return self.amount != 0


def _away_from_zero(amount: Fraction) -> int:
    magnitude = -(-abs(amount.numerator) // amount.denominator)
    return magnitude if amount >= 0 else -magnitude


ZERO: Final = Quantity(Fraction(0))


def parse_quantity(text: str | int | float) -> Quantity:
    """Read a Kubernetes quantity such as `128Mi`, `1.5G`, `100m` or `12e6`.

    Amounts beyond 2^63-1 are capped to it and finer than 1e-9 rounded up, as `ParseQuantity`
    does. Raises `QuantityError` for anything else, `" 1Gi"` and `"1e3Gi"` included.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise QuantityError(f"{text!r} is not a quantity", remedy=_REMEDY)
    # Python itself refuses to convert more than 4300 digits, with an error of its own
    if (isinstance(text, str) and len(text) > _LONGEST) or (
        isinstance(text, int) and abs(text) >= 2**_LONGEST
    ):
        raise QuantityError("too long for a quantity", remedy=_REMEDY)
    match = _QUANTITY.fullmatch(str(text))
    if match is None or not str(text).isascii():
        raise QuantityError(f"{text!r} is not a quantity", remedy=_REMEDY)
    suffix = match["suffix"] or ""
    number = Fraction(match["number"])
    if match["exponent"]:
        # beyond this bound the amount is capped or rounded anyway; 10**999999999 would never end
        bound = 40 + len(match["number"])
        amount = number * Fraction(10) ** max(-bound, min(bound, int(match["exponent"])))
    elif suffix in _BINARY:
        amount = number * 1024 ** _BINARY[suffix]
    else:
        amount = number * Fraction(10) ** _DECIMAL[suffix]
    sign = -1 if amount < 0 else 1
    magnitude = min(abs(amount), Fraction(INT64_MAX))
    nano = -(-magnitude.numerator * 10**9 // magnitude.denominator)
    return Quantity(Fraction(sign * nano, 10**9))


_LONGEST: Final = 4000
_REMEDY = "write a number with an optional suffix, such as 512Mi or 1G"


def parse_bytes(text: str | int) -> int:
    """Read a size in bytes from a quantity; raises `QuantityError` if it is negative."""
    quantity = parse_quantity(text)
    if quantity.amount < 0:
        raise QuantityError(f"{text!r} is negative", remedy="write a size of 0 or more")
    return quantity.value


def format_bytes(size: int) -> str:
    """Write a size for people: `512 B`, `1.5 MiB`, `1 EiB`; `max` for `UNLIMITED` and above."""
    if size >= UNLIMITED:
        return "max"
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if abs(number) < 1024 or unit == "EiB":
            break
        number /= 1024
    digits = f"{number:.1f}".removesuffix(".0") if abs(number) < 100 else f"{number:.0f}"
    return f"{digits} {unit}"


def page_floor(size: int, page_size: int = 4096) -> int:
    """Round a size down to whole pages, as the kernel does with what is written to a limit."""
    return size // page_size * page_size
