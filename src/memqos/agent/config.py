"""Reading the admin's `MemoryPolicy`, one YAML document, into `memqos.policy.settings.Settings`.

::

    apiVersion: memqos.dev/v1alpha1
    kind: MemoryPolicy
    metadata: {name: default}
    spec: {swap: {mode: PodChoice, maximumPerPod: 1Gi}, ...}

What is left out has its default, as has a group of which everything is commented out (YAML's null, which
the Kubernetes API drops, too). An unknown key, a wrong type or an impossible value is one `PolicyError`
that names file, field and remedy. `schema` is the same as a JSON Schema, which
`docs/memorypolicy.schema.json` holds for editors and admission.

pydantic does the checking; it is loaded here, when a file is read, and nowhere else.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from memqos.agent.config_errors import camel, dotted, policy_error
from memqos.cluster.documents import parse_yaml, read_text
from memqos.errors import InputError, PolicyError, QuantityError
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.configfile import config_from_dict
from memqos.policy.settings import API_VERSION, KIND, Settings
from memqos.units import format_bytes, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel, ConfigDict

_SIZE_SCHEMA: Final = {"type": "string", "pattern": r"^[0-9.]+([kMGTPE]|[KMGTPE]i)?$"}


def load_policy(path: Path) -> Settings:
    """Read a MemoryPolicy file. Raises `PolicyError`."""
    try:
        text = read_text(path)
    except InputError as error:
        remedy = error.remedy or "name a readable MemoryPolicy file"
        raise PolicyError(error.problem, source=error.source, remedy=remedy) from None
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
        raise policy_error(error, source) from None
    try:
        settings: Settings = _build(Settings, checked.spec)  # type: ignore[attr-defined]
    except InputError as error:
        raise PolicyError(
            error.problem, source=source, field=dotted("spec", error.field), remedy=error.remedy
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
        "metadata": (
            _group(dict[str, Any]),
            Field(default_factory=dict, description="As any Kubernetes object's."),
        ),
        "spec": (_group(spec), Field(default_factory=spec)),
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
            kind = _group(kind)
        else:
            extra["default"] = list(each.default) if isinstance(each.default, tuple) else each.default
        fields[each.name] = (kind, Field(alias=camel(each.name), description=_describe(each), **extra))
    return create_model(settings.__name__, __config__=_options(), __doc__=settings.__doc__, **fields)


def _options() -> ConfigDict:
    """Nothing unknown, nothing converted: `"5"` is no number."""
    return {"extra": "forbid", "strict": True, "field_title_generator": lambda name, _: camel(name)}


def _group(kind: Any) -> Any:
    """Return the type of a group of settings, which may be empty."""
    from pydantic import BeforeValidator

    return Annotated[kind, BeforeValidator(lambda value: {} if value is None else value)]


def _kind(hint: Any, about: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return what pydantic checks a field by: its type and its bounds."""
    from pydantic import BeforeValidator, WithJsonSchema

    if hint is KubeletConfig:
        return dict[str, Any], {}
    if dataclasses.is_dataclass(hint):
        return _model(hint), {}  # type: ignore[arg-type]
    if about["unit"] == "bytes":
        least = int(about["least"] or 0)
        options: list[dict[str, Any]] = [{"type": "integer", "minimum": least}, _SIZE_SCHEMA]
        options += [{"type": "null"}] if type(None) in get_args(hint) else []
        size = BeforeValidator(partial(_size, least))
        return Annotated[hint, size, WithJsonSchema({"anyOf": options})], {}
    if get_origin(hint) is Literal:
        return Annotated[hint, BeforeValidator(partial(_word, get_args(hint)))], {}
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        several = isinstance(item, type) and dataclasses.is_dataclass(item)
        return GenericAlias(list, _model(item) if several else item), {}
    limits = {"ge": about["least"], "le": about["most"]}
    bounds = {name: limit for name, limit in limits.items() if limit is not None}
    return hint, bounds | ({"allow_inf_nan": False} if hint is float else {})


def _word(words: tuple[str, ...], value: object) -> object:
    """Return the word that YAML took for something else: `Off` is false to it, `0` a number."""
    if value is False:
        return "Off" if "Off" in words else value
    return "0" if value == 0 and "0" in words else value


def _size(least: int, value: object) -> object:
    if value is None or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return value
    try:
        size = parse_bytes(value)  # type: ignore[arg-type]
    except QuantityError as error:
        raise ValueError(error.problem) from None
    if size < least:
        raise ValueError(f"{value!r} is less than {format_bytes(least)}")
    return size


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
                error.problem, field=dotted(camel(each.name), error.field), remedy=error.remedy
            ) from None
        values[each.name] = tuple(value) if isinstance(value, list) else value
    return settings(**values)


def _build_one(settings: Any, checked: Any, index: int) -> Any:
    """Build one of several; an error names its place."""
    try:
        return _build(settings, checked)
    except InputError as error:
        raise PolicyError(
            error.problem, field=dotted(f"[{index}]", error.field), remedy=error.remedy
        ) from None


def _describe(each: dataclasses.Field[Any]) -> str:
    about = each.metadata
    unit = f" In {about['unit']}." if about["unit"] else ""
    reason = f" Default because {about['reason']}." if about["reason"] else ""
    return f"{about['text']}{unit}{reason}"
