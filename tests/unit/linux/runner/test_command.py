import sys
from pathlib import Path
from typing import Any

import pytest

from memqos.linux.runner.command import Command, command_of, default_environment, expand
from memqos.model.pods import Container, Pod
from memqos.runner.world import NotStarted

BASE = {"PATH": "/usr/bin:/bin"}


def command(**fields: Any) -> Command | NotStarted:
    container = Container("app", **fields)
    return command_of(Pod("default", "web-0", "u", (container,)), container, BASE)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(MISSING)", "$(MISSING)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$$$$", "$$"),
    ],
)
def test_variables_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_a_variable_may_name_those_before_it_and_arguments_may_name_all() -> None:
    found = command(command=("sh",), args=("$(B)", "$(PATH)"), env={"A": "1", "B": "$(A)$(C)", "C": "3"})
    assert isinstance(found, Command)
    assert found.argv == ("sh", "1$(C)", "$(PATH)")
    assert found.env["B"] == "1$(C)"


def test_the_pods_name_is_the_host_name() -> None:
    found = command(command=("sh",))
    assert isinstance(found, Command)
    assert found.env == {**BASE, "HOSTNAME": "web-0"}


def test_the_program_is_looked_for_in_the_containers_own_path(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    found = command(command=("tool",), env={"PATH": str(tmp_path)})
    assert isinstance(found, Command)
    assert found.executable == str(tmp_path / "tool")


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"command": ("no-such-program",)}, 127, "executable file not found in $PATH"),
        ({"command": ("/no/such/program",)}, 127, "no such file or directory"),
        ({}, 128, "there is no command"),
        ({"args": ("sh",)}, 128, "there is no command"),
        ({"command": ("sh",), "args": ("\0",)}, 128, "NUL"),
        ({"command": ("sh",), "working_dir": "/no/such"}, 128, "workingDir /no/such"),
    ],
)
def test_what_cannot_be_started_has_a_reason_and_an_exit_code(
    fields: dict[str, Any], code: int, message: str
) -> None:
    found = command(**fields)
    assert isinstance(found, NotStarted)
    assert found.exit_code == code
    assert message in found.message


def test_this_interpreters_directory_comes_first_in_the_default_path() -> None:
    assert default_environment()["PATH"].split(":")[0] == str(Path(sys.executable).parent)
