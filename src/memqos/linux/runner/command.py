"""What a container runs: `command`, `args` and `env`, with `$(VAR)` as Kubernetes expands it.

The rules are those of third_party/forked/golang/expansion: `$(NAME)` is the variable's value, or stays
as it is when there is no such variable; `$$` is one `$`, so `$$(NAME)` is never expanded. A variable's
value may name those before it; `command` and `args` may name all of the container's, and no others.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memqos.model.pods import Container, Pod
from memqos.runner.world import NotStarted

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start: `executable` is the file found for `argv[0]`."""

    executable: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    working_dir: str


def command_of(pod: Pod, container: Container, base: Mapping[str, str]) -> Command | NotStarted:
    """Find what a container runs, in the environment `base` (PATH, ...) plus its own."""
    declared: dict[str, str] = {}
    for name, value in container.env.items():
        declared[name] = expand(value, declared)
    argv = tuple(expand(text, declared) for text in container.command + container.args)
    if not container.command:
        return NotStarted("there is no command, and no image to take one from: write the container's command")
    env = {**base, "HOSTNAME": pod.name, **declared}
    working_dir = container.working_dir or "/"
    if any("\0" in text for text in (*argv, *env.values(), working_dir)):
        return NotStarted("a NUL byte in the command or its environment")
    if not Path(working_dir).is_dir():
        return NotStarted(f"workingDir {working_dir} is not a directory")
    return _find(argv, env, working_dir)


def _find(argv: tuple[str, ...], env: Mapping[str, str], working_dir: str) -> Command | NotStarted:
    program = argv[0]
    if "/" in program:
        path = Path(working_dir, program)
        if not path.exists():
            return NotStarted(f'exec: "{program}": no such file or directory', 127)
        found: str | None = str(path)
    else:
        found = shutil.which(program, path=env.get("PATH", ""))
        if found is None:
            return NotStarted(f'exec: "{program}": executable file not found in $PATH', 127)
    return Command(str(found), argv, env, working_dir)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Expand `$(NAME)` in a text."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def default_environment() -> dict[str, str]:
    """Return what a program gets without an image: PATH, this interpreter's directory first, HOME, LANG."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LANG": os.environ.get("LANG", "C.UTF-8")}
