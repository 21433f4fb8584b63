"""What is wrong with a value of a YAML document, in words: which key there is none of, what it should be.

msgspec says it in Python's terms (``Expected `int`, got `str` ``) and points at the mapping around an unknown
key. Here it is the key itself, and what could stand in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import UnionType
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from memqos.cluster.fields import shown

_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}
_OWN: Final = frozenset({"source", "lines"})
"""Fields of an experiment that no file gives."""

_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


class Wrong(NamedTuple):
    """A problem, the path of the value that has it, and the remedy."""

    problem: str
    path: str
    remedy: str = ""


def explain(said: str, data: Any, kind: type[Any], path: str) -> Wrong:
    """Put into words what msgspec `said` about the value of `data` at a path, all of it being a `kind`."""
    value, expected = _at(data, kind, path)
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", said):
        return Wrong("there is no such field", f"{path}.{match[1]}", f"use {_fields(expected)}")
    if match := re.fullmatch(r"Object missing required field `(.*)`", said):
        return Wrong("is missing", f"{path}.{match[1]}", "give it a value")
    if said.startswith("Invalid enum value"):
        words = [str(each) for part in _parts(expected) for each in get_args(part)]
        return Wrong(f"{shown(value)} is not known", path, f"write {', '.join(words)}" if words else "")
    if match := re.fullmatch(r"Expected `(.*)`, got `(.*)`", said):
        wanted = [_WORDS.get(each, each) for each in match[1].split(" | ") if each != "null"]
        found = _WORDS.get(match[2], match[2])
        quoted = ", in quotes" if wanted == ["text"] and match[2] in ("int", "float", "bool") else ""
        problem = (
            "is empty" if match[2] == "null" else f"{shown(value)} is {found}, not {' or '.join(wanted)}"
        )
        return Wrong(problem, path, f"write {' or '.join(wanted)}{quoted}")
    return Wrong(said, path)


def _fields(kind: Any) -> str:
    names = {
        name
        for part in _parts(kind)
        if isinstance(part, type) and issubclass(part, Struct)
        for name in part.__struct_encode_fields__
        if name not in getattr(part, "REFUSED", ())
    }
    return ", ".join(sorted(names - _OWN)) or "another"


def _parts(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the one there is."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _at(data: Any, kind: Any, path: str) -> tuple[Any, Any]:
    """The value at a path, and what it should be."""
    for key, index in _STEP.findall(path):
        kind = next((inner for part in _parts(kind) if (inner := _inner(part, key)) is not None), None)
        if index:
            data = data[int(index)] if isinstance(data, list) and int(index) < len(data) else None
        else:
            data = data.get(key) if isinstance(data, Mapping) else None
    return data, kind


def _inner(kind: Any, key: str) -> Any:
    """What stands in a `kind` under a key, or in a list of them; `None` when that is not known."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
        return get_type_hints(kind).get(names.get(key, ""))
    args = get_args(kind)
    return args[-1 if get_origin(kind) is dict else 0] if args and get_origin(kind) is not Literal else None
