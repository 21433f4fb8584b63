"""Reading the admin's `MemoryPolicy`, one YAML document, into `memqos.policy.settings.Settings`.

::

    apiVersion: memqos.dev/v1alpha1
    kind: MemoryPolicy
    metadata: {name: default}
    spec: {swap: {mode: PodChoice, maximumPerPod: 1Gi}, ...}

What is left out has its default. An unknown key, a wrong type or an impossible value is one
`PolicyError` that names file, field and remedy. `schema` is the same as a JSON Schema, which
`docs/memorypolicy.schema.json` holds for editors and admission.

pydantic does the checking; it is loaded here, when a file is read, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from memqos.cluster.documents import parse_yaml
from memqos.errors import InputError, PolicyError, QuantityError
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.configfile import config_from_dict
from memqos.policy.settings import API_VERSION, KIND, Settings
from memqos.units import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel, ConfigDict, ValidationError

_SIZE: Final = "a size such as 512Mi"
_SIZE_SCHEMA: Final = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^[0-9.]+([kMGTPE]|[KMGTPE]i)?$"},
    ]
}


def load_policy(path: Path) -> Settings:
    """Read a MemoryPolicy file. Raises `PolicyError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "is no UTF-8 text"
        raise PolicyError(problem, source=str(path), remedy="name a readable MemoryPolicy file") from None
    return read_policy(text, source=str(path))


def read_policy(text: str, *, source: str = "") -> Settings:
    """Read a MemoryPolicy. Raises `PolicyError` with `source` as the file's name."""
    from pydantic import ValidationError

    try:
        documents = list(parse_yaml(text, source))
    except InputError as error:
        raise PolicyError(error.problem, source=source, field=error.field, remedy=error.remedy) from None
    if len(documents) > 1:
        raise PolicyError(f"holds {len(documents)} documents", source=source, remedy="write one MemoryPolicy")
    document = documents[0] if documents else None
    if not isinstance(document, dict):
        remedy = f"begin with apiVersion: {API_VERSION} and kind: {KIND}"
        raise PolicyError("is not a MemoryPolicy", source=source, remedy=remedy)
    try:
        checked = _document_model().model_validate(document)
    except ValidationError as error:
        raise _policy_error(error, source) from None
    try:
        settings: Settings = _build(Settings, checked.spec)  # type: ignore[attr-defined]
    except InputError as error:
        raise PolicyError(
            error.problem, source=source, field=_dotted("spec", error.field), remedy=error.remedy
        ) from None
    return settings


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a MemoryPolicy."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_document_model().model_json_schema(by_alias=True),
    }


def _document_model() -> type[BaseModel]:
    from pydantic import Field, create_model

    spec, version, kind = _model(Settings), Literal[API_VERSION], Literal[KIND]
    fields: dict[str, Any] = {
        "apiVersion": (version, ...),
        "kind": (kind, ...),
        "metadata": (dict[str, Any], Field(default_factory=dict, description="As any Kubernetes object's.")),
        "spec": (spec, Field(default_factory=spec)),
    }
    return create_model(
        KIND,
        __config__=_options(),
        __doc__="What memqos may do on a node, and how much of it the users of pods decide.",
        **fields,
    )


def _model(settings: type[Any]) -> type[BaseModel]:
    """Return the pydantic twin of a settings dataclass, its names spelt as Kubernetes spells them."""
    from pydantic import Field, create_model

    fields: dict[str, Any] = {}
    hints = get_type_hints(settings)
    for each in dataclasses.fields(settings):
        kind, extra = _kind(hints[each.name], each.metadata)
        if dataclasses.is_dataclass(hints[each.name]):
            extra["default_factory"] = dict if kind == dict[str, Any] else kind
        else:
            extra["default"] = list(each.default) if isinstance(each.default, tuple) else each.default
        fields[each.name] = (kind, Field(alias=_camel(each.name), description=_describe(each), **extra))
    return create_model(settings.__name__, __config__=_options(), __doc__=settings.__doc__, **fields)


def _options() -> ConfigDict:
    """Nothing unknown, nothing converted: `"5"` is no number."""
    return {"extra": "forbid", "strict": True, "field_title_generator": lambda name, _: _camel(name)}


def _kind(hint: Any, about: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return what pydantic checks a field by: its type and its bounds."""
    from pydantic import BeforeValidator, WithJsonSchema

    if hint is KubeletConfig:
        return dict[str, Any], {}
    if dataclasses.is_dataclass(hint):
        return _model(hint), {}  # type: ignore[arg-type]
    if about["unit"] == "bytes":
        options = _SIZE_SCHEMA["anyOf"] + ([{"type": "null"}] if type(None) in get_args(hint) else [])
        return Annotated[hint, BeforeValidator(_size), WithJsonSchema({"anyOf": options})], {}
    if get_origin(hint) is Literal:
        return Annotated[hint, BeforeValidator(lambda value: "0" if value == 0 else value)], {}
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        several = isinstance(item, type) and dataclasses.is_dataclass(item)
        return GenericAlias(list, _model(item) if several else item), {}
    limits = {"ge": about["least"], "le": about["most"]}
    bounds = {name: limit for name, limit in limits.items() if limit is not None}
    return hint, bounds | ({"allow_inf_nan": False} if hint is float else {})


def _size(value: object) -> object:
    if value is None or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return value
    try:
        return parse_bytes(value)  # type: ignore[arg-type]
    except QuantityError as error:
        raise ValueError(error.problem) from None


def _build(settings: Any, checked: Any) -> Any:
    """Turn a checked model into the dataclass it is the twin of."""
    values: dict[str, Any] = {}
    hints = get_type_hints(settings)
    for each in dataclasses.fields(settings):
        value, hint = getattr(checked, each.name), hints[each.name]
        try:
            if hint is KubeletConfig:
                value = config_from_dict(value, version=checked.version)
            elif dataclasses.is_dataclass(hint):
                value = _build(hint, value)
            elif isinstance(value, list) and dataclasses.is_dataclass(item := get_args(hint)[0]):
                value = [_build_one(item, one, index) for index, one in enumerate(value)]
        except InputError as error:
            raise PolicyError(
                error.problem, field=_dotted(_camel(each.name), error.field), remedy=error.remedy
            ) from None
        values[each.name] = tuple(value) if isinstance(value, list) else value
    return settings(**values)


def _build_one(settings: Any, checked: Any, index: int) -> Any:
    """Build one of several; an error names its place."""
    try:
        return _build(settings, checked)
    except InputError as error:
        raise PolicyError(
            error.problem, field=_dotted(f"[{index}]", error.field), remedy=error.remedy
        ) from None


def _policy_error(error: ValidationError, source: str) -> PolicyError:
    found = error.errors(include_url=False)
    first = found[0]
    field = ""
    for part in first["loc"]:
        field = f"{field}[{part}]" if isinstance(part, int) else _dotted(field, str(part))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    match first["type"]:
        case "extra_forbidden":
            problem, remedy = "is no setting", _nearest(first["loc"])
        case "missing":
            problem, remedy = "is missing", f"write apiVersion: {API_VERSION} and kind: {KIND}"
        case "literal_error":
            problem, remedy = f"{first['input']!r} is not known", f"write {first['ctx']['expected']}"
        case "value_error":
            problem, remedy = str(first["ctx"]["error"]), f"write {_SIZE}"
        case _:
            problem, remedy = f"{first['input']!r} is not right", _lower(first["msg"])
    return PolicyError(problem + more, source=source, field=field, remedy=remedy)


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
            known = {_camel(each.name): hints[each.name] for each in dataclasses.fields(inside)}
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"


def _describe(each: dataclasses.Field[Any]) -> str:
    about = each.metadata
    unit = f" In {about['unit']}." if about["unit"] else ""
    reason = f" Default because {about['reason']}." if about["reason"] else ""
    return f"{about['text']}{unit}{reason}"


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _dotted(*parts: str) -> str:
    return ".".join(part for part in parts if part).replace(".[", "[")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
