"""YAML with the line of every value, so that an error can say where it is.

Plain data as `yaml.safe_load` gives it, and a map from a value's path (`$.node.memory`,
`$.timeline[2]`) to its line. A key given twice is an error here, not a silent loss, and so are aliases that
multiply beyond what any file holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from memqos.cluster.documents import MAX_VALUES
from memqos.errors import ExperimentError, InputError
from memqos.lab.yamltypes import explain

_DEPTH = 50


def load(text: str, *, source: str = "") -> tuple[Any, dict[str, int]]:
    """Return the one document of a text and its lines; raises `ExperimentError`."""
    try:
        _bound(text, source)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ExperimentError(f"is not YAML: {error.problem}", source=f"{source}:{line}") from None
    except yaml.YAMLError as error:
        problem = str(error).partition("\n")[0]
        raise ExperimentError(f"is not YAML: {problem}", source=source) from None
    if node is None:
        raise ExperimentError("is empty", source=source)
    lines: dict[str, int] = {}
    return _plain(node, "$", lines, source, loader), lines


def _bound(text: str, source: str) -> None:
    """Refuse what is nested too deeply before it is composed, which recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ExperimentError("is nested too deeply", source=f"{source}:{line}")


def _plain(node: yaml.Node, path: str, lines: dict[str, int], source: str, loader: yaml.SafeLoader) -> Any:
    line = lines[path] = node.start_mark.line + 1
    if path.count(".") + path.count("[") > _DEPTH:
        raise ExperimentError("is nested too deeply, or contains itself", source=f"{source}:{line}")
    if len(lines) > MAX_VALUES:
        many, remedy = f"stands for more than {MAX_VALUES} values", "use fewer aliases, or split it"
        raise ExperimentError(many, source=f"{source}:{line}", remedy=remedy)
    if isinstance(node, yaml.MappingNode):
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, at = str(key_node.value), key_node.start_mark.line + 1
            if key in data:
                raise ExperimentError(f"{key!r} is given twice", source=f"{source}:{at}")
            data[key] = _plain(value_node, f"{path}.{key}", lines, source, loader)
            lines[f"{path}.{key}"] = at
        return data
    if isinstance(node, yaml.SequenceNode):
        return [
            _plain(each, f"{path}[{index}]", lines, source, loader) for index, each in enumerate(node.value)
        ]
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise ExperimentError(
            f"{node.value!r} cannot be read: {problem}", source=f"{source}:{line}"
        ) from None


def line_of(path: str, lines: dict[str, int]) -> int:
    """Return the line of a path, or of the nearest value around it."""
    path = _settled(path, lines)
    while path not in lines and path != "$":
        path = path[: max(path.rfind("."), path.rfind("["), 1)]
    return lines.get(path, 1)


def _settled(path: str, lines: Mapping[str, int]) -> str:
    """Say which value is meant where msgspec writes `[...]`, as it does for a mapping's, whatever the key.

    Where several fit it is the mapping.
    """
    if "[...]" not in path:
        return path
    shape = re.compile(r"\.[^.\[]+".join(re.escape(part) for part in path.split("[...]")))
    fitting = [each for each in lines if shape.fullmatch(each)]
    return fitting[0] if len(fitting) == 1 else path.partition("[...]")[0]


def convert(data: Any, kind: type[Any], source: str, lines: Mapping[str, int], base: str) -> Any:
    """Turn what `load` gave into `kind`; raises `ExperimentError` naming line and field."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        inner = _settled(base + path.rstrip("`"), lines)
        wrong = explain(said, data, kind, f"${inner.removeprefix(base)}")
        where = base + wrong.path.removeprefix("$")
        line = line_of(where, dict(lines))
        field = where.removeprefix("$").strip(".")
        raise ExperimentError(
            wrong.problem, source=f"{source}:{line}", field=field, remedy=wrong.remedy
        ) from None


def placed(error: InputError) -> InputError:
    """Return the same error with the line of its field, where its source is a file that can be read."""
    try:
        text = Path(error.source).read_text(encoding="utf-8")
        _, lines = load(text, source=error.source)
    except (OSError, ValueError, ExperimentError):
        return error
    return error.at(source=f"{error.source}:{line_of(f'$.{error.field}', lines)}") if error.field else error
