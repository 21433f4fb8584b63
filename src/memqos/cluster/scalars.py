"""The scalars of a YAML document, as Kubernetes' library reads them.

That is sigs.k8s.io/yaml over go-yaml v2 (resolve.go): YAML 1.1, but `2026-11-21` and `1:30` stay
strings, and an integer beyond 64 bits becomes a float. `yes`, `no`, `on` and `off` are booleans;
`y` and `n` (booleans to some versions of it) stay strings.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from memqos.cluster.fields import shown
from memqos.errors import ManifestError

_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TRUE = ("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_INFINITE = (".inf", ".Inf", ".INF")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(_INFINITE, math.inf),
    **{"+" + word: math.inf for word in _INFINITE},
    **{"-" + word: -math.inf for word in _INFINITE},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "null": type(None),
    "bool": bool,
    "int": int,
    "float": (int, float),
}


def read_scalar(text: str, tag: str | None, plain: bool) -> Any:
    """Return what a scalar stands for, or a `ManifestError` (without a place) saying why it cannot be.

    `plain` is true for a scalar without quotes and tag.
    """
    if tag in (None, "!", "tag:yaml.org,2002:str"):
        return _plain(text) if plain and tag is None else text
    kind = _KINDS.get(tag.removeprefix("tag:yaml.org,2002:"))
    if kind is None:
        return ManifestError(f"the tag {shown(tag)} is not allowed here", remedy="write plain YAML")
    value = _plain(text)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return ManifestError(f"{shown(text)} is not of the type of its tag", remedy="leave the tag out")
    return value


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _integer(text.replace("_", ""))
    return _float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str) -> Any:
    digits = text.lstrip("+-")
    base = {"0b": 2, "0x": 16, "0o": 8}.get(digits[:2], 8 if digits[0] == "0" and digits != "0" else 10)
    try:
        number = int(text, base)  # refuses more than 4300 decimal digits
    except ValueError:
        return _float(text) if digits.isdigit() else text
    return number if -(2**63) <= number < 2**64 else _float(text)


def _float(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return ManifestError(
            f"{shown(text)} is too large a number", remedy="write a smaller one, or quote it"
        )
    if math.isinf(number):
        return ManifestError(
            f"{shown(text)} is too large a number", remedy="write a smaller one, or quote it"
        )
    return number
