"""YAML and JSON files as plain data: dicts with string keys, lists, strings, numbers, booleans, null.

What `yaml.safe_load` would let through, and Kubernetes would not, is refused here:

- a key written twice (the last one would win silently);
- aliases that multiply: a document may stand for at most `MAX_VALUES` values once its aliases are
  written out ("billion laughs"), and none may contain itself;
- nesting beyond `MAX_DEPTH`: PyYAML's C composer recurses without a bound and ends the process, so
  documents are built here, from the parser's events;
- tags beyond the JSON ones (`!!python/…`, `!!binary`, `!!set`).

Scalars are read by `memqos.cluster.scalars`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from memqos.cluster.fields import shown
from memqos.cluster.scalars import read_scalar
from memqos.errors import ManifestError

MAX_VALUES: Final = 200_000
"""Values in one document: a List of hundreds of pods has a tenth of it."""

MAX_DEPTH: Final = 100
"""Levels of nesting: a Pod has about ten."""

MAX_BYTES: Final = 16 << 20
"""Bytes in one file: the API server takes 3 MiB a request."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(path: Path) -> str:
    """Read a whole text file; raises `ManifestError` for what is too large, not UTF-8, or cannot be read."""
    source = str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ManifestError(f"is larger than {MAX_BYTES >> 20} MiB", source=source, remedy="split it")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(f"cannot be read: {error.strerror}", source=source) from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"is not UTF-8 text (byte {error.start})", source=source) from None


def read_documents(path: Path) -> Iterator[tuple[str, Any]]:
    """Read the documents of one file: (`source` naming file and document, plain data).

    Empty documents are counted and left out. Raises `ManifestError`.
    """
    source, text = str(path), read_text(path)
    documents = [parse_json(text, source)] if path.suffix == ".json" else list(parse_yaml(text, source))
    for number, document in enumerate(documents, 1):
        if document is not None:
            yield (f"{source} document {number}" if len(documents) > 1 else source), document


def parse_yaml(text: str, source: str = "") -> Iterator[Any]:
    """Parse the documents of a YAML text, the empty ones as `None`. Raises `ManifestError`."""
    number = 0
    try:
        events = yaml.parse(text, Loader=_Loader)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                number += 1
                yield _Builder(events).build(next(events))[0]
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ManifestError(f"is not YAML: {error.problem or error.context}{line}", source=source) from None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        problem = " ".join(str(error).split())[:200]
        raise ManifestError(f"is not YAML: {problem}", source=source) from None
    except ManifestError as error:
        raise error.at(source=f"{source} document {number}" if number > 1 else source) from None


class _Builder:
    """Builds one document from its events; a value goes with the number of values it stands for."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.anchors: dict[str, tuple[Any, int] | None] = {}

    def build(self, event: Any, depth: int = 0) -> tuple[Any, int]:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise _error(event, f"is nested more than {MAX_DEPTH} deep")
        if event.anchor:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            value, size = read_scalar(event.value, event.tag, event.implicit[0]), 1
            if isinstance(value, ManifestError):
                raise _error(event, value.problem, value.remedy)
        elif event.tag not in (None, "!", _TAGS[type(event)]):
            raise _error(event, f"the tag {shown(event.tag)} is not allowed here", "write plain YAML")
        elif isinstance(event, yaml.SequenceStartEvent):
            value, size = self._sequence(depth)
        else:
            value, size = self._mapping(depth)
        if size > MAX_VALUES:
            raise _error(event, f"stands for more than {MAX_VALUES} values", "use fewer aliases, or split it")
        if event.anchor:
            self.anchors[event.anchor] = value, size
        return value, size

    def _alias(self, event: Any) -> tuple[Any, int]:
        if event.anchor not in self.anchors:
            raise _error(event, f"there is no anchor {shown(event.anchor)} before this alias")
        found = self.anchors[event.anchor]
        if found is None:
            raise _error(event, f"the value of anchor {shown(event.anchor)} contains itself")
        return found

    def _sequence(self, depth: int) -> tuple[list[Any], int]:
        values, size = [], 1
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value, more = self.build(event, depth + 1)
            values.append(value)
            size += more
        return values, size

    def _mapping(self, depth: int) -> tuple[dict[str, Any], int]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        size = 1
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            merge = isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == "<<"
            key = self.build(event, depth + 1)[0]
            value, more = self.build(next(self.events), depth + 1)
            size += 1 + more
            if merge:
                for each in value if isinstance(value, list) else [value]:
                    if not isinstance(each, dict):
                        raise _error(event, "<< merges mappings only")
                    merged = each | merged
                continue
            name = _key(key, event)
            if name in own:
                raise _error(event, f"the key {shown(name)} is written twice", "keep one of them")
            own[name] = value
        return merged | own, size


_TAGS = {yaml.SequenceStartEvent: "tag:yaml.org,2002:seq", yaml.MappingStartEvent: "tag:yaml.org,2002:map"}


def _key(key: Any, event: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if not isinstance(key, (str, int, float)):
        raise _error(event, f"the key {shown(key)} is not a string")
    return str(key)


def _error(event: Any, problem: str, remedy: str = "") -> ManifestError:
    return ManifestError(f"{problem} (line {event.start_mark.line + 1})", remedy=remedy)


def parse_json(text: str | bytes, source: str = "") -> Any:
    """Parse a JSON text, such as a kubelet's answer. Raises `ManifestError`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            problem = f"the key {shown(twice)} is written twice"
            raise ManifestError(problem, source=source, remedy="keep one of them")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ManifestError(f"is not JSON: {error.msg} (line {error.lineno})", source=source) from None
    except (RecursionError, ValueError):
        problem = "is not JSON: nested too deeply, not UTF-8, or with too long a number"
        raise ManifestError(problem, source=source) from None
