"""What is wrong with a MemoryPolicy, in the admin's words: one `PolicyError` of pydantic's findings."""

from __future__ import annotations

import dataclasses
import difflib
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

from memqos.cluster.fields import shown
from memqos.errors import PolicyError
from memqos.policy.settings import API_VERSION, KIND, Settings

if TYPE_CHECKING:
    from pydantic import ValidationError

_SIZE: Final = "a size such as 512Mi"
_TYPES: Final = {
    "model_type": "write its settings below it, each as name: value",
    "dict_type": "write its fields below it, each as name: value",
    "list_type": "write a list, such as [a, b]",
    "string_type": "put it in quotes",
    "bool_type": "write true or false",
    "int_type": "write a whole number, without quotes",
    "float_type": "write a number, without quotes",
}
"""What to write instead of a value of the wrong type, by pydantic's word for that."""


def policy_error(error: ValidationError, source: str) -> PolicyError:
    """Return the first finding with file, field and remedy, and how many more there are."""
    found = error.errors(include_url=False)
    first = found[0]
    field = ""
    for part in first["loc"]:
        field = f"{field}[{part}]" if isinstance(part, int) else dotted(field, str(part))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    match first["type"]:
        case "extra_forbidden":
            problem, remedy = "is no setting", _nearest(first["loc"])
        case "missing":
            problem, remedy = "is missing", f"write apiVersion: {API_VERSION} and kind: {KIND}"
        case "literal_error":
            problem, remedy = f"{_said(first['input'])} is not known", f"write {first['ctx']['expected']}"
        case "value_error":
            problem, remedy = str(first["ctx"]["error"]), f"write {_SIZE}"
        case _:
            problem = f"{_said(first['input'])} is not right"
            remedy = _TYPES.get(first["type"], _lower(first["msg"]))
    return PolicyError(problem + more, source=source, field=field, remedy=remedy)


def _said(value: object) -> str:
    """Write a value as the admin wrote it."""
    return shown(value) if value is None or isinstance(value, (bool, dict, list)) else repr(value)


def _nearest(place: tuple[int | str, ...]) -> str:
    """Name the settings there are where an unknown one was found."""
    known: dict[str, Any] = {"apiVersion": None, "kind": None, "metadata": None, "spec": Settings}
    for part in (each for each in place[:-1] if isinstance(each, str)):
        inside = known.get(part)
        if get_origin(inside) is tuple:
            inside = get_args(inside)[0]
        known = {}
        if dataclasses.is_dataclass(inside):
            hints = get_type_hints(inside)
            known = {camel(each.name): hints[each.name] for each in dataclasses.fields(inside)}
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"


def camel(name: str) -> str:
    """Return a setting's name as Kubernetes spells it."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def dotted(*parts: str) -> str:
    """Return the path of a field, from those of its parts that there are."""
    return ".".join(part for part in parts if part).replace(".[", "[")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
