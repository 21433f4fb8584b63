"""One value of a parsed document together with the place it stands at.

Every reader of a foreign document (a manifest, a kubelet's answer) walks it through `At`, so that
whatever is wrong is reported with file, field and remedy, and nothing of the wrong type gets past.
A missing field and an explicit `null` are the same, as in the Kubernetes API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from memqos.errors import ManifestError, QuantityError
from memqos.units import Quantity, parse_quantity

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,63}")
_KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


@dataclass(frozen=True, slots=True)
class At:
    """A value, the file (and document) it comes from, and its field path."""

    value: Any
    source: str = ""
    field: str = ""

    def error(self, problem: str, remedy: str = "") -> ManifestError:
        """Build the error that says `problem` about this field."""
        return ManifestError(problem, source=self.source, field=self.field, remedy=remedy)

    def wrong_type(self, wanted: str, remedy: str = "") -> ManifestError:
        """Build the error for a value of the wrong type."""
        found = _KINDS.get(type(self.value), type(self.value).__name__)
        return self.error(f"{shown(self.value)} is {found}, not {wanted}", remedy or f"write {wanted}")

    def get(self, key: str) -> At:
        """The field `key` of this mapping; its value is `None` where there is none."""
        found = self._typed(dict, "a mapping")
        return At((found or {}).get(key), self.source, self._below(key))

    def entries(self) -> Iterator[tuple[str, At]]:
        """The fields of this mapping in the order written, without the null ones."""
        for key, value in (self._typed(dict, "a mapping") or {}).items():
            below = At(value, self.source, self._below(key))
            if not isinstance(key, str):
                raise below.error(f"the key {shown(key)} is not a string", "quote it")
            if value is not None:
                yield key, below

    def items(self) -> Iterator[At]:
        """The items of this list."""
        for index, value in enumerate(self._typed(list, "a list") or ()):
            yield At(value, self.source, f"{self.field}[{index}]")

    def string(self, default: str = "") -> str:
        """This string; `default` where there is none."""
        text = self._typed(str, "a string", "put it in quotes")
        return default if text is None else str(text)

    def name(self, pattern: re.Pattern[str], rule: str) -> str:
        """This required name, which must match `pattern`."""
        text = self.string()
        if not text:
            raise self.error("is missing", "give it a name")
        if not pattern.fullmatch(text):
            raise self.error(f"{shown(text)} is not a valid name", rule)
        return text

    def one_of(self, allowed: Sequence[str], default: str = "") -> str:
        """This string, which must be one of `allowed`; `default` where there is none."""
        text = self.string(default)
        if text != default and text not in allowed:
            words = " or ".join(filter(None, (", ".join(allowed[:-1]), allowed[-1])))
            raise self.error(f"{shown(text)} is not known", f"write {words}")
        return text

    def integer(self, low: int, high: int) -> int | None:
        """This integer of low..high; `None` where there is none."""
        number = self._typed(int, "an integer")
        if number is not None and not low <= number <= high:
            raise self.error(f"{shown(number)} is out of range", f"write an integer of {low} to {high}")
        return None if number is None else int(number)

    def boolean(self) -> bool:
        """This switch; false where there is none."""
        return bool(self._typed(bool, "true or false", "write true or false, without quotes"))

    def strings(self) -> dict[str, str]:
        """This mapping of strings to strings."""
        return {key: value.string() for key, value in self.entries()}

    def quantities(self) -> dict[str, Quantity]:
        """This mapping of resource names to quantities of 0 or more."""
        return {key: value.quantity() for key, value in self.entries()}

    def quantity(self) -> Quantity:
        """This Kubernetes quantity of 0 or more."""
        if isinstance(self.value, (dict, list)):
            raise self.wrong_type("a quantity", "write a number with an optional suffix, such as 512Mi or 1G")
        try:
            amount = parse_quantity(self.value)
        except QuantityError as error:
            raise self.error(f"{shown(self.value)} is not a quantity", error.remedy) from None
        if amount.amount < 0:
            raise self.error(f"{shown(self.value)} is negative", "write a quantity of 0 or more")
        return amount

    def _typed(self, kind: type, wanted: str, remedy: str = "") -> Any:
        # bool is an int to Python and not to Kubernetes
        if self.value is None or (
            isinstance(self.value, kind) and (kind is bool or not isinstance(self.value, bool))
        ):
            return self.value
        raise self.wrong_type(wanted, remedy)

    def _below(self, key: object) -> str:
        if not isinstance(key, str) or not _PLAIN_KEY.fullmatch(key):
            return f"{self.field}[{key if isinstance(key, str) and len(key) < 99 else shown(key)}]"
        return f"{self.field}.{key}" if self.field else key


def shown(value: object, limit: int = 60) -> str:
    """Show a value of a document for an error: never long, whatever the document holds."""
    if isinstance(value, str):
        text = value if len(value) <= limit else value[:limit] + "…"
        return (
            f'"{text}"' if text.isprintable() else '"' + text.encode("unicode_escape").decode("ascii") + '"'
        )
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (int, float)):
        return str(value)
    return "{…}" if isinstance(value, dict) else "[…]" if isinstance(value, list) else type(value).__name__
