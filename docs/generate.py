"""Write the generated pages of docs/: `make docs`. What needs a real kernel has its own command.

docs/memorypolicy.schema.json   the JSON Schema of a MemoryPolicy
docs/memorypolicy.md            its settings, each with unit, default and the reason for the default
docs/cli.md                     every command's help
docs/experiments.md             memqos lab run --all --kernel all --docs docs/experiments.md
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click

from memqos.agent.config import schema
from memqos.cli.main import cli
from memqos.policy.settings import Settings
from memqos.report.table import Cell, Column, table

DOCS = Path(__file__).resolve().parent


def settings_page() -> str:
    """Return the settings of a MemoryPolicy as a page."""
    columns = [Column(key, key) for key in ("field", "default", "unit", "what it is", "why this default")]
    head = (
        "# MemoryPolicy\n\nThe admin's policy: `kind: MemoryPolicy`, `apiVersion: memqos.dev/v1alpha1`, "
        "given to `memqos run`, `plan`, `doctor` and `journal` with `--policy FILE`. Every setting is a "
        "field of `spec` and may be left out; [`examples/policy.yaml`](../examples/policy.yaml) is a whole "
        "document, and `memorypolicy.schema.json` its schema. Written by `make docs`.\n\n"
    )
    return head + table(columns, _settings(Settings, "")).markdown() + "\n"


def _settings(group: type[Any], prefix: str) -> Iterator[tuple[Cell, ...]]:
    hints = get_type_hints(group)
    for field in dataclasses.fields(group):
        first, *rest = field.name.split("_")
        name = prefix + first + "".join(word.capitalize() for word in rest)
        about = field.metadata
        default = field.default if field.default is not dataclasses.MISSING else field.default_factory()  # type: ignore[misc]
        if dataclasses.is_dataclass(default) and "text" in dataclasses.fields(default)[0].metadata:
            yield from _settings(type(default), f"{name}.")
            continue
        shown = (
            "null" if default is None else "{}" if dataclasses.is_dataclass(default) else json.dumps(default)
        )
        yield (f"`{name}`", f"`{shown}`", about.get("unit") or None, about["text"], about["reason"] or None)
        for item in get_args(hints[field.name]):
            if isinstance(item, type) and dataclasses.is_dataclass(item):
                yield from _settings(item, f"{name}[].")


def cli_page() -> str:
    """Return every command's help as a page."""
    parts = ["# The command line\n\nWritten by `make docs`."]
    for path, command in _commands("memqos", cli):
        names = cli.context_settings["help_option_names"]
        with click.Context(command, info_name=path, terminal_width=100, help_option_names=names) as context:
            parts.append(f"## {path}\n\n```\n{command.get_help(context)}\n```")
    return "\n\n".join(parts) + "\n"


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _commands(f"{path} {name}", inner)


def pages() -> dict[str, str]:
    """Return every generated page by its file name."""
    return {
        "memorypolicy.schema.json": json.dumps(schema(), indent=2) + "\n",
        "memorypolicy.md": settings_page(),
        "cli.md": cli_page(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")
